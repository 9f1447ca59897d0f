"""The page in NiceGUI's own simulation of a visitor, against services that behave."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest
from nicegui import ui
from nicegui.testing import User, user_simulation

from frontend.api import Api
from frontend.app import create_root
from frontend.elements.moving_list import MovingList
from frontend.elements.stars import Stars
from frontend.feed import ModelFeed
from frontend.pages import Shared
from frontend.panels.film_row import FilmRow
from frontend.projector import Projector
from recommender.shop import pattern
from tests.fakes.services import EVIL, World, clients

REFRESH = 0.05  # seconds between two readings of the model


@asynccontextmanager
async def visiting(world: World, path: str = "/") -> AsyncIterator[User]:
    api = Api(*clients(world))
    feed = ModelFeed(api, REFRESH)
    shared = Shared((0.5, 5.0), Projector(pattern(60), steps=5))
    async with user_simulation(create_root(api, feed, shared)) as user:
        await user.open(path)
        try:
            yield user
        finally:
            await shared.projector.stop()
            await feed.stop()
            await api.close()


def visit(world: World, steps: Callable[[User], Awaitable[None]], path: str = "/") -> None:
    async def run() -> None:
        async with visiting(world, path) as user:
            await steps(user)

    asyncio.run(run())


async def until(is_so: Callable[[], bool], what: str, seconds: float = 15.0) -> None:
    """Wait until something is so; fails saying what was waited for."""
    deadline = asyncio.get_running_loop().time() + seconds
    while not is_so():
        assert asyncio.get_running_loop().time() < deadline, f"waited {seconds} s for {what}"
        await asyncio.sleep(0.02)


def text(user: User, marker: str) -> str:
    (element,) = user.find(marker=marker).elements
    return str(getattr(element, "text", ""))


def ranking(user: User) -> list[str]:
    """Names in the list of recommendations, in the order shown."""
    (moving,) = user.find(kind=MovingList, marker="ranking").elements
    return [
        next(e.text for e in row.descendants() if "film-name" in e.classes)  # type: ignore[attr-defined]
        for row in moving.default_slot.children
    ]


def give(user: User, item: str, rating: object) -> None:
    """Click the stars of a film, in the first list that has it."""
    stars = min(user.find(kind=Stars, marker=f"stars-{item}").elements, key=lambda e: e.id)
    found = user.find(kind=Stars, marker=f"stars-{item}")
    found.elements = {stars}
    found.trigger("rate", rating)


def test_rate_a_film_and_the_list_follows() -> None:
    world = World(learning_seconds=0.05)

    async def steps(user: User) -> None:
        await user.should_see("The Matrix")
        assert ranking(user)[:3] == ["Toy Story", "Heat", "The Matrix"]
        assert "Rate a film and this becomes yours" in text(user, "recommended-status")
        give(user, "3", 5)
        await until(lambda: "Learned" in text(user, "recommended-status"), "the rating learned")
        # the fake's science films rise by 2, clipped to 5 alike, so by their order in the catalogue
        assert ranking(user)[:4] == ["Alien", "Blade Runner", "Arrival", "Solaris"]
        assert "The Matrix (rated)" in text(user, "gone")
        assert text(user, "who").endswith("1 film rated")
        assert world.log[0]["item"] == "3"
        assert world.log[0]["rating"] == 5.0
        assert world.log[0]["user"] in text(user, "who")
        give(user, "1", 1.5)
        await until(lambda: "Toy Story" in text(user, "recommended-status"), "the second rating")
        assert len(world.log) == 2

    visit(world, steps)


def test_expected_ratings_are_shown_beside_the_list() -> None:
    async def steps(user: User) -> None:
        # 3 + 0.6 for the first film of the fake's catalogue, nothing known about the visitor
        await user.should_see("3.6 ★")

    visit(World(), steps)


def test_search_finds_and_says_when_it_does_not() -> None:
    async def steps(user: User) -> None:
        await user.should_see("Toy Story")
        user.find(marker="search").type("fargo")
        await until(lambda: "1 film like “fargo”" in text(user, "search-status"), "the search")
        user.find(marker="search").type("xyz")
        await until(lambda: "0 films" in text(user, "search-status"), "the empty search")
        await user.should_see("No film is called anything like “fargoxyz”.")

    visit(World(), steps)


@pytest.mark.parametrize("nonsense", ["5", None, 0, 5.5, -1, float("nan"), {"a": 1}, [3], True])
def test_a_rating_off_the_scale_is_not_sent(nonsense: object) -> None:
    world = World()

    async def steps(user: User) -> None:
        await user.should_see("Toy Story")
        give(user, "1", nonsense)
        await asyncio.sleep(0.1)
        if nonsense is True:
            return
        assert world.log == []

    visit(world, steps)


def test_ingest_away_keeps_the_rating_and_sends_it_later() -> None:
    world = World(ingest_away=True)

    async def steps(user: User) -> None:
        await user.should_see("Toy Story")
        give(user, "2", 4.5)
        await until(lambda: "Ingest is away: 1 rating kept" in text(user, "search-status"), "word")
        assert world.log == []
        assert text(user, "who").endswith("1 film rated")
        world.ingest_away = False
        await until(lambda: len(world.log) == 1, "the rating to be sent")
        await until(lambda: "Learned Heat" in text(user, "recommended-status"), "its learning")
        assert "A dozen" in text(user, "search-status")
        await asyncio.sleep(3 * REFRESH)
        assert [(e["item"], e["rating"]) for e in world.log] == [("2", 4.5)]

    visit(world, steps)


def test_a_modeler_that_is_behind_is_told_from_a_predictor_that_is_away() -> None:
    world = World(learning_seconds=3600, wait_timeout=0.1)

    async def steps(user: User) -> None:
        await user.should_see("Toy Story")
        give(user, "2", 4.5)
        await until(lambda: "catching up" in text(user, "recommended-status"), "the word")
        assert ranking(user)[0] == "Toy Story"  # the list as it was
        await user.open("/")  # what is in the log but not learned survives a reload
        await until(lambda: text(user, "who").endswith("1 film rated"), "the rating")
        world.learned = 1
        await until(lambda: user_sees_ranking(user)[:1] == ["The Godfather"], "the list to follow")
        assert "catching up" not in text(user, "recommended-status")

    visit(world, steps)


def test_a_refused_rating_is_taken_back() -> None:
    world = World(refuse_item="2")

    async def steps(user: User) -> None:
        await user.should_see("Toy Story")
        give(user, "2", 4.5)
        await user.should_see("Not rated: item: '2' is not allowed; expected another one")
        await until(lambda: text(user, "who").endswith("0 films rated"), "the rating to go")
        assert all(s.value is None for s in user.find(kind=Stars, marker="stars-2").elements)

    visit(world, steps)


def test_predictor_away_is_said_on_each_panel_and_recovers_by_itself() -> None:
    world = World(predictor_away=True)

    async def steps(user: User) -> None:
        panels = ("search", "recommended", "ratings", "accuracy")
        for name in panels:
            await until(
                lambda name=name: (
                    "as soon as" in text(user, f"{name}-status")
                    or "is away" in text(user, f"{name}-status")
                ),
                f"{name} to say that the predictor is away",
            )
        assert text(user, "pulse") == "predictor away"
        await user.should_see("predictor is not available: predictor rests")
        world.predictor_away = False
        world.stream(3)
        await until(lambda: bool(user_sees_ranking(user)), "the list")
        for name in panels:
            await until(
                lambda name=name: (
                    "away" not in text(user, f"{name}-status")
                    and "as soon as" not in text(user, f"{name}-status")
                ),
                f"{name} to recover",
            )
        await user.should_not_see("predictor is not available: predictor rests")

    visit(world, steps)


@pytest.mark.parametrize("path", ["/map", "/live", "/models"])
def test_every_panel_of_a_page_says_that_the_predictor_is_away_and_recovers(path: str) -> None:
    world = World(predictor_away=True)
    world.stream(3)

    def said(user: User) -> dict[str, str]:
        return {
            mark: str(element.text)
            for element in user.find(kind=ui.label).elements
            for mark in element._markers
            if mark.endswith("-status")
        }

    async def steps(user: User) -> None:
        panels = {"/map": 2, "/live": 4, "/models": 3}[path]

        def away(user: User) -> list[bool]:
            return ["is away" in text for text in said(user).values()]

        await until(lambda: away(user) == [True] * panels, f"{panels} panels away: {said(user)}")
        world.predictor_away = False
        await until(lambda: away(user) == [False] * panels, f"all to recover: {said(user)}")
        await user.should_not_see("predictor is not available: predictor rests")

    visit(world, steps, path)


def user_sees_ranking(user: User) -> list[str]:
    try:
        return ranking(user)
    except AssertionError:
        return []


def test_what_was_shown_stays_while_the_predictor_is_away() -> None:
    world = World()

    async def steps(user: User) -> None:
        await user.should_see("Toy Story")
        before = ranking(user)
        world.predictor_away = True
        await until(lambda: text(user, "pulse") == "predictor away", "the header")
        assert ranking(user) == before

    visit(world, steps)


def test_become_somebody_else_and_a_new_person_again() -> None:
    world = World(learning_seconds=0)
    world.log = [{"user": "42", "item": "2", "rating": 4.0, "event_id": "0"}]
    world.learned = 1

    async def steps(user: User) -> None:
        await user.should_see("Toy Story")
        user.find(marker="become").click()
        await user.should_see("Type the id of a user first, such as 42.")
        user.find(marker="user-id").type("42")
        user.find(marker="become").click()
        await until(lambda: text(user, "who") == "You are user 42 · 1 film rated", "user 42")
        await until(lambda: ranking(user)[:1] == ["The Godfather"], "crime films")
        user.find(marker="become-new").click()
        await until(lambda: "a new person visitor-" in text(user, "who"), "a new person")
        await until(lambda: user_sees_ranking(user)[:1] == ["Toy Story"], "the popular films")

    visit(world, steps)


def test_who_one_is_and_the_light_survive_a_reload() -> None:
    async def steps(user: User) -> None:
        await user.should_see("Toy Story")
        give(user, "1", 4)
        await until(lambda: "1 film rated" in text(user, "who"), "the rating")
        who = text(user, "who")
        user.find(marker="light").click()
        await user.open("/")
        await until(lambda: text(user, "who") == who, "the same visitor")
        (dark,) = user.find(kind=ui.dark_mode).elements
        assert dark.value is True

    visit(World(), steps)


def test_titles_are_data() -> None:
    async def steps(user: User) -> None:
        user.find(marker="search").type("script")
        await user.should_see("<script>window.hacked=1</script>", retries=20)
        stars = user.find(kind=Stars, marker="stars-16").elements
        spoken = EVIL.removesuffix(" (1999)")
        assert {s.props["label"] for s in stars} == {f"Rate {spoken} (1999)"}

    visit(World(), steps)


def test_the_chart_follows_the_stream_in_place() -> None:
    world = World()

    async def steps(user: User) -> None:
        await user.should_see("No rating has been tested yet.")
        (chart,) = user.find(kind=ui.echart).elements
        world.stream(2)
        await until(lambda: len(chart.options["series"][0]["data"]) == 2, "two points")
        # the fake's first two errors: 0.85 + 0.3 + 0.02 and 0.85 + 0.3 / 1.05 - 0.02
        assert chart.options["series"][0]["data"] == [[1000, 1.17], [2000, 1.1157]]
        world.stream(2000)
        await until(lambda: len(chart.options["series"][0]["data"]) > 100, "more points")
        assert len(chart.options["series"][0]["data"]) <= 360
        assert user.find(kind=ui.echart).elements == {chart}
        assert "2,002,000 ratings" in text(user, "accuracy-status")

    visit(world, steps)


@pytest.mark.parametrize(
    ("data", "marked"), [("MovieLens ml-latest-small", False), ("Generated data, seed 1", True)]
)
def test_where_the_data_is_from(data: str, marked: bool) -> None:
    async def steps(user: User) -> None:
        await until(lambda: text(user, "data") == f"Data: {data}", "the description")
        (label,) = user.find(marker="data").elements
        assert ("data-generated" in label.classes) == marked
        assert text(user, "counts") == "3 users · 16 films · 0 ratings learned"

    visit(World(data=data), steps)


def test_the_live_page_shows_figures_and_settings() -> None:
    world = World(lag=1_234)
    world.stream(2)

    async def steps(user: User) -> None:
        await until(lambda: text(user, "figure-RMSE") != "–", "the figures")
        assert text(user, "figure-waiting") == "1,234"
        world.lag = None
        await until(lambda: text(user, "figure-waiting") == "–", "nothing known")
        # the fake's errors of two equal batches: 1.17 and 1.1157; its MAE is always 0.7
        assert text(user, "figure-RMSE") == "1.143"
        assert text(user, "figure-MAE") == "0.700"
        await user.should_see("2,000")
        await user.should_see("rank")
        world.predictor_away = True
        await until(lambda: "last figures known" in text(user, "figures-status"), "the word")
        assert text(user, "figure-MAE") == "0.700"

    visit(world, steps, "/live")


def test_nothing_is_asked_while_nobody_looks() -> None:
    world = World()

    async def run() -> None:
        async with visiting(world) as user:
            await user.should_see("Toy Story")
            assert user.client is not None
            user.client.delete()
            await asyncio.sleep(4 * REFRESH)
            before = len(world.requests)
            await asyncio.sleep(4 * REFRESH)
            assert len(world.requests) == before

    asyncio.run(run())


def test_the_shop_plays_pauses_and_steps() -> None:
    async def steps(user: User) -> None:
        await until(lambda: "Both see the same" in text(user, "shop-status"), "the film", 30)
        (slider,) = user.find(marker="shop-slider").elements
        await until(lambda: slider.value == 5, "the film to play to its end")  # type: ignore[attr-defined]
        (play,) = user.find(marker="shop-play").elements
        await until(lambda: play.props["aria-label"] == "Play", "the end to stop it")
        user.find(marker="shop-back").click()
        assert slider.value == 4  # type: ignore[attr-defined]
        await user.should_see("2,304 of 3,600 ratings")  # (4/5)² of 60 × 60
        user.find(marker="shop-next").click()
        await user.should_see("3,600 of 3,600 ratings")
        user.find(marker="shop-play").click()  # from the start again
        await until(lambda: slider.value < 5, "the start")  # type: ignore[attr-defined]
        assert play.props["aria-label"] == "Pause"

    visit(World(), steps, "/shop")


def test_a_film_and_what_the_model_believes_about_it() -> None:
    world = World(learning_seconds=0.02)

    async def steps(user: User) -> None:
        await user.should_see("The Matrix")
        # 3 of 4 users gave 4, one gave 2
        await until(
            lambda: "3.50 ★ on average over 4 users" in text(user, "distribution-status"), ""
        )
        await user.should_see("science")
        # the fake's third film: 3 + 0.54
        await until(lambda: "expects 3.54 ★" in text(user, "belief-status"), "the belief")
        await user.should_see("+0.54")
        await user.should_see("Blade Runner")
        give(user, "3", 5)
        await until(lambda: "expects 5.00 ★" in text(user, "belief-status"), "a new belief")
        await user.should_see("+1.46")  # clipped by the fake at 5
        await until(lambda: world.learned == 1, "the rating")

    visit(world, steps, "/film?item=3")


def test_a_film_that_is_not_there_and_one_without_a_name() -> None:
    async def steps(user: User) -> None:
        await user.should_see("No item has this id.")

    visit(World(), steps, "/film?item=nothing")


def test_a_film_while_the_predictor_is_away_and_after() -> None:
    world = World(predictor_away=True)

    async def steps(user: User) -> None:
        for name in ("film", "belief", "distribution", "similar", "admirers"):
            await until(lambda name=name: "is away" in text(user, f"{name}-status"), name)
        world.predictor_away = False
        await user.should_see("The Matrix", retries=100)
        for name in ("film", "belief", "distribution", "similar"):
            await until(lambda name=name: "away" not in text(user, f"{name}-status"), name)

    visit(world, steps, "/film?item=3")


def test_the_map_and_the_visitor_on_it() -> None:
    world = World(learning_seconds=0.02)

    async def steps(user: User) -> None:
        await user.should_see("Rate a film, and you appear on the map.")
        (chart,) = user.find(marker="map").elements
        names = [series["name"] for series in chart.options["series"]]  # type: ignore[attr-defined]
        assert names == ["animation", "crime", "science"]
        assert sum(len(series["data"]) for series in chart.options["series"]) == 16  # type: ignore[attr-defined]
        world.log.append({"user": "42", "item": "2", "rating": 5.0, "event_id": "0"})
        world.learned = 1
        await user.open("/")
        await until(lambda: bool(user_sees_ranking(user)), "the first page")
        user.find(marker="user-id").type("42")
        user.find(marker="become").click()
        await until(lambda: "user 42" in text(user, "who"), "user 42")
        await user.open("/map")
        (chart,) = user.find(marker="map").elements
        await until(lambda: chart.options["series"][-1]["name"] == "you", "the visitor")  # type: ignore[attr-defined]
        # at Heat's own place, the only film that 42 has rated
        assert chart.options["series"][-1]["data"][0]["value"] == [1.01, 0.0]  # type: ignore[attr-defined]
        await until(lambda: "watch yourself move" in text(user, "near-status"), "the nearest")
        near = list(user.find(kind=FilmRow).elements)
        assert len(near) == 10

    visit(world, steps, "/map")


def test_a_rating_is_taken_back_and_the_list_follows() -> None:
    world = World(learning_seconds=0.02)

    async def steps(user: User) -> None:
        await user.should_see("Toy Story")
        give(user, "3", 5)
        await until(lambda: "Learned" in text(user, "recommended-status"), "the rating")
        assert ranking(user)[0] == "Alien"
        user.find(marker="undo-3").click()
        await until(lambda: ranking(user)[0] == "Toy Story", "the list as it was")
        taken_back = {"user": world.log[0]["user"], "item": "3", "rating": None}
        assert {**world.log[-1], **taken_back} == world.log[-1]
        assert text(user, "who").endswith("0 films rated")
        await user.open("/")
        await until(lambda: text(user, "who").endswith("0 films rated"), "no rating after a reload")

    visit(world, steps)


def test_taking_back_waits_for_ingest_as_a_rating_does() -> None:
    world = World(learning_seconds=0.02)

    async def steps(user: User) -> None:
        await user.should_see("Toy Story")
        give(user, "2", 5)
        await until(lambda: "Learned" in text(user, "recommended-status"), "the rating")
        world.ingest_away = True
        user.find(marker="undo-2").click()
        await until(lambda: "1 rating kept" in text(user, "search-status"), "the word")
        await user.open("/")
        await until(lambda: text(user, "who").endswith("0 films rated"), "the undoing to be kept")
        world.ingest_away = False
        await until(lambda: len(world.log) == 2, "the undoing to be sent")
        await until(lambda: "A dozen" in text(user, "search-status"), "the word gone")
        await asyncio.sleep(10 * REFRESH)
        # once, though the page that was left is still alive and has waited as well
        assert [entry["rating"] for entry in world.log] == [5, None]

    visit(world, steps)


def test_forget_me() -> None:
    world = World(learning_seconds=0.02)

    async def steps(user: User) -> None:
        await user.should_see("Toy Story")
        give(user, "2", 5)
        await until(lambda: "Learned" in text(user, "recommended-status"), "the rating")
        before = text(user, "who")
        world.ingest_away = True
        user.find(marker="forget").click()
        user.find(marker="forget-really").click()
        await user.should_see("Not forgotten: ingest is not available", retries=100)
        assert text(user, "who") == before
        world.ingest_away = False
        user.find(marker="forget").click()
        user.find(marker="forget-really").click()
        await until(lambda: text(user, "who").endswith("0 films rated"), "a new person", 10)
        assert text(user, "who") != before
        assert world.log[-1]["item"] is None
        assert world.log[-1]["user"] == world.log[0]["user"]

    visit(world, steps)


def test_filters_and_sliders_are_wishes_that_survive_a_reload() -> None:
    world = World()

    async def steps(user: User) -> None:
        await user.should_see("Toy Story")
        user.find(marker="filters").click()
        (genres,) = user.find(marker="genres").elements
        await until(lambda: genres.options == ["animation", "crime", "science"], "genres")  # type: ignore[attr-defined]
        genres.value = ["crime"]  # type: ignore[attr-defined]
        await until(lambda: ranking(user)[:2] == ["Heat", "The Godfather"], "crime only")
        (year,) = user.find(marker="year-min").elements
        year.value = 1991  # type: ignore[attr-defined]
        await until(lambda: ranking(user) == ["Heat", "Fargo"], "from 1991 on")
        user.find(marker="novelty").trigger("change", 0.5)
        await until(lambda: ranking(user) == ["Fargo", "Heat"], "the less known first")
        await user.open("/")
        await until(lambda: user_sees_ranking(user) == ["Fargo", "Heat"], "the same after a reload")
        assert text(user, "filters") == "Filters · 3"
        user.find(marker="filters").click()
        (year,) = user.find(marker="year-min").elements
        year.value = 2100  # type: ignore[attr-defined]
        await user.should_see("No film is left: take a filter away.", retries=40)

    visit(world, steps)


def test_why_a_film_is_in_the_list() -> None:
    world = World(learning_seconds=0.02)

    async def steps(user: User) -> None:
        await user.should_see("Toy Story")
        await user.should_see("many people rated it")
        give(user, "3", 5)
        await until(lambda: "Learned" in text(user, "recommended-status"), "the rating")
        await user.should_see("because of The Matrix")
        user.find(marker="why-6").click()
        await user.should_see("The Matrix, which you gave 5")
        await user.should_see("100% of taste")
        # Alien: 3 + 0.45, and what is left of 5 is taste
        await user.should_see("+0.45")
        await user.should_see("+1.55")
        (why,) = user.find(marker="why-6").elements
        assert why.props["aria-expanded"] == "true"

    visit(world, steps)


def test_users_who_rated_last_are_offered() -> None:
    world = World()
    world.log = [{"user": "42", "item": "2", "rating": 4.0, "event_id": "0"}]
    world.learned = 1

    async def steps(user: User) -> None:
        await user.should_see("Toy Story")
        user.find(marker="user-id").trigger("focus")
        await until(
            lambda: any(
                element.props.get("value") == "42"
                for element in user.find(kind=ui.element).elements
                if element.tag == "option"
            ),
            "the offer",
        )

    visit(world, steps)


def test_micro_batches_by_step_and_never_more_than_there_is_room_for() -> None:
    world = World()

    async def steps(user: User) -> None:
        await user.should_see("The bars begin with the first micro-batch.")
        world.stream(3)
        await user.should_see(marker="batches", retries=100)
        (chart,) = user.find(marker="batches").elements
        # steps in the order in which they happen, those not known by name last; 30, 10 and 2 ms
        series = chart.options["series"]  # type: ignore[attr-defined]
        assert [(one["name"], one["data"]) for one in series] == [
            ("learn", [10.0] * 3),
            ("commit", [30.0] * 3),
            ("newer", [2.0] * 3),
        ]
        assert "42 ms and 1,000 ratings in the middle one" in text(user, "batches-status")
        await user.should_see("450")
        assert text(user, "stream-dead") == "7"
        assert user.client is not None
        elements = len(user.client.elements)
        world.stream(500)
        await until(lambda: len(chart.options["series"][0]["data"]) == 60, "sixty bars", 10)  # type: ignore[attr-defined]
        for _ in range(10):
            world.stream(1)
            n = f"{len(world.series):,}"
            await until(lambda n=n: chart.options["xAxis"]["data"][-1] == n, "the next bar")  # type: ignore[attr-defined,misc]
        assert len(user.client.elements) == elements  # nor does what the server keeps of a page
        world.predictor_away = True
        await until(lambda: "last figures known" in text(user, "batches-status"), "the word")

    visit(world, steps, "/live")


def test_a_race_and_who_is_out() -> None:
    world = World()

    async def steps(user: User) -> None:
        await until(lambda: text(user, "race-status") == "None has been run", "the answer")
        await user.should_see("python -m modeler race start")
        world.racing = True
        await user.open("/models")
        await until(
            lambda: (
                text(user, "race-status")
                == "Race 4: 2 of at most 4 contestants, copies with 50% of the learning’s cost"
            ),
            "the race",
        )
        await user.should_see("0.8412")
        await user.should_see("learning rate")
        await user.should_see("Model 5 is out: worse by <b>0.2</b> after 9,000 ratings")
        (chart,) = user.find(marker="race-chart").elements
        lines = chart.options["series"]  # type: ignore[attr-defined]
        # the serving model's curve has not begun; who is out ends where it was taken out
        assert [(line["name"], line["data"][-1]) for line in lines] == [
            ("model 6", [12_000, 0.84]),
            ("model 5, out", [9_000, 1.06]),
        ]
        assert [line["lineStyle"]["type"] for line in lines] == ["solid", "dashed"]
        world.raced = 500
        await until(
            lambda: chart.options["series"][0]["data"][-1] == [12_500, 0.84],  # type: ignore[attr-defined]
            "the curve to go on in the same chart",
        )
        world.predictor_away = True
        await until(lambda: text(user, "pulse") == "predictor away", "the header")

    visit(world, steps, "/models")


def test_versions_are_promoted_rolled_back_and_retired_with_the_key() -> None:
    world = World()

    async def steps(user: User) -> None:
        await user.should_see("Model 2")
        await user.should_see("0.880 / 0.890")
        await user.should_see("0.250")
        assert text(user, "chosen-status") == "Model 1: serves"
        user.find(marker="look-2").click()
        assert text(user, "chosen-status") == "Model 2: 1 other than model 1’s"
        user.find(marker="promote-2").click()
        await user.should_see("Not done: This needs an API key.", retries=50)
        assert world.serving == 1
        user.find(marker="admin-key").type(world.admin_key)
        user.find(marker="promote-2").click()
        await until(lambda: world.serving == 2, "the promotion")
        await until(lambda: text(user, "chosen-status") == "Model 2: serves", "the table")
        user.find(marker="rollback").click()
        await until(lambda: world.serving == 1, "the rollback")
        await user.should_see(marker="retire-2", retries=50)
        user.find(marker="retire-2").click()
        await until(lambda: world.retired == {2}, "the retirement")
        await user.should_see("retired")

    visit(world, steps, "/models")


def test_a_predictor_without_versions_and_one_that_is_away() -> None:
    world = World(versions=False)

    async def steps(user: User) -> None:
        await user.should_see("This predictor keeps no versions of its model.")
        world.predictor_away, world.versions = True, True
        await until(lambda: text(user, "pulse") == "predictor away", "the header")
        world.predictor_away = False
        await user.should_see("Model 2", retries=100)

    visit(world, steps, "/models")


def test_versions_trained_in_batch_are_dashed_lines_of_the_main_figure() -> None:
    world = World()
    world.stream(3)

    async def steps(user: User) -> None:
        await user.should_see(marker="chart", retries=50)
        (chart,) = user.find(marker="chart").elements
        smoothed = chart.options["series"][1]  # type: ignore[attr-defined]
        await until(lambda: bool(smoothed["markLine"]["data"]), "the lines")
        assert smoothed["markLine"]["lineStyle"]["type"] == "dashed"
        assert smoothed["markLine"]["data"] == [
            {"yAxis": 0.88, "name": "model 2, trained in batch"},
            {"yAxis": 0.89, "name": "model 1, trained in batch"},
        ]
        world.als = 0.9123
        await user.open("/live")
        (chart,) = user.find(marker="chart").elements
        mark = chart.options["series"][1]["markLine"]  # type: ignore[attr-defined]
        await until(lambda: len(mark["data"]) == 3, "that of ALS")
        assert (mark["data"][2]["name"], mark["data"][2]["yAxis"]) == ("batch ALS", 0.9123)

    visit(world, steps, "/live")
