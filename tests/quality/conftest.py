"""The real data set that quality bands are stated for."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from recommender.datasets import Dataset, load

ROOT = Path(__file__).parents[2]
NAME = "ml-latest-small"


@pytest.fixture(scope="session")
def movielens() -> Dataset:
    """ml-latest-small: from RECOMMENDER_MOVIELENS, the shared data folder or a local run's."""
    places = [
        ROOT.parent / "shared" / "data" / f"{NAME}.zip",
        ROOT / ".state" / "data" / f"{NAME}.zip",
        ROOT / ".state" / "data" / NAME,
    ]
    if "RECOMMENDER_MOVIELENS" in os.environ:
        places = [Path(os.environ["RECOMMENDER_MOVIELENS"])]
    for place in places:
        if place.exists():
            dataset = load(place)
            assert len(dataset) == 100_836, f"{place} is not {NAME}"
            return dataset
    pytest.skip(f"{NAME} is at none of {', '.join(map(str, places))}")
