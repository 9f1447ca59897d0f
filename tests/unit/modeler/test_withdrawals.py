"""Which ratings of a micro-batch its withdrawals take back."""

from __future__ import annotations

import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from modeler.records import RATINGS
from modeler.withdrawals import split

Record = tuple[int, str, str | None, float | None]  # partition, user, item, rating


def table(records: list[Record]) -> pa.Table:
    rows = [
        {
            "partition": partition,
            "offset": offset,
            "user": user,
            "item": item,
            "rating": rating,
            "rated_at": float(offset),
            "event_id": f"e{offset}" if offset % 2 else None,
        }
        for offset, (partition, user, item, rating) in enumerate(records)
    ]
    rows.sort(key=lambda row: (row["partition"], row["offset"]))
    return pa.Table.from_pylist(rows, schema=RATINGS)


def test_only_what_was_rated_before_in_the_same_partition_is_taken_back() -> None:
    ratings, withdrawals = split(
        table(
            [
                (0, "u", "i", 1.0),  # 0: taken back by 2
                (0, "u", "j", 2.0),
                (0, "u", "i", None),  # 2
                (0, "u", "i", 3.0),
                (0, "v", "i", 4.0),
                (1, "v", None, None),  # 5: of another partition
                (0, "w", "i", 5.0),  # 6: taken back by 7
                (0, "w", None, None),  # 7
                (0, "w", "i", 6.0),
            ]
        )
    )
    assert ratings["offset"].to_pylist() == [1, 3, 4, 8]
    assert withdrawals.withdrawn == 2
    assert withdrawals.records.to_pylist() == [
        {"partition": 0, "offset": 2, "user": "u", "item": "i", "withdrawn_at": 2.0},
        {"partition": 0, "offset": 7, "user": "w", "item": None, "withdrawn_at": 7.0},
        {"partition": 1, "offset": 5, "user": "v", "item": None, "withdrawn_at": 5.0},
    ]
    assert withdrawals.events["event_id"].to_pylist() == ["e7", "e5"]


def test_ratings_alone_are_left_as_they_are() -> None:
    given_ratings = table([(0, "u", "i", 1.0), (1, "u", "i", 2.0)])
    ratings, withdrawals = split(given_ratings)
    assert ratings is given_ratings
    assert (len(withdrawals.records), withdrawals.withdrawn, len(withdrawals.events)) == (0, 0, 0)


records = st.tuples(
    st.integers(0, 1),
    st.sampled_from("uv"),
    st.sampled_from(["i", "j"]),
    st.sampled_from([1.0, 2.0]),
) | st.tuples(
    st.integers(0, 1), st.sampled_from("uv"), st.sampled_from(["i", "j", None]), st.none()
)


@given(st.lists(records, max_size=25))
def test_as_worked_out_one_by_one(some: list[Record]) -> None:
    ratings, withdrawals = split(table(some))
    kept = [
        offset
        for offset, (partition, user, item, rating) in enumerate(some)
        if rating is not None
        and not any(
            other[0] == partition and other[1] == user and other[2] in (item, None)
            for other in some[offset + 1 :]
            if other[3] is None
        )
    ]
    assert sorted(ratings["offset"].to_pylist()) == kept
    asked = [offset for offset, record in enumerate(some) if record[3] is None]
    assert sorted(withdrawals.records["offset"].to_pylist()) == asked
    assert withdrawals.withdrawn == len(some) - len(kept) - len(asked)
    left_out = {f"e{n}" for n in range(len(some)) if n % 2 and n not in kept}
    assert set(withdrawals.events["event_id"].to_pylist()) == left_out
