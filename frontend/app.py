"""Where the frontend is put together: client, feed, pages, and the service around them."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager

from fastapi import FastAPI
from nicegui import PageArguments, ui
from nicegui import app as nicegui_app
from nicegui.storage import Storage

from frontend import frame
from frontend.api import Api
from frontend.feed import ModelFeed
from frontend.outbox import Outbox, Outboxes
from frontend.pages import Page, Shared, film, for_you, live, models, shop, taste_map
from frontend.projector import Projector, router
from frontend.secret import storage_secret
from frontend.settings import FrontendSettings
from frontend.visit import Visit
from frontend.visitor import Visitor
from service.app import create_app

PAGES: tuple[Page, ...] = (
    for_you.PAGE,
    film.PAGE,
    taste_map.PAGE,
    live.PAGE,
    models.PAGE,
    shop.PAGE,
)
TITLE = "Recommender"
# What arrives this fast is in the first picture; the rest follows over the socket.
FIRST_PICTURE = 0.15  # seconds


def create_root(
    api: Api, feed: ModelFeed, shared: Shared, pages: Sequence[Page] = PAGES
) -> Callable[[], object]:
    """The function that draws everything for one visitor who opens a page."""
    outboxes = Outboxes()

    async def root() -> None:
        visitor = Visitor(nicegui_app.storage.user)
        outbox = outboxes.of(nicegui_app.storage.browser["id"], lambda: Outbox(api, visitor))
        visit = Visit(api, feed, visitor, outbox)
        loading: list[asyncio.Task[None]] = []

        def builder(page: Page) -> Callable[[PageArguments], None]:
            def build(asked: PageArguments) -> None:
                ui.page_title(f"{page.title} · {TITLE}")
                here(page)
                loading.extend(page.build(visit, shared, dict(asked.query_parameters)))

            # NiceGUI looks for the class itself, and annotations are text in this module.
            build.__annotations__["asked"] = PageArguments
            return build

        frame.add_head()
        here = frame.header(visit, pages)
        # No <main>: the frame around all of it, which NiceGUI makes, is one.
        with ui.element("div").classes("content") as content:
            content.props["id"] = "content"
            ui.sub_pages({page.path: builder(page) for page in pages})
        frame.footer(visit)
        visit.attach(content)
        feed.watch()
        if loading:
            await asyncio.wait(loading, timeout=FIRST_PICTURE)
            loading.clear()

    return root


def build(settings: FrontendSettings) -> FastAPI:
    """The whole service: the pages, and health and metrics as every service has them."""
    # These would log what is personal: queries with ids of people, and the visitors' addresses.
    for name in ("httpx", "uvicorn.error"):
        logging.getLogger(name).setLevel(logging.WARNING)
    api = Api.at(str(settings.ingest_url), str(settings.predictor_url), settings.api_key)
    feed = ModelFeed(api, settings.frontend_refresh_seconds)
    projector = Projector()
    shared = Shared((settings.rating_min, settings.rating_max), projector)

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        yield
        await projector.stop()
        await feed.stop()
        await api.close()

    service = create_app(TITLE, settings, routers=[router(projector)], lifespan=lifespan)
    secret = settings.frontend_storage_secret
    Storage.path = settings.frontend_state.resolve()  # of the class: NiceGUI asks it, not the app's
    ui.run_with(
        service,
        root=create_root(api, feed, shared),
        title=TITLE,
        favicon=frame.STATIC / "icon.svg",
        dark=None,
        language="en-US",
        tailwind=False,  # the style sheet is our own: nothing to compile in the browser
        storage_secret=(
            secret.get_secret_value() if secret else storage_secret(settings.frontend_state)
        ),
        show_welcome_message=False,
        reconnect_timeout=10.0,
    )
    return service
