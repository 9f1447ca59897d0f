"""README.md and docs/ say what the code has: routes, commands, make targets, folders, links."""

from __future__ import annotations

import re
import shlex
import subprocess
from importlib import import_module
from pathlib import Path

import pytest
import typer
from fastapi import FastAPI

import ingest.app
import predictor.app
from ingest.settings import IngestSettings
from predictor.settings import PredictorSettings

REPOSITORY = Path(__file__).parents[3]
README = REPOSITORY / "README.md"
API = REPOSITORY / "docs" / "api.md"
PAGES = [README, REPOSITORY / "CHANGELOG.md", *sorted((REPOSITORY / "docs").glob("*.md"))]
MAKEFILE = (REPOSITORY / "Makefile").read_text()
ROUTE = re.compile(r"`(GET|POST|PUT|PATCH|DELETE) (/[^`?]*)")


def routes(*apps: FastAPI) -> set[tuple[str, str]]:
    return {
        (method.upper(), path)
        for app in apps
        for path, methods in app.openapi()["paths"].items()
        for method in methods
    }


INGEST = routes(ingest.app.build(IngestSettings()))
PREDICTOR = routes(predictor.app.build(PredictorSettings()))


def in_tables(text: str) -> list[tuple[str, str]]:
    """The routes that begin a line of a table."""
    lines = [line.removeprefix("| ") for line in text.splitlines() if line.startswith("| `")]
    return [match.groups() for line in lines if (match := ROUTE.match(line))]  # type: ignore[misc]


def section(text: str, heading: str) -> str:
    """From a heading to the next of its level."""
    level = heading.split()[0]
    return text.partition(f"\n{heading}\n")[2].partition(f"\n{level} ")[0]


@pytest.mark.parametrize("page", [README, API], ids=lambda page: page.name)
def test_every_route_has_its_line_and_no_line_is_of_a_route_that_is_gone(page: Path) -> None:
    listed = in_tables(page.read_text())
    assert len(listed) == len(set(listed))
    assert set(listed) == INGEST | PREDICTOR


def test_routes_are_listed_under_the_service_that_has_them() -> None:
    api = section(README.read_text(), "## API")
    of_ingest, _, rest = api.partition("\n**predictor**")
    of_predictor, _, of_both = rest.partition("\n**each of them**")
    assert set(in_tables(of_both)) == INGEST & PREDICTOR
    assert set(in_tables(of_ingest)) == INGEST - PREDICTOR
    assert set(in_tables(of_predictor)) == PREDICTOR - INGEST


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_leads_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\((?!https?://)([^)\s]+)\)", page.read_text()):
        path, _, anchor = target.partition("#")
        file = (page.parent / path).resolve() if path else page
        assert file.exists(), target
        if anchor:
            headings = re.findall(r"^#+ (.+)$", file.read_text(), re.MULTILINE)
            assert anchor in {as_anchor(heading) for heading in headings}, target


def as_anchor(heading: str) -> str:
    """What GitHub makes of a heading."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_make_target_and_its_variables_exist(page: Path) -> None:
    text = page.read_text()
    targets = set(re.findall(r"^([a-z-]+):", MAKEFILE, re.MULTILINE))
    variables = set(re.findall(r"^([A-Z]+) \?=", MAKEFILE, re.MULTILINE))
    for target, given in re.findall(r"(?:`|^)make ([a-z-]+)((?: [A-Z]+=\S+)*)", text, re.MULTILINE):
        assert target in targets
        assert {word.partition("=")[0] for word in given.split()} <= variables


def test_the_makefile_says_what_each_target_does() -> None:
    said = subprocess.run(
        ["make", "help"], cwd=REPOSITORY, check=True, capture_output=True, text=True
    ).stdout
    targets = set(re.findall(r"^\.PHONY: (.+)$", MAKEFILE, re.MULTILINE)[0].split())
    assert set(re.findall(r"^  make (\S+)", said, re.MULTILINE)) == targets - {"help", "venv"} | {
        "help"
    }


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_command_exists_with_its_options(page: Path) -> None:
    for line in re.findall(r"python -m ([^`\n|)]+)", page.read_text()):
        module, *arguments = shlex.split(line, comments=True)
        if not (REPOSITORY / module.replace(".", "/")).is_dir():
            assert (REPOSITORY / (module.replace(".", "/") + ".py")).exists(), line
            continue
        group: object = typer.main.get_command(import_module(f"{module}.__main__").app)
        for word in arguments:
            if word.isupper() and hasattr(group, "commands"):
                break  # stands for any of the commands
            if word.startswith("--"):
                assert word in options(group), line
            elif (commands := getattr(group, "commands", None)) and word in commands:
                group = commands[word]
            elif commands:
                assert not re.fullmatch(r"[a-z-]+", word), line


def options(command: object) -> set[str]:
    return {name for parameter in getattr(command, "params", []) for name in parameter.opts}


def test_every_folder_of_the_repository_is_described() -> None:
    tracked = subprocess.run(
        ["git", "ls-files"], cwd=REPOSITORY, check=True, capture_output=True, text=True
    ).stdout.splitlines()
    folders = {path.partition("/")[0] for path in tracked if "/" in path}
    where = section(README.read_text(), "## Where things are")
    described = set(re.findall(r"^\| `([a-z]+)/`", where, re.MULTILINE))
    assert described == {folder for folder in folders if not folder.startswith(".")}


def test_pictures_are_small_and_all_shown() -> None:
    pictures = sorted((REPOSITORY / "docs" / "images").glob("*"))
    assert pictures
    pages = "".join(page.read_text() for page in PAGES)
    for picture in pictures:
        assert picture.stat().st_size <= 300_000, picture
        assert picture.name in pages, f"{picture} is on no page"
