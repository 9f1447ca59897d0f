"""What a user has rated, as one string that is appended to."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from storage.rated import decode, encode

IDS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=8)
RATINGS = st.lists(st.tuples(IDS, IDS, st.floats(0.5, 5.0, width=32)), min_size=0, max_size=40)


@given(first=RATINGS, then=RATINGS)
def test_appended_records_give_each_users_latest_ratings(
    first: list[tuple[str, str, float]], then: list[tuple[str, str, float]]
) -> None:
    kept: dict[str, bytes] = {}
    expected: dict[str, dict[str, float]] = {}
    for part in (first, then):
        columns = list(zip(*part, strict=True)) or [(), (), ()]
        users, items = (pa.array(column, pa.string()) for column in columns[:2])
        for user, records in zip(
            *encode(users, items, np.array(columns[2], np.float32)), strict=True
        ):
            kept[user] = kept.get(user, b"") + records
        for user, item, rating in part:
            expected.setdefault(user, {}).pop(item, None)
            expected[user][item] = rating
    found = {user: decode(records) for user, records in kept.items()}
    assert found == expected
    # the most recently rated last
    assert {user: list(rated) for user, rated in found.items()} == {
        user: list(rated) for user, rated in expected.items()
    }


@given(
    st.lists(st.tuples(st.sampled_from("abc"), st.lists(st.tuples(IDS, st.floats(1, 5, width=32)))))
)
def test_ratings_that_follow_each_other_may_be_given_together(
    rows: list[tuple[str, list[tuple[str, float]]]],
) -> None:
    rows = [row for row in rows if row[1]]
    each = [(user, *one) for user, rated in rows for one in rated]
    items, ratings = ([one[place] for one in each] for place in (1, 2))
    columns = pa.array(items, pa.string()), np.array(ratings, np.float32)
    alone = encode(pa.array([user for user, _, _ in each], pa.string()), *columns)
    lengths = np.array([len(rated) for _, rated in rows], np.int64)
    assert encode(pa.array([user for user, _ in rows], pa.string()), *columns, lengths) == alone


def test_the_bytes_are_those_that_the_documents_say() -> None:
    users, records = encode(pa.array(["u"]), pa.array(["é"]), np.array([1.5], np.float32))
    assert users == ["u"]
    assert records == [b"\x00\x00\xc0\x3f" + b"\x02\x00" + "é".encode()]


@pytest.mark.parametrize("cut", [3, 5, 7])
def test_half_a_record_is_not_read(cut: int) -> None:
    _, (records,) = encode(pa.array(["u"]), pa.array(["ab"]), np.array([1.5], np.float32))
    with pytest.raises(ValueError, match="half"):
        decode(records[:cut])
