"""Item KNN: what is similar to what one has rated.

An item is the vector of its ratings' weights over users; items are compared by

- ``cosine``: ``a · b / (|a| |b|)``, or
- ``bm25``: ``a · b`` after weighting as words of documents are, items as documents, users as words
  (Robertson and Zaragoza, 2009): ``idf_x w (k₁+1) / (w + k₁ (1 - B + B n_y / n̄))``,
  ``idf_x = log(N) - log(1 + n_x)``: a user who rates everything says little about each item.

Only each item's most similar neighbours count. Score of item y for user x::

    s(x,y) = Σ_{j rated by x, j among y's neighbours} sim(y,j) w_j

and the predicted rating, from the same neighbours and μ + biases (`Biases`)::

    r̂(x,y) = b(x,y) + Σ sim(y,j) (r_j - b(x,j)) / (Σ |sim(y,j)| + shrinkage)

References: Deshpande and Karypis (2004), "Item-based top-N recommendation algorithms"; Sarwar et
al. (2001), "Item-based collaborative filtering recommendation algorithms".
"""

from __future__ import annotations

from enum import StrEnum
from typing import Any, ClassVar, Self

import numpy as np
import scipy.sparse as sp
from pydantic import Field

from recommender.baselines import Biases
from recommender.datasets import IndexedRatings
from recommender.interactions import by_user, one_person, weighted
from recommender.rating_head import Codes
from recommender.rows import Floats
from recommender.settings import Settings

BM25_K1, BM25_B = 1.2, 0.75  # the customary values of text search

# Similarity of the predicted rating's neighbours that is held back: with one weak neighbour the
# prediction stays with the biases.
_SHRINKAGE = 0.5
_CELLS_AT_ONCE = 1 << 24  # of the similarity matrix, dense: 64 MB of float32
_PAIRS_AT_ONCE = 20_000


class Similarity(StrEnum):
    """How items are compared."""

    cosine = "cosine"
    bm25 = "bm25"


class KnnSettings(Settings):
    """Settings of item KNN."""

    knn_neighbors: int = Field(
        100, ge=1, le=10_000, description="Most similar items that an item is judged by."
    )


class ItemKnn:
    """Item KNN, trained.

    Parameters
    ----------
    similarity : scipy.sparse.csr_array of float32, shape (n_items, n_items)
        Row y: y's neighbours.
    train : IndexedRatings
        What users have rated.
    """

    kind: ClassVar[str] = "item-knn"

    def __init__(self, similarity: Any, train: IndexedRatings) -> None:
        self._similarity = similarity
        self._weights = weighted(train)
        self._baseline = Biases(train)
        rest = train.ratings - self._baseline.predict(train.users, train.items)
        self._rest = by_user(train, rest)
        self._rated = by_user(train, np.ones(len(rest), np.float32))
        self._low, self._high = float(train.ratings.min()), float(train.ratings.max())

    def predict(self, users: Codes, items: Codes) -> Floats:
        """r̂ of each pair, within the ratings seen, ``(length,)``."""
        predicted = self._baseline.predict(users, items)
        for start in range(0, len(users), _PAIRS_AT_ONCE):
            rows = slice(start, start + _PAIRS_AT_ONCE)
            near = self._similarity[items[rows]]
            above = near.multiply(self._rest[users[rows]]).sum(axis=1)
            below = abs(near).multiply(self._rated[users[rows]]).sum(axis=1)
            predicted[rows] += above / (below + _SHRINKAGE)
        clipped: Floats = np.clip(predicted, self._low, self._high)
        return clipped

    def scores(self, users: Codes) -> Floats:
        """s of every item for each user, ``(n_users, n_items)``."""
        return self._score(self._weights[users])

    def scores_for(self, items: Codes, ratings: Floats) -> Floats:
        """s of every item for somebody with these ratings, ``(n_items,)``."""
        person = one_person(items, ratings, self._low, self._high, self._similarity.shape[0])
        scores: Floats = self._score(person)[0]
        return scores

    def state(self) -> dict[str, Any]:
        """What a model file has to keep besides the ratings."""
        matrix = self._similarity
        return {"data": matrix.data, "indices": matrix.indices, "indptr": matrix.indptr}

    @classmethod
    def from_state(cls, state: dict[str, Any], train: IndexedRatings) -> Self:
        """The model of a file."""
        length = len(train.item_ids)
        parts = (state["data"], state["indices"], state["indptr"])
        return cls(sp.csr_array(parts, shape=(length, length)), train)

    def _score(self, weights: Any) -> Floats:
        scores: Floats = (weights @ self._similarity.T).toarray().astype(np.float32)
        return scores


def item_knn(train: IndexedRatings, similarity: Similarity, neighbors: int) -> ItemKnn:
    """Find every item's most similar items.

    Parameters
    ----------
    train : IndexedRatings
    similarity : Similarity
    neighbors : int
        Kept for each item.
    """
    vectors = item_vectors(train, similarity)
    return ItemKnn(_nearest(vectors, neighbors), train)


def item_vectors(train: IndexedRatings, similarity: Similarity) -> Any:
    """The vectors whose products are the similarities, ``(n_items, n_users)``, sparse."""
    vectors = sp.csr_array(weighted(train).T)
    if similarity is Similarity.bm25:
        vectors = _bm25(vectors)
    else:
        length = np.sqrt(vectors.multiply(vectors).sum(axis=1))
        vectors = sp.diags_array(1 / np.maximum(length, 1e-9)) @ vectors
    return sp.csr_array(vectors.astype(np.float32))


def _bm25(weights: Any) -> Any:
    found = sp.coo_array(weights)
    items, users = found.coords
    n_items = np.bincount(items, minlength=found.shape[0])
    n_users = np.bincount(users, minlength=found.shape[1])
    long = 1 - BM25_B + BM25_B * n_items / max(n_items[n_items > 0].mean(), 1e-9)
    documents = max(int(np.count_nonzero(n_items)), 1)
    idf = np.maximum(np.log(documents) - np.log1p(n_users), 0)
    data = found.data * (BM25_K1 + 1) / (found.data + BM25_K1 * long[items]) * idf[users]
    return sp.csr_array((data, (items, users)), shape=found.shape)


def _nearest(vectors: Any, neighbors: int) -> Any:
    """The largest products of each row with the others, sparse."""
    n_items = vectors.shape[0]
    kept = min(neighbors, max(n_items - 1, 1))
    block = max(1, _CELLS_AT_ONCE // max(n_items, 1))
    transposed = sp.csc_array(vectors.T)
    parts = []
    for start in range(0, n_items, block):
        products: Floats = (vectors[start : start + block] @ transposed).toarray()
        rows = np.arange(len(products))
        products[rows, start + rows] = 0  # an item is not its own neighbour
        best = np.argpartition(-products, kept - 1, axis=1)[:, :kept]
        values = np.take_along_axis(products, best, axis=1)
        where = np.repeat(rows, kept)
        shape = (len(products), n_items)
        part = sp.csr_array((values.ravel(), (where, best.ravel())), shape=shape)
        part.eliminate_zeros()
        parts.append(part)
    return sp.csr_array(sp.vstack(parts).astype(np.float32))
