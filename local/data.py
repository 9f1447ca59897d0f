"""Which data a local run loads, and where it was found."""

from __future__ import annotations

import hashlib
import io
import json
import shutil
import zipfile
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import httpx
import structlog

from local.processes import REPOSITORY
from local.settings import LocalSettings
from recommender import datasets
from recommender.datasets import Dataset
from recommender.errors import InvalidData, MissingRequirement
from recommender.generate import generate

MOVIELENS = "ml-latest-small"
MOVIELENS_URL = "https://files.grouplens.org/datasets/movielens/ml-latest-small.zip"
# Of the files in it: GroupLens may pack them anew.
MOVIELENS_SHA256 = {
    "ratings.csv": "aa289ca83157595d0df6aea1be6a4ded676ddc4385472e8313a8ed9805352646",
    "movies.csv": "5a5f32dd9bb3797b8e728a1b98958789d2b13f294a69fdfbc5727f8a9611aa07",
}
SHARED = REPOSITORY.parent / "shared" / "data" / f"{MOVIELENS}.zip"

GENERATED = "generated"
# About the size of ml-latest-small, so that everything takes as long as with it.
GENERATED_USERS, GENERATED_ITEMS, GENERATED_RATINGS, GENERATED_SEED = 600, 9000, 100_000, 42

# Whoever has no network must not wait for long; the file has one megabyte.
_CONNECT_WITHIN, _DOWNLOAD_WITHIN = 5.0, 30.0

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Source:
    """What the data are; remembered in the state folder, so that the next start continues with it.

    Parameters
    ----------
    path : str
        A file or folder; ``generated`` for generated data.
    description : str
        For people: shown by the API and the frontend.
    backlog : float
        Share of the data that was learned before serving.
    ratings, titles : int
        How many there are; 0 until `counted`.
    rating_min, rating_max : float
        The scale; known once counted.
    """

    path: str
    description: str
    backlog: float
    ratings: int = 0
    titles: int = 0
    rating_min: float = 0.5
    rating_max: float = 5.0

    def counted(self, dataset: Dataset) -> Source:
        """The same, with what is known once it has been read: a later start need not read it."""
        return replace(
            self,
            ratings=len(dataset),
            titles=len(dataset.catalogue),
            rating_min=dataset.rating_min,
            rating_max=dataset.rating_max,
        )

    @property
    def older(self) -> int:
        """Ratings of the backlog."""
        return int(self.ratings * self.backlog)

    def load(self) -> Dataset:
        """Read it.

        Raises
        ------
        InvalidData
            If it cannot be read.
        """
        if self.path == GENERATED:
            return generate(GENERATED_USERS, GENERATED_ITEMS, GENERATED_RATINGS, GENERATED_SEED)
        return datasets.load(self.path)


def choose(settings: LocalSettings) -> Source:
    """The data of this run: what was asked for, what the state folder has, else what can be had.

    Raises
    ------
    MissingRequirement
        If other data are asked for than the state folder was filled with, or those are gone.
    """
    remembered = _remembered(settings.state)
    if settings.dataset is not None:
        path = settings.dataset.expanduser().resolve()
        if not path.exists():
            raise MissingRequirement(
                f"{path} does not exist: give a MovieLens zip or folder, or a CSV file, as DATA."
            )
        chosen = Source(str(path), path.name, settings.backlog)
        if remembered is not None and remembered.path != chosen.path:
            raise MissingRequirement(
                f"{settings.state} already holds a model of {remembered.path}: run `make clean` to "
                "start anew, or choose another folder by RECOMMENDER_STATE."
            )
        return remembered or chosen
    if remembered is not None:
        if remembered.path != GENERATED and not Path(remembered.path).exists():
            raise MissingRequirement(
                f"The data of this model, {remembered.path}, are gone: put them back, or run "
                "`make clean` to start anew."
            )
        return remembered
    copy = _movielens(settings.state / "data")
    if copy is not None:
        return Source(str(copy), f"MovieLens {MOVIELENS}", settings.backlog)
    return Source(
        GENERATED,
        "generated: synthetic ratings and invented film titles, not real data",
        settings.backlog,
    )


def remember(state: Path, source: Source) -> None:
    """Keep what the state folder is being filled with."""
    fresh = state / "source.new"
    fresh.write_text(json.dumps(asdict(source)))
    fresh.replace(state / "source.json")


def _remembered(state: Path) -> Source | None:
    try:
        return Source(**json.loads((state / "source.json").read_text()))
    except FileNotFoundError:
        return None


def _movielens(folder: Path) -> Path | None:
    """MovieLens's small set: a copy in the folder, else one made now from where it can be had."""
    copy = folder / f"{MOVIELENS}.zip"
    if copy.exists():
        return copy
    folder.mkdir(parents=True, exist_ok=True)
    if SHARED.exists():
        fresh = copy.with_suffix(".new")
        shutil.copyfile(SHARED, fresh)
        fresh.replace(copy)
        return copy
    try:
        content = _download()
    except (httpx.HTTPError, InvalidData, zipfile.BadZipFile, KeyError) as error:
        log.warning("MovieLens cannot be downloaded", url=MOVIELENS_URL, reason=str(error))
        return None
    fresh = copy.with_suffix(".new")
    fresh.write_bytes(content)
    fresh.replace(copy)
    return copy


def _download() -> bytes:
    answer = httpx.get(
        MOVIELENS_URL,
        follow_redirects=True,
        timeout=httpx.Timeout(_DOWNLOAD_WITHIN, connect=_CONNECT_WITHIN),
    ).raise_for_status()
    with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
        for name, wanted in MOVIELENS_SHA256.items():
            digest = hashlib.sha256(archive.read(f"{MOVIELENS}/{name}")).hexdigest()
            if digest != wanted:
                raise InvalidData(f"{MOVIELENS_URL}: {name} is not as it was ({digest})")
    return answer.content
