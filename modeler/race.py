"""``python -m modeler race``: let other settings learn the live stream beside the serving model."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Annotated, Any

import typer
from pydantic import ValidationError
from rich.console import Console
from rich.table import Table
from rich.text import Text

from modeler.showing import number
from recommender.errors import InvalidInput, Refused
from recommender.model_settings import ModelSettings
from recommender.race import RaceSettings
from recommender.settings import load
from storage.models import Registry
from storage.races import COPIED, copy_model, described_race, start_race, stop_race
from storage.settings import PostgresSettings

race = typer.Typer(
    no_args_is_help=True, help="Settings that learn the live stream side by side, the worse go."
)

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


class RaceJobSettings(RaceSettings, PostgresSettings):
    """Settings of ``python -m modeler race``."""


@race.command()
def start(
    set_: Annotated[
        list[str] | None,
        typer.Option(
            "--set", metavar="NAME=VALUE,...", help="One contestant: what it has otherwise."
        ),
    ] = None,
) -> None:
    """Begin: a copy of the serving model for each --set, and the serving model itself."""
    with _registry() as (registry, settings):
        serving = registry.serving()
        if serving is None:
            raise Refused("there is no serving model yet: start the stream first")
        wanted = [(text, _changed(text, serving.settings)) for text in set_ or ()]
        if not wanted:
            raise InvalidInput("--set", None, "at least one contestant")
        if len(wanted) >= settings.race_width:
            allowed = f"at most {settings.race_width - 1} (RECOMMENDER_RACE_WIDTH, one serves)"
            raise InvalidInput("--set", f"{len(wanted)} times", allowed)
        kept = RaceSettings.model_validate(
            {name: getattr(settings, name) for name in RaceSettings.model_fields}
        )
        begun = start_race(registry, kept.model_dump(mode="json"))
        for text, changed in wanted:
            model = copy_model(settings, serving.model, changed, begun, f"in race {begun}: {text}")
            typer.echo(f"model {model}: {text}")


@race.command()
def status(as_json: AsJson = False) -> None:
    """Who runs, who is out and why, and what it costs."""
    with _registry() as (registry, _):
        found = described_race(registry)
    if as_json:
        typer.echo(json.dumps(found))
        return
    console = Console()
    if found["race"] is None:
        console.print("no race has been run")
        return
    table = Table("model", "status", "RMSE", "ratings", *COPIED, title=f"race {found['race']}")
    for one in found["contestants"]:
        values = [number(one["settings"].get(name)) for name in COPIED]
        table.add_row(
            str(one["model"]), one["status"], number(one["rmse"]), number(one["ratings"]), *values
        )
    console.print(table)
    for one in found["out"]:
        console.print(Text(f"model {one['model']}: {one['reason']}"))
    console.print(Text(f"{found['state']}: {found['reason']}"))
    cost = found["cost"]
    console.print(
        f"cost: {cost['copies']} copies (the race may have {cost['width']} contestants), "
        f"{cost['rows']:,} rows, at most {cost['share']:.0%} of a micro-batch's time"
    )


@race.command()
def stop(
    reason: Annotated[str, typer.Option(help="Why, for people.")] = "stopped by hand",
) -> None:
    """End it: copies that never served are retired. Promote the one you want first."""
    with _registry() as (registry, _):
        typer.echo(f"race {stop_race(registry, reason)} ended")


def _changed(text: str, own: Any) -> dict[str, float | int]:
    changed: dict[str, str] = {}
    for part in text.split(","):
        name, equals, value = part.partition("=")
        if not equals or name not in COPIED:
            raise InvalidInput("--set", part, f"NAME=VALUE, NAME one of {', '.join(COPIED)}")
        changed[name] = value
    try:
        made = ModelSettings.model_validate({**own, **changed})
    except ValidationError as error:
        problems = "; ".join(_said(error.errors()))
        raise InvalidInput("--set", text, problems) from error
    return {name: getattr(made, name) for name in changed}


def _said(problems: Iterable[Any]) -> Iterator[str]:
    for one in problems:
        yield f"{'.'.join(str(part) for part in one['loc'])}: {one['msg']}"


@contextmanager
def _registry() -> Iterator[tuple[Registry, RaceJobSettings]]:
    settings = load(RaceJobSettings)
    registry = Registry(settings)
    try:
        yield registry, settings
    finally:
        registry.close()
