"""Item rows that were read before the predictor was there: taken over, and brought up to date."""

from __future__ import annotations

import numpy as np
import pytest

from predictor.head_start import HeadStart
from predictor.settings import PredictorSettings
from predictor.truth import truth_reader
from recommender.rows import RowFormat
from storage.reading import TruthReader
from tests.fakes.hand_model import ITEMS
from tests.integration.predictor.conftest import Writer, packed

ALICE = (3, 0.5, (1.0, 0.0))
MEAN = (14.5 + 2.75) / 5  # four ratings in the hand-made model, and half the prior's weight
LATER_MEAN = (19.5 + 2.75) / 6  # with a rating of 5


def reader(dsn: str) -> TruthReader:
    return truth_reader(PredictorSettings(postgres_dsn=dsn), connections=1)


@pytest.fixture
def begun(writer: Writer, eventually) -> HeadStart:
    """What has read the rows of the hand-made model, and nothing that comes later."""
    writer.hand_model()
    head_start = HeadStart(reader(writer.dsn))
    eventually(lambda: head_start.progress.items == len(ITEMS), "all rows are read")
    return head_start


def predicted(client, item: str) -> float:
    answer = client.get(f"/predict?user=alice&item={item}")
    assert answer.status_code == 200, answer.text
    return answer.json()["items"][0]["score"]


def ready(client, eventually) -> None:
    eventually(lambda: client.get("/health/ready").status_code == 200, "ready")


def test_rows_read_before_are_not_read_again_and_later_ones_are(
    begun, writer, start, eventually, monkeypatch
):
    """A row that changes behind the engine's back, its micro-batch left as it was, is not seen."""
    monkeypatch.setattr("predictor.items.FEWEST_ITEMS", 1)  # put in order, beside the catalogue
    writer.sql("UPDATE item_rows SET state = %s WHERE id = 'b'", (packed(9.0, (0.0, 0.0)),))
    writer.commit(
        {"a": (3, -1.0, (0.5, 0.0)), "new": (1, 0.25, (0.0, 0.0))},
        {"alice": ALICE},
        [("alice", "a", 5.0)],
    )
    writer.catalogue(("only in the catalogue", "Brazil (1985)", {}))
    with start(writer, head_start=begun) as client:
        ready(client, eventually)
        _, bias, factors, *_ = ITEMS["b"]
        assert predicted(client, "b") == pytest.approx(LATER_MEAN + 0.5 + bias + factors[0], 1e-4)
        assert predicted(client, "a") == pytest.approx(LATER_MEAN + 0.5 - 1.0 + 0.5, 1e-4)
        assert predicted(client, "new") == pytest.approx(LATER_MEAN + 0.5 + 0.25, 1e-4)
        listed = client.get("/recommend?user=alice&n=9").json()["items"]
        assert {item["item"] for item in listed} == {"c", "d", "new", "only in the catalogue"}


def test_rows_of_a_model_that_serves_no_more_are_left(begun, writer, start, eventually):
    later = Writer(writer.dsn, writer.url, model=2)
    later.create_model()
    later.commit({"a": (1, 0.5, (0.0, 0.0))}, {"alice": ALICE}, [("alice", "a", 5.0)])
    with start(writer, head_start=begun) as client:
        ready(client, eventually)
        assert client.get("/predict?user=alice&item=a").json()["model"] == 2
        assert predicted(client, "a") == pytest.approx((5.0 + 2.75) / 2 + 0.5 + 0.5, 1e-4)


def test_without_postgres_or_a_model_there_is_nothing_to_take(writer):
    assert HeadStart(reader("postgresql://nobody@127.0.0.1:1/none")).take() is None
    assert HeadStart(reader(writer.dsn)).take() is None


def test_it_is_taken_once(begun):
    assert begun.take().found.items.to_pylist() == list(ITEMS)
    assert begun.take() is None


def test_rows_that_postgres_has_compressed_find_room(writer):
    """200 rows of 4 KB, all but the bias zeros: a few pages, from which room is reckoned."""
    form = RowFormat(rank=1000, ranking_rank=0)
    writer.create_model(rank=form.rank)
    for number in range(200):
        writer.sql(
            "INSERT INTO item_rows VALUES (1, %s, %s, 1, %s)",
            (f"i{number:03}", number, packed(float(number), (0.0,) * form.rank)),
        )
    (size,) = reader(writer.dsn).read(
        lambda snapshot: snapshot.fetch("SELECT pg_table_size('item_rows_1')")
    )[0]
    assert size < 100 * form.state.itemsize
    found = reader(writer.dsn).read(lambda snapshot: snapshot.item_rows(1, form))
    assert found.items.to_pylist() == [f"i{number:03}" for number in range(200)]
    np.testing.assert_array_equal(found.rows.n, np.arange(200))
    np.testing.assert_array_equal(found.rows.bias, np.arange(200, dtype=np.float32))
    assert found.rows.factors.shape == (200, form.rank)
    assert not found.rows.factors.any()
