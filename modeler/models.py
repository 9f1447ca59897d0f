"""``python -m modeler models``: which models there are, which one serves; put one in service."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from modeler.showing import number
from modeler.steps import Change, reached
from recommender.settings import load
from storage.models import Registry
from storage.settings import PostgresSettings, PublishSettings

models = typer.Typer(
    no_args_is_help=True, help="Models: see them, put one in service, take it back."
)

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Number = Annotated[int, typer.Argument(help="The model's number.")]

_STYLES = {"serving": "green", "retired": "dim"}


class RegistrySettings(PublishSettings, PostgresSettings):
    """Where the registry is, and what it takes to serve."""


@models.command("list")
def list_models(as_json: AsJson = False) -> None:
    """All models, the latest first."""
    with _registry() as (registry, settings):
        found = [one.described() for one in registry.judged(settings)]
    if as_json:
        typer.echo(json.dumps({"models": found}))
        return
    table = Table("model", "status", "parent", "ratings", "RMSE", "serving's", "gate", "reason")
    for one in found:
        measured = one["prequential"]
        table.add_row(
            str(one["model"]),
            one["status"],
            number(one["parent"]),
            number(one["ratings"]),
            number(measured["rmse"]),
            number(measured["rmse_serving"]),
            one["gate"]["state"],
            Text(one["reason"]),
            style=_STYLES.get(one["status"]),
        )
    Console().print(table)


@models.command()
def show(model: Number, as_json: AsJson = False) -> None:
    """One model, with its settings and figures."""
    with _registry() as (registry, settings):
        (found,) = registry.judged(settings, model)
    described = found.described()
    if as_json:
        typer.echo(json.dumps(described))
        return
    table = Table("what", "value", show_header=False)
    for name, value in described.items():
        table.add_row(name, Text(value if isinstance(value, str) else json.dumps(value)))
    Console().print(table)


@models.command()
def promote(
    model: Number,
    force: Annotated[bool, typer.Option("--force", help="Whatever the gate says.")] = False,
    as_json: AsJson = False,
) -> None:
    """Put a candidate in service; the model that served goes on learning, for a rollback."""
    with _registry() as (registry, settings):
        registry.promote(model, settings, force=force, written=lambda: reached(Change.PROMOTING))
        reached(Change.PROMOTED)
        _told(registry, settings, model, as_json)


@models.command()
def rollback(as_json: AsJson = False) -> None:
    """Put the model that served before back in service."""
    with _registry() as (registry, settings):
        model = registry.rollback(written=lambda: reached(Change.ROLLING_BACK))
        reached(Change.ROLLED_BACK)
        _told(registry, settings, model, as_json)


@models.command()
def retire(model: Number, as_json: AsJson = False) -> None:
    """Take a model out of use, and drop its rows; not the one that serves."""
    with _registry() as (registry, settings):
        registry.retire(model, written=lambda: reached(Change.RETIRING))
        reached(Change.RETIRED)
        _told(registry, settings, model, as_json)


def _told(registry: Registry, settings: RegistrySettings, model: int, as_json: bool) -> None:
    (found,) = registry.judged(settings, model)
    described: dict[str, Any] = found.described()
    if as_json:
        typer.echo(json.dumps(described))
    else:
        line = f"model {model} is {described['status']}: {described['reason']}"
        Console().print(line, highlight=False, soft_wrap=True, markup=False)


@contextmanager
def _registry() -> Iterator[tuple[Registry, RegistrySettings]]:
    settings = load(RegistrySettings)
    registry = Registry(settings)
    try:
        yield registry, settings
    finally:
        registry.close()
