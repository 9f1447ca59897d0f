"""Beside the arrays that Arrow makes of Python's strings."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from recommender.string_arrays import NONE, offsets, string_array


@pytest.mark.parametrize(
    "texts", [[], ["a"], [None], ["", None, "é", "bcd", None, ""], 20 * ["x", None], 20 * ["xy"]]
)
def test_as_arrow_makes_them(texts: list[str | None]) -> None:
    encoded = [None if text is None else text.encode() for text in texts]
    lengths = np.array([NONE if one is None else len(one) for one in encoded], np.int32)
    data = b"".join(one or b"" for one in encoded)
    expected = pa.array(texts, pa.string())
    for found in (
        string_array(lengths, data),
        string_array(lengths, np.frombuffer(data, np.uint8), offsets(lengths)),
    ):
        found.validate(full=True)
        assert found.equals(expected)
        assert found.null_count == expected.null_count


def test_offsets() -> None:
    assert offsets(np.array([2, NONE, 0, 3], np.int32)).tolist() == [0, 2, 2, 2, 5]
