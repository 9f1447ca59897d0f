"""Helm for the chart's tests; skipped with the reason where it cannot be had."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.deploy import tools
from tests.deploy.chart import Rendered, render


@pytest.fixture(scope="session")
def helm() -> str:
    """Path of the pinned helm."""
    try:
        return tools.helm()
    except tools.NotToBeHad as reason:
        pytest.skip(str(reason))


@pytest.fixture(scope="session")
def chart(helm: str) -> Callable[..., Rendered]:
    """Renders the chart with values."""

    def rendered(*values: dict[str, Any], options: tuple[str, ...] = ()) -> Rendered:
        return render(helm, *values, options=options)

    return rendered
