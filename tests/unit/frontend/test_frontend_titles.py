import pytest

from frontend.titles import Title, readable


@pytest.mark.parametrize(
    ("title", "expected"),
    [
        ("Toy Story (1995)", Title("Toy Story", "1995")),
        ("Matrix, The (1999)", Title("The Matrix", "1999")),
        ("American in Paris, An (1951)", Title("An American in Paris", "1951")),
        ("Kin-Dza-Dza! (1986-)", Title("Kin-Dza-Dza!", "1986")),
        (
            "City of Lost Children, The (Cité) (1995)",
            Title("City of Lost Children, The (Cité)", "1995"),
        ),
        ("2001", Title("2001", "")),
        ("(1999)", Title("(1999)", "")),
        ("", Title("Item 7", "")),
        ("  ", Title("Item 7", "")),
        (None, Title("Item 7", "")),
        ("<b>x</b>", Title("<b>x</b>", "")),
    ],
)
def test_readable(title: str | None, expected: Title) -> None:
    assert readable(title, "7") == expected


def test_spoken_keeps_the_year() -> None:
    assert readable("Heat (1995)", "1").spoken == "Heat (1995)"
    assert readable("Heat", "1").spoken == "Heat"
