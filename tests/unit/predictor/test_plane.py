"""The plane against an independent principal component analysis, and where a person is put."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.decomposition import PCA

from predictor.plane import plane
from predictor.served import Served
from predictor.users import User
from recommender.rows import Rows
from recommender.settings import ScaleSettings
from tests.fakes.hand_model import served_model


@pytest.fixture
def served() -> Served:
    """30 items with factors of rank 2 replaced by ones of rank 5."""
    model = served_model()
    random = np.random.default_rng(4)
    record = model.record
    assert record is not None
    settings = {**record.settings, "rank": 5}
    found = Served(
        type(record)(**{**vars(record), "settings": settings}), ScaleSettings(), "ratings"
    )
    rows = found.form.empty(30)
    for number in range(30):
        vector = random.normal(size=5) * (3, 2, 1, 1, 0.5)
        rows[number] = (number, 0.0, vector, np.zeros(0), 0.0)
    found.load_items([f"i{number}" for number in range(30)], Rows.unpack(rows))
    return found


def person(factors: np.ndarray) -> User:
    return User(
        user="u",
        n=1,
        bias=0.0,
        factors=factors.astype(np.float32),
        ranking=np.zeros(0, np.float32),
        rated={},
    )


def test_places_are_those_of_a_principal_component_analysis(served: Served) -> None:
    found = plane(served, 20, person(served.items.factors[25] * 7))

    # the most rated first; item 0 has no rating at all
    assert [served.items.ids[p] for p in found.positions[:2]] == ["i29", "i28"]
    vectors = served.items.factors[found.positions].astype(float)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    other = PCA(2).fit(vectors)
    expected = other.transform(vectors)
    for axis in (0, 1):
        sign = np.sign(expected[0, axis] * found.items[0, axis])
        np.testing.assert_allclose(found.items[:, axis], sign * expected[:, axis], atol=1e-5)
    np.testing.assert_allclose(found.explained, other.explained_variance_ratio_, atol=1e-6)
    # a person whose vector points where an item's does is where that item is
    where = found.positions.tolist().index(25)
    assert found.person is not None
    np.testing.assert_allclose(found.person, found.items[where], atol=1e-5)


def test_nobody_and_nothing(served: Served) -> None:
    assert plane(served, 20).person is None
    assert plane(served, 20, person(np.zeros(5))).person is None
    empty = Served(None, ScaleSettings(), "ratings")
    assert len(plane(empty, 20).items) == 0
    assert len(plane(served, 100).positions) == 29  # without the one that nobody has rated
