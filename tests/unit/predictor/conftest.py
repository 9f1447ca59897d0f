"""The model worked out by hand, and its users."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from predictor.served import Served
from predictor.users import User
from tests.fakes.hand_model import USERS, served_model


@pytest.fixture
def served() -> Served:
    return served_model()


@pytest.fixture
def served_with_ranking() -> Served:
    return served_model(ranking_rank=2)


@pytest.fixture
def user() -> Callable[..., User]:
    def made(name: str, rated: dict[str, float] | None = None, **changed: Any) -> User:
        n, bias, factors, ranking = USERS.get(name, (0, 0.0, (0.0, 0.0), (0.0, 0.0)))
        return User(
            user=name,
            n=n,
            bias=bias,
            factors=np.array(factors, np.float32),
            ranking=np.array(ranking, np.float32),
            rated={} if rated is None else rated,
            **changed,
        )

    return made
