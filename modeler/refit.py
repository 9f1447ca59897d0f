"""``python -m modeler refit``: train a model from all stored ratings and put it in the stream."""

from __future__ import annotations

import json
import os
from typing import Annotated

import typer
from rich.console import Console

from modeler.method_options import SetOption, given_settings, parse
from modeler.refitting import RefitJobSettings, refit_beside, told
from modeler.showing import bar
from recommender.errors import InvalidInput
from recommender.model_settings import ModelSettings
from service.logs import configure_logs
from storage.models import Registry
from storage.settings import PublishSettings

# Those that a refit decides itself, or that must be as the serving model has them.
_FIXED = frozenset({"rank", "ranking_rank", "rating_min", "rating_max"})


def refit(
    set_: SetOption = None,
    promote: Annotated[
        bool, typer.Option("--force-promote", help="Promote it at once, without the gate.")
    ] = False,
    reason: Annotated[str, typer.Option(help="Why, for people who read the list.")] = "by hand",
    niceness: Annotated[
        int, typer.Option(min=0, max=19, help="How far others go before it: 0 to 19.")
    ] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Train a model from all stored ratings; it catches up with the stream and is a candidate.

    The stream goes on meanwhile. `models promote` puts it in service once it has passed the gate.
    """
    configure_logs("info")
    os.nice(niceness)
    given = parse(set_)
    if fixed := _FIXED & given.keys():
        name = sorted(fixed)[0]
        raise InvalidInput("--set", name, "refit_rank and refit_ranking_rank; the scale is fixed")
    own = {name: value for name, value in given.items() if name in ModelSettings.model_fields}
    settings = given_settings(RefitJobSettings, given)
    with bar("refit") as show:
        joined = refit_beside(settings, own, f"a refit ({reason})", told(show))
    model = joined.version.model
    if promote:
        registry = Registry(settings)
        try:
            registry.promote(model, given_settings(PublishSettings, given), force=True)
        finally:
            registry.close()
    if as_json:
        typer.echo(
            json.dumps(
                {
                    "model": model,
                    "trained_on": joined.snapshot,
                    "caught_up": joined.caught_up,
                    "seconds": joined.seconds,
                    "metrics": dict(joined.version.metrics),
                }
            )
        )
        return
    figures = ", ".join(
        f"{name} {value:.4f}"
        for name, value in joined.version.metrics.items()
        if name in ("rmse", "mae", "ndcg@10", "als_rmse")
    )
    Console().print(
        f"model {model} {'serves' if promote else 'is a candidate'}: trained on "
        f"{joined.snapshot:,} ratings in {joined.seconds['training']:.1f} s"
        + (f" ({figures} on its validation part)" if figures else "")
        + f", caught up {joined.caught_up:,}",
        highlight=False,
        soft_wrap=True,
    )
