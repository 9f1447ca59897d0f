from hypothesis import given
from hypothesis import strategies as st

from frontend.ranking import change

ranking = st.lists(st.sampled_from("abcdefghij"), unique=True)


def test_change_by_hand() -> None:
    difference = change(["a", "b", "c", "d"], ["c", "b", "e", "a"])
    assert difference.moved == {"c": 2, "a": -3}
    assert difference.new == ("e",)
    assert difference.gone == ("d",)


@given(before=ranking, after=ranking)
def test_every_item_is_accounted_for(before: list[str], after: list[str]) -> None:
    difference = change(before, after)
    stayed = set(before) & set(after)
    assert set(difference.new) | stayed == set(after)
    assert set(difference.gone) | stayed == set(before)
    for item in stayed:
        assert before.index(item) - difference.moved.get(item, 0) == after.index(item)
