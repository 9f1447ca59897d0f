"""``python -m recommender recommend``, from a zip like MovieLens's with two groups of taste."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from modeler.__main__ import app as modeler
from recommender.__main__ import app
from recommender.errors import InvalidInput

NAMES = """
    Alpha Bravo Charlie Delta Echo Foxtrot Golf Hotel India Juliett Kilo Lima Mike November Oscar
    Papa Quebec Romeo Sierra Tango Uniform Victor Whiskey Xray Yankee Zulu
""".split()  # noqa: SIM905
HEROES = [f"Hero {name} (2001)" for name in NAMES]
LOVES = [f"Love {name} (2002)" for name in NAMES]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two hundred people: half rate heroes highly and love low, half the other way round."""
    random = np.random.default_rng(1)
    titles = HEROES + LOVES
    ratings = ["userId,movieId,rating,timestamp"]
    for user in range(200):
        for item in random.permutation(52)[:25].tolist():
            likes = (item < 26) == (user % 2 == 0)
            if likes or random.random() < 0.2:
                ratings.append(f"{user},{item + 100},{5.0 if likes else 1.0},{user}")
    movies = ["movieId,title,genres"]
    movies += [f"{item + 100},{title},Drama" for item, title in enumerate(titles)]
    path = tmp_path_factory.mktemp("data") / "tiny.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("tiny/ratings.csv", "\n".join(ratings))
        archive.writestr("tiny/movies.csv", "\n".join(movies))
    return path


def run(*arguments: str) -> str:
    result = CliRunner().invoke(app, ["recommend", *arguments])
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == 0, result.output
    return result.stdout


def recommended(*arguments: str) -> dict[str, Any]:
    return json.loads(run(*arguments, "--json"))  # type: ignore[no-any-return]


@pytest.mark.parametrize("method", ["knn", "bsgd", "hybrid"])
def test_who_likes_heroes_gets_heroes(data: Path, method: str) -> None:
    found = recommended(
        *("--data", str(data), "--method", method, "--top", "3"),
        *("--movie", "hero alfa", "--movie", "Hero Bravo=4.5", "--movie", "love lima=1"),
    )

    assert [(film["title"], film["rating"]) for film in found["movies"]] == [
        ("Hero Alpha (2001)", 5.0),
        ("Hero Bravo (2001)", 4.5),
        ("Love Lima (2002)", 1.0),
    ]
    titles = [row["title"] for row in found["recommended"]]
    assert len(titles) == 3
    assert not {"Hero Alpha (2001)", "Hero Bravo (2001)", "Love Lima (2002)"} & set(titles)
    # B-SGD gives newcomers of three ratings popular films beside, as the service does.
    assert len(set(titles) & set(HEROES)) >= (2 if method == "bsgd" else 3)


def test_the_hybrid_share(data: Path) -> None:
    given = ("--data", str(data), "--method", "hybrid", "--top", "4", "--movie", "hero alpha")

    known, mixed = (recommended(*given, "--share", share) for share in ("0", "0.5"))

    knn = recommended("--data", str(data), "--method", "knn", "--top", "4", "--movie", "hero alpha")
    assert known["recommended"] == knn["recommended"]
    most_rated = max(
        known["recommended"] + mixed["recommended"], key=lambda row: int(row["ratings"])
    )
    assert most_rated not in [mixed["recommended"][place] for place in (1, 3)]


def test_a_model_of_fit(data: Path, tmp_path: Path) -> None:
    path = tmp_path / "model.npz"
    fitted = CliRunner().invoke(
        modeler, ["fit", "--data", str(data), "--method", "ease", "--output", str(path), "--json"]
    )
    assert fitted.exit_code == 0, fitted.output

    found = recommended("--model", str(path), "--movie", "hero alfa", "--top", "5")

    assert {row["title"] for row in found["recommended"]} < set(HEROES) - {"Hero Alpha (2001)"}


def test_a_file_without_titles_is_searched_by_id(tmp_path: Path) -> None:
    path = tmp_path / "plain.csv"
    path.write_text("user,item,rating\na,tea,5\na,milk,4\nb,tea,4\nb,milk,5\nc,beer,3\nc,tea,1\n")

    found = recommended("--data", str(path), "--movie", "tea", "--method", "knn", "--top", "1")

    assert found["recommended"] == [{"item": "milk", "title": "milk", "ratings": 2}]


def test_a_table_for_people(data: Path) -> None:
    shown = run("--data", str(data), "--method", "knn", "--movie", "hero alpha")

    assert "Hero Alpha (2001): 5" in shown
    assert any(title in shown for title in HEROES[1:])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--movie", "hero alpha=7"], "a rating from 0.5 to 5"),
        (["--movie", "xyzzyxyzzy"], "a title like one of the catalogue's"),
    ],
)
def test_what_is_wrong_is_named(data: Path, arguments: list[str], message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        run("--data", str(data), *arguments)


def test_there_must_be_one_source(data: Path) -> None:
    with pytest.raises(InvalidInput, match="either --data or --model"):
        run("--movie", "hero alpha")
