"""``--set NAME=VALUE``: settings of the methods at the command line.

The names are those of the environment variables, in small letters and without their prefix, as in
docs/settings.md; an option goes before a variable.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import StrEnum
from typing import Annotated, Any, TypeVar

import typer
from pydantic import ValidationError

from modeler.als_settings import AlsSettings, ImplicitAlsSettings
from modeler.refit_way import RefitWaySettings
from recommender.ease import EaseSettings
from recommender.errors import InvalidInput, InvalidSetting
from recommender.item_knn import KnnSettings
from recommender.model_settings import ModelSettings
from recommender.settings import PREFIX, Settings

SomeSettings = TypeVar("SomeSettings", bound=Settings)


class Order(StrEnum):
    """The order in which ratings are learned."""

    file = "file"
    time = "time"


SetOption = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="NAME=VALUE", help="A setting of a method: docs/settings.md."),
]


def known() -> dict[str, type[Settings]]:
    """Every setting of every method, by name, and where it belongs."""
    kinds: tuple[type[Settings], ...] = (
        ModelSettings,
        RefitWaySettings,
        AlsSettings,
        ImplicitAlsSettings,
        KnnSettings,
        EaseSettings,
    )
    return {name: kind for kind in kinds for name in kind.model_fields}


def parse(given: Iterable[str] | None) -> dict[str, str]:
    """The settings given by ``--set``.

    Raises
    ------
    InvalidInput
        If one has no ``=``, or names no setting.
    """
    parsed: dict[str, str] = {}
    for text in given or ():
        name, equals, value = text.partition("=")
        if not equals:
            raise InvalidInput("--set", text, "NAME=VALUE")
        if name not in known():
            raise InvalidInput("--set", name, f"one of {', '.join(sorted(known()))}")
        parsed[name] = value
    return parsed


def given_settings(kind: type[SomeSettings], given: Mapping[str, Any]) -> SomeSettings:
    """Settings of one kind, from what was given, else the environment.

    Raises
    ------
    InvalidSetting
        Naming each wrong one, its value and what is allowed.
    """
    own = {name: value for name, value in given.items() if name in kind.model_fields}
    try:
        return kind(**own)
    except ValidationError as error:
        raise InvalidSetting("; ".join(_complaint(one, own) for one in error.errors())) from error


def _complaint(problem: Any, given: Mapping[str, Any]) -> str:
    if not problem["loc"]:
        return str(problem["msg"]).removeprefix("Value error, ")
    name = str(problem["loc"][0])
    source = f"--set {name}" if name in given else PREFIX + name.upper()
    return f"{source}={problem['input']!r}: {problem['msg']}"
