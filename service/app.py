"""The factory of HTTP services: one call wires errors, health, metrics, request ids and limits."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from copy import copy
from importlib.metadata import PackageNotFoundError
from importlib.metadata import version as installed_version
from typing import Any

from fastapi import APIRouter, FastAPI
from fastapi.middleware.cors import CORSMiddleware
from fastapi.routing import APIRoute
from fastapi_offline import FastAPIOffline

from service import metrics, traces
from service.health import Readiness, always_ready, health_router
from service.keys import Keys
from service.problems import Problem, add_problem_handlers, problem_responses
from service.requests import RequestMiddleware
from service.settings import HttpSettings
from service.transfer import TransferMiddleware

Lifespan = Callable[[FastAPI], AbstractAsyncContextManager[None]]


def create_app(
    title: str,
    settings: HttpSettings,
    *,
    description: str = "",
    routers: Sequence[APIRouter] = (),
    readiness: Readiness = always_ready,
    lifespan: Lifespan | None = None,
    uploads: Mapping[str, int] | None = None,
    writes: bool | str = False,
) -> FastAPI:
    """Build a service.

    Parameters
    ----------
    title : str
        Name of the service, shown in OpenAPI.
    settings : HttpSettings
        Limits; also kept as ``app.state.settings``.
    description : str
        What the service does, Markdown, shown in OpenAPI.
    routers : sequence of APIRouter
        The service's own routes.
    readiness : Readiness
        Gives the reasons why the service cannot work now.
    lifespan : Lifespan, optional
        Opens what the service needs before the first request and closes it after the last.
    uploads : mapping of str to int, optional
        Largest body, bytes, of those addresses that read it part by part.
    writes : bool or str
        Whether requests other than `GET` change something, or below which path they do: those need
        an API key, if any are set.

    Returns
    -------
    FastAPI
        With ``/health/live``, ``/health/ready``, ``/metrics``, ``/docs`` and ``/openapi.json``
        beside the given routes; every error a problem (`service.problems`).
    """
    app = FastAPIOffline(  # /docs from our own files: a laptop or a cluster may have no internet
        title=title,
        description=description,
        version=_version(),
        lifespan=lifespan,
        redoc_url=None,
        responses=problem_responses(422, 500),
    )
    app.state.settings = settings
    add_problem_handlers(app)
    documents = app.router.routes[:]
    app.router.routes.clear()
    for router in (*routers, health_router(readiness), metrics.router):
        _take_over(app, router)
    app.router.routes += documents  # routes are tried one after the other: what is asked for seldom
    app.add_middleware(TransferMiddleware)
    keys = settings.http_api_keys.get_secret_value() if writes and settings.http_api_keys else ""
    app.add_middleware(
        RequestMiddleware,
        max_body=settings.http_max_body,
        uploads=uploads or {},
        keys=Keys.listed(keys, below=writes if isinstance(writes, str) else "/"),
    )
    if origins := [one.strip() for one in settings.http_cors_origins.split(",") if one.strip()]:
        # Around all others: a page must be able to read errors, too.
        app.add_middleware(
            CORSMiddleware,
            allow_origins=origins,
            allow_methods=["*"],
            allow_headers=["*"],
            expose_headers=["X-Request-ID", "ETag", "Retry-After"],
        )
    if traces.wanted():
        traces.trace(app, title)
    _describe_problem(app, writes)
    return app


def _take_over(app: FastAPI, router: APIRouter) -> None:
    """Make a router's routes the application's own, with the errors that all of them answer with.

    With `include_router` each request would be matched twice by all routes of its router: to find
    the router, and again to find the route in it. That is a tenth of what a recommendation costs.
    """
    for one in router.routes:
        route = copy(one)
        if isinstance(route, APIRoute):
            route.responses = {**app.router.responses, **route.responses}
        app.router.routes.append(route)


_NO_KEY = {str(status): described for status, described in problem_responses(401).items()}
_NO_ADDRESS = {str(status): described for status, described in problem_responses(404).items()}
_TOO_LARGE = {str(status): described for status, described in problem_responses(413).items()}


def _version() -> str:
    try:
        return installed_version("recommender")
    except PackageNotFoundError:  # run from a checkout
        return "0+checkout"


def _describe_problem(app: FastAPI, writes: bool | str) -> None:
    """Tell OpenAPI what routes need not: the errors' schema, and that bodies are limited."""
    generate = app.openapi
    below = writes if isinstance(writes, str) else "/"

    def openapi() -> dict[str, Any]:
        schema = generate()
        schemas = schema.setdefault("components", {}).setdefault("schemas", {})
        if "Problem" not in schemas:
            described = Problem.model_json_schema(ref_template="#/components/schemas/{model}")
            schemas.update(described.pop("$defs", {}))
            schemas["Problem"] = described
            for path, methods in schema["paths"].items():
                for method, operation in methods.items():
                    if "{" in path:  # with a line break in it, it is no address at all
                        operation["responses"].update(_NO_ADDRESS)
                    if "requestBody" in operation:
                        operation["responses"].update(_TOO_LARGE)
                    if writes and method != "get" and path.startswith(below):
                        operation["responses"].update(_NO_KEY)
                        operation["security"] = [{}, {"key": []}]
            if writes:
                schema["components"]["securitySchemes"] = {
                    "key": {"type": "http", "scheme": "bearer"}
                }
        return schema

    app.openapi = openapi  # type: ignore[method-assign]
