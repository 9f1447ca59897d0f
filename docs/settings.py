"""Writes ``docs/settings.md`` from the code: ``python -m docs.settings``.

It belongs to no room, since it has to see the settings of all of them.
"""

from __future__ import annotations

import ast
import inspect
import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

from pydantic import SecretStr
from pydantic_core import PydanticUndefined

from recommender.settings import PREFIX, Settings

REPOSITORY = Path(__file__).parent.parent
PAGE = REPOSITORY / "docs" / "settings.md"
ROOMS = (
    *("recommender", "storage", "service", "ingest", "modeler", "predictor", "frontend"),
    *("local", "benchmarks", "deploy"),
)

INTRODUCTION = """# Settings

Environment variables. A wrong value stops the service at its start with one sentence that names the
variable, its value and what is allowed. `RECOMMENDER_SETTINGS_FILE` may name a file of further
ones, one `NAME=value` a line; a variable of the environment goes before one of the file. This page
is written by `python -m docs.settings` from the code; a test compares the two.
"""


def settings_classes() -> list[type[Settings]]:
    """Every settings model of the repository, in the order of the rooms."""
    found = []
    for room in ROOMS:
        for path in sorted((REPOSITORY / room).rglob("*.py")):
            names = _classes_of_settings(path)
            if names:
                module = import_module(".".join(path.relative_to(REPOSITORY).with_suffix("").parts))
                found += [getattr(module, name) for name in names]
    return [kind for kind in found if kind is not Settings]


def _classes_of_settings(path: Path) -> list[str]:
    """Classes at the top of a module whose bases look like settings; without importing it."""
    return [
        node.name
        for node in ast.parse(path.read_text()).body
        if isinstance(node, ast.ClassDef)
        and any(isinstance(base, ast.Name) and base.id.endswith("Settings") for base in node.bases)
        and node.name != "Settings"
    ]


def page() -> str:
    """The whole page, Markdown."""
    return "\n".join([INTRODUCTION, *(_section(kind) for kind in settings_classes())])


def _section(kind: type[Settings]) -> str:
    lines = [f"## {_title(kind)}", "", _first_sentence(kind), ""]
    also = [_link(base) for base in kind.__mro__[1:] if _is_section(base)]
    if also:
        lines += [f"Reads also: {', '.join(also)}.", ""]
    rows = list(_rows(kind))
    if rows:
        lines += ["| variable | default | allowed | meaning |", "|---|---|---|---|", *rows, ""]
    return "\n".join(lines)


def _is_section(kind: type) -> bool:
    return issubclass(kind, Settings) and kind is not Settings


def _title(kind: type) -> str:
    return kind.__name__.removesuffix("Settings")


def _link(kind: type) -> str:
    return f"[{_title(kind)}](#{_title(kind).lower()})"


def _first_sentence(kind: type) -> str:
    return (kind.__doc__ or "").strip().split("\n\n")[0].replace("\n", " ")


def _rows(kind: type[Settings]) -> Iterator[str]:
    schema = kind.model_json_schema(mode="validation")
    own = inspect.get_annotations(kind)
    for name, field in kind.model_fields.items():
        if name in own:
            allowed = _allowed(_resolved(schema["properties"][name], schema.get("$defs", {})))
            cells = (f"`{PREFIX}{name.upper()}`", _default(field.default), allowed)
            meaning = (field.description or "").replace("|", "\\|")
            yield f"| {' | '.join(cells)} | {meaning} |"


def _resolved(schema: dict[str, Any], definitions: dict[str, Any]) -> dict[str, Any]:
    if "$ref" in schema:
        return {**definitions[schema["$ref"].rpartition("/")[2]], **schema}
    return schema


def _default(value: Any) -> str:
    if value is PydanticUndefined:
        return "none: must be set"
    if value is None or value == "":
        return "unset"
    if isinstance(value, SecretStr):
        return "secret"
    if isinstance(value, Path) and value.is_relative_to(REPOSITORY):
        value = value.relative_to(REPOSITORY)  # no machine's own folders in documentation
    return f"`{value}`"


def _allowed(schema: dict[str, Any]) -> str:
    if "anyOf" in schema:
        return " or ".join(
            "unset" if part.get("type") == "null" else _allowed(part) for part in schema["anyOf"]
        )
    if "enum" in schema:
        return ", ".join(f"`{value}`" for value in schema["enum"])
    words = {"integer": "whole number", "number": "number", "boolean": "`true`, `false`"}
    kind = schema.get("format") or words.get(schema.get("type", ""), "text")
    return " ".join(
        [{"path": "path", "uri": "URL", "password": "text"}.get(kind, kind), *_limits(schema)]
    )


def _limits(schema: dict[str, Any]) -> Iterator[str]:
    if "minimum" in schema and "maximum" in schema:
        yield f"from {_plain(schema['minimum'])} to {_plain(schema['maximum'])}"
        schema = {key: value for key, value in schema.items() if key not in {"minimum", "maximum"}}
    for key, text in _LIMITS.items():
        if key in schema:
            yield text.format(_plain(schema[key]))


_LIMITS = {
    "minimum": "≥ {}",
    "exclusiveMinimum": "> {}",
    "maximum": "≤ {}",
    "exclusiveMaximum": "< {}",
    "minLength": "≥ {} characters",
    "maxLength": "≤ {} characters",
    "pattern": "like `{}`",
}


def _plain(limit: object) -> object:
    return int(limit) if isinstance(limit, float) and limit.is_integer() else limit


if __name__ == "__main__":
    PAGE.write_text(page())
    sys.stdout.write(f"{PAGE.relative_to(REPOSITORY)} written\n")
