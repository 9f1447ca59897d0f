"""A person at the terminal: a file of ratings, and commands asked for JSON."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from typer.testing import CliRunner

from modeler.__main__ import app
from recommender.datasets import Dataset


def write_ratings(path: Path, ratings: Dataset) -> Path:
    """Write ratings as CSV; the path again."""
    columns = (ratings.users.to_pylist(), ratings.items.to_pylist(), ratings.ratings.tolist())
    lines = (f"{user},{item},{rating}\n" for user, item, rating in zip(*columns, strict=True))
    path.write_text("user,item,rating\n" + "".join(lines))
    return path


def modeler(*arguments: str) -> dict[str, Any]:
    """What ``python -m modeler`` tells with ``--json``; its error is raised here."""
    result = CliRunner().invoke(app, [*arguments, "--json"])
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)  # type: ignore[no-any-return]
