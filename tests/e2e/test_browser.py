"""The pages in a real browser: the frontend's own process, against services that behave."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field

import httpx
import pytest
from playwright.sync_api import Browser, Page, expect

from benchmarks.browser import browsing, executable
from tests.fakes.services import World, ingest, listening, predictor

pytestmark = pytest.mark.skipif(
    executable() is None, reason="no browser is installed (apt-get install chromium)"
)
SECOND = 1000.0  # playwright counts in milliseconds


@dataclass
class Stage:
    """A frontend process, its services, and what the browser complained of."""

    url: str
    world: World
    complaints: list[str] = field(default_factory=list)

    def open(self, browser: Browser, **context: object) -> Page:
        """A page of a fresh visitor; everything that goes wrong in it is noted."""
        page = browser.new_context(**context).new_page()  # type: ignore[arg-type]
        page.on("pageerror", lambda error: self.complaints.append(f"error: {error}"))
        page.on(
            "console",
            lambda message: (
                self.complaints.append(f"console: {message.text}")
                if message.type in {"error", "warning"}
                else None
            ),
        )
        page.on("request", self._foreign)
        page.set_default_timeout(20 * SECOND)
        page.goto(self.url)
        return page

    def _foreign(self, request: object) -> None:
        url = str(getattr(request, "url", ""))
        if not url.startswith((self.url, self.url.replace("http", "ws"), "data:", "blob:")):
            self.complaints.append(f"foreign request: {url}")


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with browsing() as browser:
        yield browser


def fresh() -> World:
    world = World(learning_seconds=0.15)
    world.stream(30)
    return world


@pytest.fixture(scope="module")
def frontend(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, World]]:
    """The frontend's process, started once, and the world that its services live in."""
    folder = tmp_path_factory.mktemp("frontend")
    world = fresh()
    with listening(ingest(world)) as ingest_url, listening(predictor(world)) as predictor_url:
        port = free_port()
        with (folder / "log").open("wb") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "frontend"],
                env={
                    **os.environ,
                    "RECOMMENDER_FRONTEND_PORT": str(port),
                    "RECOMMENDER_FRONTEND_STATE": str(folder / "state"),
                    "RECOMMENDER_FRONTEND_REFRESH_SECONDS": "0.25",
                    "RECOMMENDER_INGEST_URL": ingest_url,
                    "RECOMMENDER_PREDICTOR_URL": predictor_url,
                },
                stderr=log,
            )
            try:
                url = f"http://127.0.0.1:{port}"
                wait_until_ready(url, process)
                yield url, world
            finally:
                process.send_signal(signal.SIGTERM)
                process.wait(20)
    logged = (folder / "log").read_text()
    assert '"level":"error"' not in logged
    assert "visitor-" not in logged  # ids are personal data
    assert list((folder / "state").glob("storage-user-*.json"))  # there, and nowhere else
    assert process.returncode == 0


@pytest.fixture
def stage(frontend: tuple[str, World], browser: Browser) -> Iterator[Stage]:
    url, world = frontend
    vars(world).update(vars(fresh()))
    stage = Stage(url, world)
    try:
        yield stage
    finally:
        for context in browser.contexts:
            context.close()
    assert stage.complaints == []


def wait_until_ready(url: str, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        assert process.poll() is None, "the frontend has ended; see its log"
        try:
            if httpx.get(f"{url}/health/ready").status_code == 200:
                return
        except httpx.TransportError:
            pass
        time.sleep(0.05)
    raise TimeoutError("the frontend was not ready within 30 s")


def names(page: Page) -> list[str]:
    return page.locator(".panel-recommended .film-name").all_inner_texts()


def rate(page: Page, label: str, stars: float, panel: str = "search") -> None:
    """Click where that many stars end, a little to the left."""
    slider = page.locator(f".panel-{panel}").get_by_role("slider", name=label, exact=True)
    slider.scroll_into_view_if_needed()
    box = slider.bounding_box()
    assert box is not None
    slider.click(position={"x": box["width"] * stars / 5 - 4, "y": box["height"] / 2})


def test_rating_changes_the_list_within_a_second(browser: Browser, stage: Stage) -> None:
    page = stage.open(browser)
    expect(page.locator(".panel-recommended .film-name").first).to_have_text("Toy Story")
    start = time.monotonic()
    rate(page, "Rate The Matrix (1999)", 5)
    expect(page.locator(".panel-recommended .film-name").first).to_have_text("Alien")
    seconds = time.monotonic() - start
    assert seconds < 1, (
        f"took {seconds:.2f} s, of which the fake learns {stage.world.learning_seconds}"
    )
    expect(page.locator(".panel-recommended .panel-status")).to_contain_text(
        re.compile(r"Learned The Matrix 0\.\d s after your click")
    )
    expect(page.locator(".panel-ratings .film-name")).to_have_text(["The Matrix"])
    expect(page.locator(".panel-recommended .badge-new").first).to_be_visible()
    assert stage.world.log[0]["rating"] == 5.0


def test_half_stars_by_mouse_and_by_keyboard(browser: Browser, stage: Stage) -> None:
    page = stage.open(browser)
    rate(page, "Rate Heat (1995)", 3.5)
    expect(page.locator(".panel-ratings .film-name")).to_have_text(["Heat"])
    slider = page.locator(".panel-search").get_by_role("slider", name="Rate Toy Story (1995)")
    slider.focus()
    for key in ("4", "ArrowRight", "ArrowRight", "ArrowLeft", "Enter"):
        page.keyboard.press(key)
    expect(page.locator(".panel-ratings .film-name")).to_have_text(["Toy Story", "Heat"])
    expect(slider).to_have_attribute("aria-valuetext", "4.5 of 5 stars")
    page.wait_for_timeout(1 * SECOND)  # longer than the keyboard's pause: nothing more may come
    assert [(e["item"], e["rating"]) for e in stage.world.log] == [("2", 3.5), ("1", 4.5)]


def test_a_visitor_survives_a_reload(browser: Browser, stage: Stage) -> None:
    page = stage.open(browser)
    rate(page, "Rate Heat (1995)", 4)
    who = page.locator(".identity-who")
    expect(who).to_contain_text("1 film rated")
    before = who.inner_text()
    page.reload()
    expect(who).to_have_text(before)
    expect(page.locator(".panel-ratings .film-name")).to_have_text(["Heat"])
    # Two tabs of one browser are one visitor: what is given in one is seen, and sent, once.
    other = page.context.new_page()
    other.goto(stage.url)
    expect(other.locator(".panel-ratings .film-name")).to_have_text(["Heat"])
    stage.world.ingest_away = True
    rate(page, "Rate Alien (1979)", 5)
    expect(page.locator(".panel-search .panel-status")).to_contain_text("1 rating kept here")
    stage.world.ingest_away = False
    expect(other.locator(".panel-ratings .film-name")).to_have_text(["Alien", "Heat"])
    for tab in (page, other):
        expect(tab.locator(".panel-search .panel-status")).not_to_contain_text("kept here")
        expect(tab.locator(".panel-recommended .film-name").first).to_have_text("The Matrix")
    assert [entry["item"] for entry in stage.world.log] == ["2", "6"]


def test_titles_are_no_markup(browser: Browser, stage: Stage) -> None:
    page = stage.open(browser)
    page.get_by_label("Search films by title").fill("script")
    expect(page.locator(".panel-search .film-name")).to_have_count(1)
    expect(page.locator(".panel-search .film-name")).to_contain_text(
        "<script>window.hacked=1</script>"
    )
    page.reload()
    stage.world.films = {"16": stage.world.films["16"], **stage.world.films}
    page.reload()  # now in the first HTML, too
    expect(page.locator(".panel-search .film-name").first).to_contain_text("<script>")
    assert page.evaluate("window.hacked") is None


def test_the_chart_moves_while_the_stream_goes_on(browser: Browser, stage: Stage) -> None:
    page = stage.open(browser)
    status = page.locator(".panel-accuracy .panel-status")
    expect(status).to_contain_text("after 30,000 ratings")
    lines = page.locator(".panel-accuracy svg path[stroke-width='2.5']")
    expect(lines).to_have_count(1)
    before = lines.get_attribute("d")
    stage.world.stream(40)
    expect(status).to_contain_text("after 70,000 ratings")
    expect(lines).not_to_have_attribute("d", before or "")
    expect(
        page.get_by_role("img", name=re.compile("prequential RMSE from .* 70,000"))
    ).to_be_visible()


def held(page: Page) -> dict[str, float]:
    """What the page holds after its garbage is collected: DOM nodes, listeners, bytes of heap."""
    session = page.context.new_cdp_session(page)
    session.send("Performance.enable")
    session.send("HeapProfiler.collectGarbage")
    metrics = session.send("Performance.getMetrics")["metrics"]
    session.detach()
    found = {metric["name"]: metric["value"] for metric in metrics}
    return {name: found[name] for name in ("Nodes", "JSEventListeners", "JSHeapUsedSize")}


def test_hours_of_a_stream_and_of_a_race_make_no_page_grow(browser: Browser, stage: Stage) -> None:
    """Updates as fast as they are read, each with more micro-batches than hours bring between."""
    stage.world.racing = True
    for path, status, shown in (
        ("/live", ".panel-accuracy .panel-status", "after {:,} ratings"),
        ("/models", ".panel-race .panel-status", "Race 4"),
    ):
        page = stage.open(browser, viewport={"width": 1400, "height": 900})
        page.goto(stage.url + path)
        stage.world.stream(400)

        def update(
            times: int, page: Page = page, status: str = status, shown: str = shown
        ) -> dict[str, float]:
            for _ in range(times):
                asked = stage.world.requests.count("/model")
                stage.world.stream(30)
                stage.world.raced += 1_000
                after = stage.world.series[-1]["total_ratings"]
                expect(page.locator(status)).to_contain_text(shown.format(after))
                deadline = time.monotonic() + 10
                while stage.world.requests.count("/model") < asked + 2:
                    assert time.monotonic() < deadline, "the model is not read any more"
                    page.wait_for_timeout(20)
            return held(page)

        before, after = update(3), update(10)
        assert after["Nodes"] < 1.1 * before["Nodes"] + 50, (path, before, after)
        assert after["JSEventListeners"] < 1.1 * before["JSEventListeners"] + 20
        assert after["JSHeapUsedSize"] < 1.2 * before["JSHeapUsedSize"] + 2e6, (before, after)
        assert page.locator(".panel svg path").count() < 2_000
        page.close()


def test_services_go_and_come_back(browser: Browser, stage: Stage) -> None:
    page = stage.open(browser)
    expect(page.locator(".panel-recommended .film-name")).to_have_count(10)
    heights = "[...document.querySelectorAll('.panel')].map(p => p.getBoundingClientRect().height)"
    before = page.evaluate(heights)
    stage.world.predictor_away = stage.world.ingest_away = True
    expect(page.locator(".pulse")).to_have_text("predictor away")
    rate(page, "Rate Heat (1995)", 4)
    expect(page.locator(".panel-search .panel-status")).to_contain_text("1 rating kept here")
    assert page.evaluate(heights) == before  # nothing jumps
    stage.world.predictor_away = stage.world.ingest_away = False
    expect(page.locator(".panel-recommended .panel-status")).to_contain_text("Learned Heat")
    expect(page.locator(".pulse")).not_to_have_text("predictor away")
    assert [(e["item"], e["rating"]) for e in stage.world.log] == [("2", 4.0)]


def test_opened_while_the_predictor_is_away(browser: Browser, stage: Stage) -> None:
    stage.world.predictor_away = True
    page = stage.open(browser)
    expect(page.locator(".panel-message").first).to_contain_text("predictor is not available")
    stage.world.predictor_away = False
    expect(page.locator(".panel-recommended .film-name")).to_have_count(10)
    expect(page.locator(".panel-search .film-name")).not_to_have_count(0)
    expect(page.locator(".panel-ratings .panel-message")).to_contain_text("Nothing yet")


@pytest.mark.parametrize("width", [360, 768, 1280, 1920])
def test_nothing_is_wider_than_the_screen(browser: Browser, stage: Stage, width: int) -> None:
    page = stage.open(browser, viewport={"width": width, "height": 800})
    expect(page.locator(".panel-recommended .film-name")).to_have_count(10)
    assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_dark_as_the_machine_and_by_choice(browser: Browser, stage: Stage) -> None:
    page = stage.open(browser, color_scheme="dark")
    body = page.locator("body")
    expect(body).to_have_class(re.compile("body--dark"))
    light = page.get_by_role("button", name=re.compile("Light:"))
    light.click()  # dark, chosen
    light.click()  # light
    expect(body).to_have_class(re.compile("body--light"))
    page.reload()
    expect(body).to_have_class(re.compile("body--light"))


def test_walking_between_the_pages(browser: Browser, stage: Stage) -> None:
    page = stage.open(browser)
    expect(page.locator(".panel-recommended .film-name")).to_have_count(10)
    page.get_by_role("link", name="Live").click()
    expect(page.locator(".panel-figures .figure")).to_have_count(8)
    expect(page).to_have_title("Live · Recommender")
    expect(page.get_by_role("link", name="Live")).to_have_attribute("aria-current", "page")
    expect(page.locator(".panel-accuracy .panel-status")).to_contain_text("30,000 ratings")
    stage.world.stream(5)
    expect(page.locator(".panel-accuracy .panel-status")).to_contain_text("35,000 ratings")
    page.go_back()
    expect(page.locator(".panel-recommended .film-name")).to_have_count(10)
    rate(page, "Rate Heat (1995)", 4)
    expect(page.locator(".panel-recommended .panel-status")).to_contain_text("Learned Heat")
    expect(page.locator(".panel-ratings .film-name")).to_have_text(["Heat"])


def test_the_shop_plays(browser: Browser, stage: Stage) -> None:
    page = stage.open(browser)
    page.get_by_role("link", name="Shop").click()
    expect(page.locator(".panel-shop .panel-status")).to_contain_text(
        "Both see the same ratings", timeout=120 * SECOND
    )
    pictures = page.locator(".shop-image")
    expect(pictures).to_have_count(4)
    seen = page.locator(".shop-figure").nth(1).locator(".shop-caption")
    expect(seen).to_have_text("90,000 of 90,000 ratings", timeout=30 * SECOND)
    page.get_by_role("button", name="Play").click()
    before = seen.inner_text()
    expect(seen).not_to_have_text(before)
    loaded = "[...document.querySelectorAll('.shop-image')].every(i => i.naturalWidth === 300)"
    page.wait_for_function(loaded)
    slider = page.get_by_role("slider", name="Step of the film")
    slider.focus()
    page.keyboard.press("ArrowRight")  # to the left there may be no step yet
    expect(page.get_by_role("button", name="Play")).to_be_visible()  # it has stopped playing
    for name, kind in (("Save this step as PNG", b"\x89PNG"), ("Save the film as GIF", b"GIF8")):
        with page.expect_download() as download:
            page.get_by_role("link", name=name).click()
        assert download.value.path().read_bytes()[:4] == kind


def test_from_a_film_to_another_and_to_the_map(browser: Browser, stage: Stage) -> None:
    page = stage.open(browser)
    page.locator(".panel-recommended").get_by_role("link", name="The Matrix").click()
    expect(page.locator(".film-title")).to_have_text("The Matrix")
    expect(page).to_have_title("The Matrix · Recommender")
    expect(page.locator(".panel-belief .part-sum .part-value")).to_have_text("3.54 ★")
    page.locator(".panel-similar").get_by_role("link", name="Alien").click()
    expect(page.locator(".film-title")).to_have_text("Alien")
    rate(page, "Rate Alien (1979)", 5, panel="film")
    expect(page.locator(".panel-belief .part-sum .part-value")).to_have_text("5.00 ★")
    page.reload()
    expect(page.locator(".film-title")).to_have_text("Alien")
    page.get_by_role("link", name="Map").click()
    expect(page.locator(".panel-near .film-name").first).to_have_text("Alien")
    expect(page.get_by_role("img", name=re.compile("Scatter chart of 16 films"))).to_be_visible()
    # The tooltip of the film whose title is markup: text, and no element of it.
    box = page.locator(".map-chart").bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    page.mouse.wheel(0, -100)
    assert page.evaluate("window.hacked") is None


def test_take_back_filter_explain_and_be_forgotten(browser: Browser, stage: Stage) -> None:
    page = stage.open(browser)
    rate(page, "Rate The Matrix (1999)", 5)
    first = page.locator(".panel-recommended .film-name").first
    expect(first).to_have_text("Alien")
    page.get_by_role("button", name="Why Alien (1979)?").click()
    expect(page.locator(".film-explained:visible")).to_contain_text("The Matrix, which you gave 5")
    page.get_by_role("button", name="Filters").click()
    page.get_by_role("slider", name="Novelty").focus()
    page.keyboard.press("ArrowRight")
    expect(first).not_to_have_text("Alien")
    expect(page.get_by_role("button", name="Filters · 1")).to_be_visible()
    page.keyboard.press("ArrowLeft")
    expect(first).to_have_text("Alien")
    page.get_by_role("button", name="Take back your rating of The Matrix (1999)").click()
    expect(first).to_have_text("Toy Story")
    rate(page, "Rate Heat (1995)", 5)
    who = page.locator(".identity-who")
    expect(who).to_contain_text("1 film rated")
    before = who.inner_text()
    page.get_by_role("button", name="Forget me").click()
    page.locator(".dialog").get_by_role("button", name="Forget me").click()
    expect(who).to_contain_text("0 films rated")
    assert who.inner_text() != before
    assert stage.world.log[-1]["item"] is None


def test_versions_with_the_key(browser: Browser, stage: Stage) -> None:
    page = stage.open(browser)
    page.get_by_role("link", name="Models").click()
    page.get_by_role("button", name="Promote model 2").click()
    expect(page.get_by_text("Not done: This needs an API key.")).to_be_visible()
    page.get_by_label("Admin key").fill(stage.world.admin_key)
    page.get_by_role("button", name="Promote model 2").click()
    expect(page.locator(".chip-serving")).to_have_text("serving")
    expect(page.locator("tr", has=page.locator(".chip-serving"))).to_contain_text("Model 2")
    assert page.evaluate("document.cookie + JSON.stringify(localStorage)").find("operator") == -1
    page.reload()
    expect(page.get_by_label("Admin key")).to_have_value("")  # forgotten with the page
