"""Pictures of every page, light and dark, for the README and the docs: ``make screenshots``.

Takes them from a stack that is running (``make run``), as a visitor who rates a few films.
"""

from __future__ import annotations

import io
import sys
from pathlib import Path
from typing import Annotated

import httpx
import typer
from PIL import Image
from playwright.sync_api import Browser, Page, expect
from playwright.sync_api import TimeoutError as NotInTime
from rich.console import Console

sys.path.insert(0, str(Path(__file__).parents[2]))  # run as a script, from anywhere

from benchmarks.browser import browsing
from frontend.app import PAGES
from frontend.titles import FILM_PAGE, film_page
from recommender.errors import MissingRequirement

# Of pages that show something in particular.
ADDRESSES = {FILM_PAGE: film_page("2571")}
SCREENS = {"wide": (1600, 960), "phone": (390, 844)}
# Places in the list of the most rated films, and the stars given there.
TASTE = (
    *((0, 2.5), (1, 4.5), (2, 5.0), (3, 4.0), (4, 5.0), (5, 5.0), (6, 2.5), (7, 2.0)),
    *((8, 4.5), (10, 5.0)),
)


def main(
    url: Annotated[str, typer.Option(help="Address of the frontend.")] = "http://127.0.0.1:8080",
    out: Annotated[Path, typer.Option(help="Folder for the pictures.")] = Path("docs/images"),
) -> None:
    """Take the pictures."""
    console = Console(stderr=True)
    try:
        httpx.get(f"{url}/health/live", timeout=3).raise_for_status()
    except httpx.HTTPError as error:
        console.print(f"{url} does not answer ({error}); start it with `make run`", markup=False)
        raise typer.Exit(2) from error
    out.mkdir(parents=True, exist_ok=True)
    try:
        with browsing() as browser:
            for light in ("light", "dark"):
                for screen in SCREENS:
                    for path in take(browser, url, out, light, screen):
                        console.print(str(path), markup=False)
    except MissingRequirement as error:
        console.print(str(error), markup=False)
        raise typer.Exit(2) from error
    except NotInTime as error:
        console.print("The pages show no films: is the stack still learning its backlog?")
        console.print(str(error), markup=False, style="dim")
        raise typer.Exit(2) from error


def take(browser: Browser, url: str, out: Path, light: str, screen: str) -> list[Path]:
    """The pictures of one light and one screen; a fresh visitor each."""
    width, height = SCREENS[screen]
    context = browser.new_context(
        viewport={"width": width, "height": height},
        color_scheme="dark" if light == "dark" else "light",
        device_scale_factor=2 if screen == "phone" else 1,
    )
    page = context.new_page()
    page.goto(url)
    for place, stars in TASTE:
        rate(page, place, stars)
    paths = []
    for shown in PAGES:
        if screen == "phone" and shown.path != "/":
            continue  # one is enough to see how the pages fold
        if shown.path != "/":
            page.goto(url + ADDRESSES.get(shown.path, shown.path))
        page.wait_for_load_state("networkidle")
        page.wait_for_timeout(2500)  # two readings of the model: the rate is known
        if shown.path == "/shop":
            play(page)
        page.evaluate(
            "document.querySelectorAll('.panel-body').forEach(body => body.scrollTop = 0)"
        )
        name = shown.path.strip("/") or "for-you"
        path = out / f"{name}-{screen}-{light}.webp"
        small(page.screenshot(full_page=screen == "wide"), path)
        paths.append(path)
    context.close()
    return paths


def play(page: Page) -> None:
    """Wait for the film, and stop where the pictures tell the methods apart."""
    status = page.locator(".panel-shop .panel-status")
    expect(status).to_contain_text("Both see the same ratings", timeout=180_000)
    step = page.get_by_role("slider", name="Step of the film")
    step.fill("14")
    step.blur()
    page.wait_for_timeout(1500)


def small(picture: bytes, path: Path) -> None:
    """Keep a screenshot as WebP: a fifth of the PNG, and no difference to the eye."""
    Image.open(io.BytesIO(picture)).save(path, "WEBP", quality=74, method=6)


def rate(page: Page, place: int, stars: float) -> None:
    """Click stars in the list of films, and wait until the model has learned it."""
    slider = page.locator(".panel-search [role=slider]").nth(place)
    slider.scroll_into_view_if_needed()
    box = slider.bounding_box()
    assert box is not None
    status = page.locator(".panel-recommended .panel-status")
    before = status.inner_text()
    slider.click(position={"x": box["width"] * stars / 5 - 3, "y": box["height"] / 2})
    expect(status).not_to_have_text(before, timeout=60_000)
    expect(status).to_contain_text("Learned", timeout=60_000)


if __name__ == "__main__":
    typer.run(main)
