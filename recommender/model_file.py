"""A model as one file: what it learned, from which ratings, by which method and settings.

A NumPy ``.npz`` archive without pickled objects, so that reading one runs no code. In it: ``about``
(JSON), ``user_ids`` and ``item_ids`` (UTF-8 joined by line feeds, which no id contains), the
training ratings by code, and the model's own arrays under ``model.NAME``.
"""

from __future__ import annotations

import json
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Protocol, Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from recommender.baselines import Biases, Popularity
from recommender.datasets import Dataset, IndexedRatings
from recommender.ease import Ease
from recommender.errors import InvalidData
from recommender.factor_model import FactorModel
from recommender.item_knn import ItemKnn
from recommender.model import MemoryModel
from recommender.rating_head import Codes
from recommender.rows import Floats

FORMAT = 1
"""Of the file: raised when an older reader could not read it."""


class Model(Protocol):
    """What a model file holds: something that predicts, ranks, and knows its own state."""

    kind: ClassVar[str]

    def predict(self, users: Codes, items: Codes) -> Floats:
        """Predicted rating of each pair, ``(length,)``."""

    def scores(self, users: Codes) -> Floats:
        """Score of every item for each user, ``(n_users, n_items)``."""

    def scores_for(self, items: Codes, ratings: Floats) -> Floats:
        """Score of every item for somebody with these ratings, ``(n_items,)``."""

    def state(self) -> dict[str, Any]:
        """Its arrays by name."""

    @classmethod
    def from_state(cls, state: dict[str, Any], train: IndexedRatings) -> Self:
        """The model again, from its arrays and the training ratings."""


_KINDS: dict[str, type[Any]] = {
    kind.kind: kind for kind in (MemoryModel, FactorModel, ItemKnn, Ease, Popularity, Biases)
}


@dataclass(frozen=True)
class ModelFile:
    """What is in a model file.

    Parameters
    ----------
    model : Model
    train : IndexedRatings
        What it has learned.
    method : str
        The name that it was trained by.
    data : str
        Where the ratings came from, in words.
    scale : (float, float)
        Lowest and highest rating.
    settings, report : mapping
        The method's settings, and what it told of its learning; plain JSON values.
    titles : mapping of str to str
        Item to title, where the data had titles.
    """

    model: Model
    train: IndexedRatings
    method: str
    data: str
    scale: tuple[float, float]
    settings: Mapping[str, Any] = field(default_factory=dict)
    report: Mapping[str, Any] = field(default_factory=dict)
    titles: Mapping[str, str] = field(default_factory=dict)

    def dataset(self) -> Dataset:
        """The training ratings as a data set."""
        train = self.train
        return Dataset(
            name=self.data,
            users=pa.DictionaryArray.from_arrays(pa.array(train.users), train.user_ids),
            items=pa.DictionaryArray.from_arrays(pa.array(train.items), train.item_ids),
            ratings=train.ratings,
            timestamps=train.timestamps,
            catalogue=[
                {"item": item, "title": title, "attributes": {}}
                for item, title in self.titles.items()
            ],
            rating_min=self.scale[0],
            rating_max=self.scale[1],
        )


def save(path: Path, file: ModelFile) -> None:
    """Write a model file; it is there whole or not at all."""
    about = {
        "format": FORMAT,
        "kind": file.model.kind,
        "method": file.method,
        "data": file.data,
        "scale": list(file.scale),
        "settings": dict(file.settings),
        "report": dict(file.report),
        "titles": dict(file.titles),
    }
    train = file.train
    arrays: dict[str, Any] = {
        "about": _bytes(json.dumps(about, allow_nan=True)),
        "user_ids": _bytes("\n".join(train.user_ids.to_pylist())),
        "item_ids": _bytes("\n".join(train.item_ids.to_pylist())),
        "users": train.users,
        "items": train.items,
        "ratings": train.ratings,
        "timestamps": train.timestamps,
        **{f"model.{name}": np.asarray(array) for name, array in file.model.state().items()},
    }
    fresh = path.with_name(path.name + ".new")
    with fresh.open("wb") as opened:
        np.savez(opened, allow_pickle=False, **arrays)
    fresh.replace(path)


def read(path: Path) -> ModelFile:
    """Read a model file.

    Raises
    ------
    InvalidData
        If it is none, or of a newer format.
    """
    try:
        with np.load(path, allow_pickle=False) as archive:
            arrays = {name: archive[name] for name in archive.files}
        about = json.loads(arrays["about"].tobytes())
        if about["format"] > FORMAT:
            raise InvalidData(
                f"{path}: is of format {about['format']}, which a newer version has written; "
                f"this one reads up to {FORMAT}"
            )
        train = IndexedRatings(
            arrays["users"],
            arrays["items"],
            arrays["ratings"],
            arrays["timestamps"],
            _ids(arrays["user_ids"]),
            _ids(arrays["item_ids"]),
        )
        state = {
            name.removeprefix("model."): array
            for name, array in arrays.items()
            if name.startswith("model.")
        }
        model = _KINDS[about["kind"]].from_state(state, train)
    except (OSError, ValueError, KeyError, zipfile.BadZipFile, EOFError) as error:
        raise InvalidData(
            f"{path}: cannot be read as a model file of `python -m modeler fit`: {error}"
        ) from error
    return ModelFile(
        model,
        train,
        about["method"],
        about["data"],
        (about["scale"][0], about["scale"][1]),
        about["settings"],
        about["report"],
        about["titles"],
    )


def _bytes(text: str) -> npt.NDArray[np.uint8]:
    return np.frombuffer(text.encode(), np.uint8)


def _ids(joined: npt.NDArray[np.uint8]) -> pa.StringArray:
    return pa.array(joined.tobytes().decode().split("\n") if len(joined) else [], pa.string())
