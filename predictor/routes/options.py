"""What can be asked of every list of items: how long, what may be in it, in which order."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from predictor.attributes import Condition
from predictor.listing import Strategy, Wishes
from recommender.ids import Id

MAX_N = 1000
"""Longest list."""

MAX_OFFSET = 10_000
"""Deepest page: all before it are ranked, too."""

MAX_IDS = 1000
"""Items excluded, or rated by somebody anonymous, in one request."""

MAX_CONTEXT = 20
"""Items looked at: more are a profile, which `ratings` says better."""

CONDITION = r"^[^:]+:[\s\S]+$"
"""A condition on an attribute; see `predictor.attributes.Condition`."""

PLACE = r"^[0-9]{1,9}:[0-9]{1,18}$"
"""A place in the log: partition and offset."""

_NOTHING: Any = ()
"""The default of a list: what cannot be changed need not be copied for each request."""

N = Annotated[int, Field(ge=1, le=MAX_N, description="Items wanted.")]


class Filters(BaseModel):
    """Which items may be in a list."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)

    genre: list[Annotated[str, Field(min_length=1, max_length=128)]] = Field(
        _NOTHING,
        max_length=64,
        description="Only items of any of these genres.",
        examples=[["Drama"]],
    )
    year_min: int | None = Field(
        None, ge=-9999, le=9999, description="Only items of this year or later.", examples=[1990]
    )
    year_max: int | None = Field(
        None, ge=-9999, le=9999, description="Only items of this year or earlier.", examples=[2020]
    )
    where: list[Annotated[str, Field(max_length=256, pattern=CONDITION)]] = Field(
        _NOTHING,
        max_length=16,
        description="Only items with an attribute: `name:value`, for numbers `name:low..high` as "
        "well (either may be left out). All must hold.",
        examples=[[]],
    )
    min_ratings: int = Field(
        0, ge=0, le=2**31 - 1, description="Only items with at least so many ratings."
    )

    @property
    def conditions(self) -> tuple[Condition, ...]:
        """The conditions on attributes.

        Raises
        ------
        InvalidInput
            If `where` is not written as it should.
        """
        found = [Condition.parse(one) for one in self.where]
        if self.genre:
            found.append(Condition("genres", tuple(self.genre)))
        if self.year_min is not None or self.year_max is not None:
            low = float("-inf") if self.year_min is None else self.year_min
            high = float("inf") if self.year_max is None else self.year_max
            found.append(Condition("year", (), low, high))
        return tuple(found)


class Page(Filters):
    """A page of a list."""

    n: N = 10
    offset: int = Field(0, ge=0, le=MAX_OFFSET, description="Items to be passed over first.")


class Options(Page):
    """What can be asked of recommendations."""

    include_rated: bool = Field(
        False, description="Whether items that have been rated may be in the list."
    )
    exclude: list[Id] = Field(
        _NOTHING,
        max_length=MAX_IDS,
        description="Items that must not be in the list.",
        examples=[[]],
    )
    context: list[Id] = Field(
        _NOTHING,
        max_length=MAX_CONTEXT,
        description="Items being looked at: what is like them comes first.",
        examples=[["50"]],
    )
    diversity: float = Field(
        0.0,
        ge=0,
        le=1,
        description="0: by score alone; towards 1 the items of the list differ ever more.",
    )
    novelty: float = Field(
        0.0, ge=0, le=1, description="0: by score alone; towards 1 popular items lose ever more."
    )
    strategy: Strategy = Field(
        "model", description="What ranks the items; whatever it leaves empty is filled up."
    )
    explore: float = Field(
        0.0, ge=0, le=0.5, description="Share of the places that go to items with few ratings yet."
    )
    explain: bool = Field(
        False, description="Whether each item says what its score adds up from, and why."
    )
    after: str | None = Field(
        None,
        pattern=PLACE,
        description="`PARTITION:OFFSET` of a rating, as its posting was answered: wait until the "
        "model has learned it (503 if that takes too long).",
        examples=["0:50209"],
    )

    @property
    def wishes(self) -> Wishes:
        """The options as the ranking takes them; raises like `conditions`."""
        return Wishes(
            n=self.n,
            offset=self.offset,
            include_rated=self.include_rated,
            exclude=tuple(self.exclude),
            context=tuple(self.context),
            conditions=self.conditions,
            min_ratings=self.min_ratings,
            diversity=self.diversity,
            novelty=self.novelty,
            strategy=self.strategy,
            explore=self.explore,
        )
