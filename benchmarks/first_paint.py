"""How long a visitor waits for the first page of a running stack."""

from __future__ import annotations

from typing import Annotated, Any

import httpx
import numpy as np
import typer

from benchmarks.report import Json, show
from recommender.errors import MissingRequirement

_PAINTED = """() => {
    const [navigation] = performance.getEntriesByType('navigation');
    const paint = performance.getEntriesByName('first-contentful-paint')[0];
    return paint && navigation.responseEnd
        ? {answered: navigation.responseEnd, painted: paint.startTime} : null;
}"""
_FILMS = ".panel-recommended .film-name"
_TIMEOUT = 30_000  # milliseconds


def first_paint(
    url: Annotated[str, typer.Option(help="Address of the pages.")] = "http://127.0.0.1:8080",
    visits: Annotated[int, typer.Option(min=1, help="How often the page is opened.")] = 20,
    as_json: Json = False,
) -> None:
    """Milliseconds until the page For you is answered, first painted, and shows its list."""
    from benchmarks.browser import browsing

    try:
        httpx.get(f"{url}/health/live", timeout=3).raise_for_status()
    except httpx.HTTPError as error:
        raise MissingRequirement(f"{url} does not answer ({error}): `make run` starts it") from None
    with browsing() as browser:
        # A stranger has nothing in the browser's cache; who comes back has scripts and styles.
        _visit(browser.new_context(), url)  # the service is warm from here on
        strangers = [_visit(browser.new_context(), url) for _ in range(visits)]
        known = browser.new_context()
        _visit(known, url)
        returning = [_visit(known, url) for _ in range(visits)]
    figures = {"stranger": _figures(strangers), "who_comes_back": _figures(returning)}
    show("first-paint", {"visits": visits, "milliseconds": figures}, as_json)


def _visit(context: Any, url: str) -> dict[str, float]:
    page = context.new_page()
    page.set_default_timeout(_TIMEOUT)
    page.goto(url, wait_until="commit")
    page.wait_for_selector(_FILMS)
    listed = page.evaluate("performance.now()")
    found: dict[str, float] = page.wait_for_function(_PAINTED).json_value()
    page.close()
    return {**found, "listed": listed}


def _figures(visits: list[dict[str, float]]) -> dict[str, float]:
    return {
        f"{name}_{word}": round(float(np.percentile([one[name] for one in visits], share)), 1)
        for name in ("answered", "painted", "listed")
        for word, share in (("median", 50), ("slowest", 100))
    }
