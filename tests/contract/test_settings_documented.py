"""Every setting is documented, in words, and the page says what the code says."""

from __future__ import annotations

import pytest

from docs.settings import PAGE, page, settings_classes
from recommender.settings import PREFIX, Settings

CLASSES = settings_classes()


def test_the_page_is_what_the_code_says() -> None:
    assert PAGE.read_text() == page(), "run: python -m docs.settings"


@pytest.mark.parametrize("kind", CLASSES, ids=lambda kind: kind.__name__)
def test_every_variable_is_on_the_page_with_a_meaning(kind: type[Settings]) -> None:
    lines = PAGE.read_text().splitlines()
    for name, field in kind.model_fields.items():
        assert field.description, f"{kind.__name__}.{name} has no description"
        assert any(line.startswith(f"| `{PREFIX}{name.upper()}` |") for line in lines), name


def test_the_settings_of_all_services_are_found() -> None:
    found = {kind.__name__ for kind in CLASSES}
    assert {"IngestSettings", "ModelerSettings", "PredictorSettings", "FrontendSettings"} <= found
    assert found >= {kind.__name__ for kind in Settings.__subclasses__() if _is_ours(kind)}


def _is_ours(kind: type) -> bool:
    return not kind.__module__.startswith("tests.")
