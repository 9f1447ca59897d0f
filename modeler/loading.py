"""The rows that some ratings touch: whose they are, and as the truth has them."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from modeler.task import Task, Version
from recommender.initial import Side, initial_rows
from recommender.rating_head import Codes
from recommender.rows import Rows
from storage.staging import Address, TaskStore


def coded(*ids: pa.ChunkedArray) -> tuple[pa.StringArray, list[Codes]]:
    """Distinct ids of some columns in order of first appearance, and each column's positions."""
    lengths = [len(column) for column in ids]
    chunks = [chunk for column in ids for chunk in column.chunks if len(chunk)]
    if not chunks:
        return pa.array([], pa.string()), [np.zeros(0, np.int32) for _ in ids]
    encoded = pa.concat_arrays(chunks).dictionary_encode()
    codes = encoded.indices.to_numpy().astype(np.int32, copy=False)
    return encoded.dictionary, np.split(codes, np.cumsum(lengths)[:-1])


def rows(
    version: Version,
    store: TaskStore,
    side: Side,
    ids: pa.StringArray,
    withdrawals: Address | None = None,
) -> Rows:
    """The rows of all these ids: as stored, or as the hash of (seed, side, id) makes them.

    Users who withdraw everything, by what is staged at `withdrawals`, begin anew.
    """
    settings = version.settings
    known, stored = store.rows(version.model, side, ids, settings.format, withdrawals)
    unknown = np.ones(len(ids), bool)
    unknown[known] = False
    made = initial_rows(
        ids.filter(pa.array(unknown)),
        side,
        settings.seed,
        settings.format,
        settings.factor_scale,
        settings.ranking_scale,
    )
    found = Rows.empty(len(ids), settings.format)
    found.put(np.flatnonzero(unknown), made)
    found.put(known, stored)
    return found


def sample(
    task: Task, store: TaskStore, new: int, learned: int, withdrawals: Address | None = None
) -> pa.Table:
    """Earlier ratings, as many as the model wants that wants most; all take of the same.

    Those for the same place in the stream are the same.

    Parameters
    ----------
    new, learned : int
        Ratings of the micro-batch, and those learned before it.
    withdrawals : Address, optional
        Where the micro-batch's withdrawals are staged: what they take back is not drawn.
    """
    random = np.random.default_rng((task.serving.settings.seed, learned))
    most = max(version.settings.sample_size(new) for version in task.versions)
    return store.sample_history(most, random, withdrawals)
