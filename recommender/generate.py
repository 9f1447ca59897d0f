"""Synthetic ratings whose truth is known: low rank, biases, noise, uneven popularity, film titles.

Used where no real data set is at hand, by benchmarks for volume, and by quality tests, since here
the error that no model can avoid is known.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from recommender.datasets import Dataset
from recommender.errors import InvalidInput

RATING_MIN, RATING_MAX, RATING_STEP = 0.5, 5.0, 0.5
START = 1_704_067_200.0  # 2024-01-01T00:00:00Z, so that generated times look like times
DAYS = 365.0

GENRES = """
    Action Adventure Animation Children Comedy Crime Documentary Drama Fantasy Film-Noir
    Horror IMAX Musical Mystery Romance Sci-Fi Thriller War Western
""".split()  # noqa: SIM905  (words in rows read better)
_ADJECTIVES = """
    Amber Ancient Bitter Blue Broken Burning Crimson Crooked Distant Electric Empty Endless
    Faded Final Forgotten Frozen Gentle Golden Hidden Hollow Iron Last Little Lonely Lost
    Lucky Midnight Paper Perfect Quiet Restless Rising Sacred Savage Secret Silent Silver
    Stolen Velvet Wild
""".split()  # noqa: SIM905  (words in rows read better)
_NOUNS = """
    Alibi Anthem Bridge Carnival Castle Circus Coast Compass Country Crown Desert Empire
    Engine Express Fortune Fox Garden Harbour Harvest Heart Highway Horizon Island Journey
    Kingdom Letter Lighthouse Machine Mirror Moon Mountain Orchard Orchestra Parade Passenger
    Promise River Road Season Shadow Signal Snow Stranger Summer Thief Tide Train Voyage
    Winter Witness
""".split()  # noqa: SIM905  (words in rows read better)


@dataclass(frozen=True)
class Recipe:
    """What generated ratings are like; the defaults resemble MovieLens.

    Parameters
    ----------
    rank : int
        True number of factors.
    mean, user_bias, item_bias, taste, noise : float
        μ, then the standard deviations of b_x, b_y, U_x · P_y and ε, in stars.
    popularity_exponent, popularity_offset : float
        The item at place k (from 1) is met with probability ∝ (k + offset)^-exponent
        (Zipf and Mandelbrot; offset 0 is plain Zipf, with its first item near a tenth of all).
    activity : float
        Standard deviation of the logarithm of a user's share of the ratings.
    choosiness : float
        How much users meet what they like, in logits per star of taste; 0: popularity alone.
    genre_share : float
        Share of the variance of the items' factors that their genres explain.
    """

    rank: int = 8
    mean: float = 3.5
    user_bias: float = 0.4
    item_bias: float = 0.45
    taste: float = 0.5
    noise: float = 0.7
    popularity_exponent: float = 1.0
    popularity_offset: float = 20.0
    activity: float = 1.2
    choosiness: float = 2.0
    genre_share: float = 0.5


@dataclass(frozen=True)
class World:
    """Users and items with their true parameters, from which any number of ratings can be drawn.

    A rating of user x for item y is::

        m = μ + b_x + b_y + U_x · P_y
        r = the half star nearest to m + ε, between 0.5 and 5;  ε ~ N(0, noise²)

    Who rates is drawn by the users' activity. What is rated: two items are drawn by popularity, and
    the one with the higher taste U_x · P_y is preferred with the odds e^(choosiness · difference).

    Parameters
    ----------
    user_bias, item_bias : numpy.ndarray of float32, shape (n_users,), (n_items,)
    user_factors, item_factors : numpy.ndarray of float32, shape (n_users, rank), (n_items, rank)
    user_share, item_share : numpy.ndarray of float64, shape (n_users,), (n_items,)
        Probabilities of being drawn; each sums to 1.
    genres : tuple of numpy.ndarray
        Each item's first and second genre, shape ``(n_items,)`` each; the same twice: only one.
    """

    recipe: Recipe
    seed: int
    user_bias: npt.NDArray[np.float32]
    item_bias: npt.NDArray[np.float32]
    user_factors: npt.NDArray[np.float32]
    item_factors: npt.NDArray[np.float32]
    user_share: npt.NDArray[np.float64]
    item_share: npt.NDArray[np.float64]
    genres: tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]

    @property
    def n_users(self) -> int:
        """Number of users."""
        return len(self.user_bias)

    @property
    def n_items(self) -> int:
        """Number of items."""
        return len(self.item_bias)

    def latent(
        self, users: npt.NDArray[np.integer[Any]], items: npt.NDArray[np.integer[Any]]
    ) -> npt.NDArray[np.float32]:
        """The m of each pair, shape ``(n,)``."""
        m = self._taste(users, items)
        m += self.user_bias[users]
        m += self.item_bias[items]
        m += np.float32(self.recipe.mean)
        return m

    def expected(
        self, users: npt.NDArray[np.integer[Any]], items: npt.NDArray[np.integer[Any]]
    ) -> npt.NDArray[np.float64]:
        """E[r] of each pair, the best possible prediction (rounding and clipping included)."""
        grid, means, _ = _moments(self.recipe.noise)
        return np.interp(self.latent(users, items), grid, means)

    def noise_rmse(
        self, users: npt.NDArray[np.integer[Any]], items: npt.NDArray[np.integer[Any]]
    ) -> float:
        """Expected RMSE of the best possible prediction over these pairs: √(mean Var[r])."""
        grid, _, variances = _moments(self.recipe.noise)
        return math.sqrt(np.interp(self.latent(users, items), grid, variances).mean())

    def draw(
        self, n: int, rng: np.random.Generator
    ) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int32], npt.NDArray[np.float32]]:
        """Draw n ratings: codes of users, codes of items, ratings. A pair may occur again."""
        users = _sample(self.user_share, n, rng)
        items = _sample(self.item_share, n, rng)
        if self.recipe.choosiness:
            others = _sample(self.item_share, n, rng)
            difference = self._taste(users, others) - self._taste(users, items)
            odds = np.exp(-self.recipe.choosiness * difference)
            items = np.where(rng.random(n, dtype=np.float32) * (1 + odds) < 1, others, items)
        ratings = self.latent(users, items)
        ratings += np.float32(self.recipe.noise) * rng.standard_normal(n, dtype=np.float32)
        ratings /= np.float32(RATING_STEP)
        np.rint(ratings, out=ratings)
        ratings *= np.float32(RATING_STEP)
        np.clip(ratings, RATING_MIN, RATING_MAX, out=ratings)
        return users, items, ratings

    def chunks(self, ratings: int, chunk: int = 1_000_000) -> Iterator[Dataset]:
        """The stream of ``ratings`` ratings in order of time, a data set per chunk.

        Memory is that of one chunk. Depends on the seed and the chunk size. A pair may occur again,
        as when somebody changes their mind; the catalogue is in the first chunk.
        """
        user_ids, item_ids = self.user_ids(), self.item_ids()
        for number, start in enumerate(range(0, ratings, chunk)):
            n = min(chunk, ratings - start)
            rng = np.random.default_rng([self.seed, 2, number])
            users, items, values = self.draw(n, rng)
            times = np.sort(rng.random(n)) * n + start
            yield self._dataset(
                users, items, values, times / ratings, user_ids, item_ids, catalogue=number == 0
            )

    def dataset(self, ratings: int) -> Dataset:
        """A data set of ``ratings`` different pairs in order of time.

        Raises
        ------
        InvalidInput
            If that is more than a quarter of all pairs, where different ones get hard to find.
        """
        pairs = self.n_users * self.n_items
        if not 0 < ratings <= pairs // 4:
            raise InvalidInput("ratings", ratings, f"1 to {pairs // 4} (a quarter of all pairs)")
        rng = np.random.default_rng([self.seed, 1])
        users = np.empty(0, np.int32)
        items = np.empty(0, np.int32)
        values = np.empty(0, np.float32)
        while len(values) < ratings:
            # A little more than is missing, since some will be pairs that are there already.
            drawn = self.draw((ratings - len(values)) * 11 // 10 + 16, rng)
            users = np.concatenate([users, drawn[0]])
            items = np.concatenate([items, drawn[1]])
            values = np.concatenate([values, drawn[2]])
            first = np.unique(users.astype(np.int64) * self.n_items + items, return_index=True)[1]
            kept = np.sort(first)[:ratings]
            users, items, values = users[kept], items[kept], values[kept]
        order = rng.permutation(ratings)  # otherwise the rarest pairs, found last, would come last
        return self._dataset(
            users[order],
            items[order],
            values[order],
            np.sort(rng.random(ratings)),
            self.user_ids(),
            self.item_ids(),
            catalogue=True,
        )

    def user_ids(self) -> pa.StringArray:
        """Ids in order of code: ``u1``, ``u2``, ..."""
        return _ids("u", self.n_users)

    def item_ids(self) -> pa.StringArray:
        """Ids in order of code: ``i1``, ``i2``, ..."""
        return _ids("i", self.n_items)

    def catalogue(self) -> list[dict[str, Any]]:
        """Every item with a title, one or two genres and a year."""
        rng = np.random.default_rng([self.seed, 3])
        words = rng.permutation(len(_ADJECTIVES) * len(_NOUNS))
        years = rng.integers(1950, 2025, self.n_items).tolist()
        first, second = (genre.tolist() for genre in self.genres)
        entries = []
        for k, item in enumerate(self.item_ids().to_pylist()):
            part, place = divmod(k, len(words))
            adjective, noun = divmod(int(words[place]), len(_NOUNS))
            sequel = f" {part + 1}" if part else ""
            title = f"The {_ADJECTIVES[adjective]} {_NOUNS[noun]}{sequel} ({years[k]})"
            genres = sorted({GENRES[first[k]], GENRES[second[k]]})
            attributes = {"genres": genres, "year": years[k]}
            entries.append({"item": item, "title": title, "attributes": attributes})
        return entries

    def _taste(
        self, users: npt.NDArray[np.integer[Any]], items: npt.NDArray[np.integer[Any]]
    ) -> npt.NDArray[np.float32]:
        taste: npt.NDArray[np.float32] = np.einsum(
            "ij,ij->i", self.user_factors[users], self.item_factors[items]
        )
        return taste

    def _dataset(
        self,
        users: npt.NDArray[np.int32],
        items: npt.NDArray[np.int32],
        ratings: npt.NDArray[np.float32],
        times: npt.NDArray[np.float64],  # as shares of the whole span
        user_ids: pa.StringArray,
        item_ids: pa.StringArray,
        *,
        catalogue: bool,
    ) -> Dataset:
        return Dataset(
            name=f"generated-{self.n_users}x{self.n_items}-seed{self.seed}",
            users=pa.DictionaryArray.from_arrays(pa.array(users), user_ids),
            items=pa.DictionaryArray.from_arrays(pa.array(items), item_ids),
            ratings=ratings,
            timestamps=np.round(START + times * DAYS * 86_400, 3),
            catalogue=self.catalogue() if catalogue else [],
            rating_min=RATING_MIN,
            rating_max=RATING_MAX,
        )


def world(users: int, items: int, seed: int, recipe: Recipe | None = None) -> World:
    """Draw the users and items.

    Parameters
    ----------
    users, items : int
        How many, at least 1 each.
    seed : int
        Everything follows from it, on any machine.

    Raises
    ------
    InvalidInput
        If a number is too small.
    """
    for name, number in (("users", users), ("items", items)):
        if number < 1:
            raise InvalidInput(name, number, "at least 1")
    recipe = recipe or Recipe()
    rng = np.random.default_rng([seed, 0])
    rank = recipe.rank
    user_factors = rng.standard_normal((users, rank), dtype=np.float32)
    # U ~ N(0, 1) and P ~ N(0, taste²/rank) give U · P the variance taste².
    genre_factors = rng.standard_normal((len(GENRES), rank), dtype=np.float32)
    first, second = rng.integers(0, len(GENRES), (2, items))
    shared = (genre_factors[first] + genre_factors[second]) / np.where(
        first == second, 2.0, math.sqrt(2)
    ).astype(np.float32)[:, None]
    own = rng.standard_normal((items, rank), dtype=np.float32)
    item_factors = np.sqrt(np.float32(recipe.genre_share)) * shared
    item_factors += np.sqrt(np.float32(1 - recipe.genre_share)) * own
    item_factors *= np.float32(recipe.taste / math.sqrt(rank))

    places = rng.permutation(items) + 1.0
    item_share = (places + recipe.popularity_offset) ** -recipe.popularity_exponent
    user_share = np.exp(recipe.activity * rng.standard_normal(users))
    return World(
        recipe=recipe,
        seed=seed,
        user_bias=np.float32(recipe.user_bias) * rng.standard_normal(users, dtype=np.float32),
        item_bias=np.float32(recipe.item_bias) * rng.standard_normal(items, dtype=np.float32),
        user_factors=user_factors,
        item_factors=item_factors,
        user_share=user_share / user_share.sum(),
        item_share=item_share / item_share.sum(),
        genres=(first, second),
    )


def generate(
    users: int, items: int, ratings: int, seed: int, recipe: Recipe | None = None
) -> Dataset:
    """A data set of ``ratings`` different pairs; `world` gives the truth behind it.

    Raises
    ------
    InvalidInput
        If a number is out of range.

    Examples
    --------
    >>> data = generate(users=50, items=40, ratings=300, seed=1)
    >>> len(data), data.rating_min, data.rating_max
    (300, 0.5, 5.0)
    """
    return world(users, items, seed, recipe).dataset(ratings)


def _sample(
    share: npt.NDArray[np.float64], n: int, rng: np.random.Generator
) -> npt.NDArray[np.int32]:
    """Draw n codes with the given probabilities."""
    edges = np.cumsum(share)
    edges[-1] = 1.0  # against rounding: random() stays below 1
    return np.searchsorted(edges, rng.random(n), side="right").astype(np.int32)


def _ids(prefix: str, n: int) -> pa.StringArray:
    numbers = pa.array(np.arange(1, n + 1)).cast(pa.string())
    return pc.binary_join_element_wise(prefix, numbers, "")


def _moments(
    noise: float,
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Mean and variance of r for a grid of m: the normal distribution cut at the half stars."""
    values = np.arange(RATING_MIN, RATING_MAX + RATING_STEP / 2, RATING_STEP)
    grid = np.linspace(RATING_MIN - 6, RATING_MAX + 6, 2_001)
    edges = values[:-1] + RATING_STEP / 2
    if noise > 0:
        erf = np.vectorize(math.erf, otypes=[np.float64])
        below = (1 + erf((edges - grid[:, None]) / (noise * math.sqrt(2)))) / 2
    else:
        below = (grid[:, None] < edges).astype(np.float64)
    chances = np.diff(below, axis=1, prepend=0.0, append=1.0)
    means = chances @ values
    return grid, means, chances @ values**2 - means**2
