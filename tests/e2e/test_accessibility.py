"""axe-core's automatic checks on every page, light and dark, wide and on a phone."""

from __future__ import annotations

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect

from tests.e2e.test_browser import (
    SECOND,
    Stage,
    browser,  # noqa: F401  # fixtures
    frontend,  # noqa: F401
    pytestmark,  # noqa: F401
    rate,
    stage,  # noqa: F401
)

# What each page shows once it is there.
SHOWN = {
    "/": ".panel-recommended .film-name",
    "/film?item=3": ".panel-belief .part-value",
    "/map": ".map-chart canvas",
    "/live": ".batches-chart svg",
    "/models": ".table",
    "/shop": ".shop-image",
}


def wrong(page: Page) -> list[str]:
    """What axe has found, each with the rule, the place and the reason."""
    results = Axe().run(page, options={"resultTypes": ["violations"]})
    return [
        f"{violation['id']}: {node['html'][:160]} {node.get('failureSummary', '')[:300]}"
        for violation in results.response["violations"]
        for node in violation["nodes"][:4]
    ]


@pytest.mark.parametrize(("light", "width"), [("light", 1400), ("dark", 390)])
def test_axe_finds_nothing(
    browser: Browser,  # noqa: F811
    stage: Stage,  # noqa: F811
    light: str,
    width: int,
) -> None:
    size = {"width": width, "height": 900}
    page = stage.open(browser, color_scheme=light, viewport=size, reduced_motion="reduce")
    rate(page, "Rate The Matrix (1999)", 4.5)
    expect(page.locator(".panel-recommended .panel-status")).to_contain_text("Learned")
    page.locator(".film-why").first.click()
    page.get_by_role("button", name="Filters").click()
    found = {}
    for path, shown in SHOWN.items():
        if path != "/":
            page.goto(stage.url + path)
        expect(page.locator(shown).first).to_be_visible(timeout=60 * SECOND)
        page.wait_for_timeout(500)
        found[path] = wrong(page)
    assert found == {path: [] for path in SHOWN}
