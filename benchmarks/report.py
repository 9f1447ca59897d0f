"""How a benchmark's figures are printed, and on what machine they were measured."""

from __future__ import annotations

import json
import math
import os
import platform
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

Json = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]


def machine() -> dict[str, Any]:
    """What the figures depend on most."""
    return {
        # Those that this process may use: containers and taskset grant fewer than there are.
        "cores": len(os.sched_getaffinity(0))
        if hasattr(os, "sched_getaffinity")
        else os.cpu_count(),
        "processor": platform.machine(),
        "python": platform.python_version(),
    }


def show(name: str, figures: dict[str, Any], as_json: bool) -> None:
    """Print figures (nested at will) as one JSON object, or as a table for people."""
    report = {"benchmark": name, **figures, "machine": machine()}
    if as_json:
        typer.echo(json.dumps(_without_nan(report), allow_nan=False))
        return
    console = Console()
    console.print(_columns(name, {"value": figures}))
    for label, value in figures.items():
        if isinstance(value, dict) and value and all(isinstance(v, dict) for v in value.values()):
            console.print(_columns(label, value))
        elif isinstance(value, dict) and value:
            console.print(_columns(label, {"value": value}))


def _columns(title: str, columns: dict[str, dict[str, Any]]) -> Table:
    """A table with one column for each dict and one row for each plain figure in them."""
    table = Table(title=title, show_header=len(columns) > 1)
    table.add_column("figure", no_wrap=True)
    for name in columns:
        table.add_column(name, justify="right")
    figures = dict.fromkeys(figure for column in columns.values() for figure in column)
    for figure in figures:
        values = [column.get(figure, "") for column in columns.values()]
        if not any(isinstance(value, dict) for value in values):
            table.add_row(figure, *map(_text, values))
    return table


def _text(value: object) -> str:
    if isinstance(value, float):
        return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{value:,}"
    return str(value)


def _without_nan(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _without_nan(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [_without_nan(inner) for inner in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
