"""Dead letters in the log's contract: JSON with key and value in base64."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from storage.dead_letters import DeadLetter

contents = st.none() | st.binary(max_size=50)


@given(st.integers(0, 99), st.integers(0, 2**62), st.text(), contents, contents)
def test_decode_gives_back_what_encode_wrote(
    partition: int, offset: int, reason: str, key: bytes | None, value: bytes | None
) -> None:
    letter = DeadLetter("ratings", partition, offset, reason, key, value)
    assert DeadLetter.decode(letter.encode()[1]) == letter


def test_the_contract() -> None:
    key, value = DeadLetter("ratings", 3, 41, "rating: too high", b"u", b"\xff\x00").encode()
    assert key == b"ratings:3:41"
    assert json.loads(value) == {
        "topic": "ratings",
        "partition": 3,
        "offset": 41,
        "reason": "rating: too high",
        "key": "dQ==",  # 'u' is 0x75: 011101 01(0000)
        "value": "/wA=",  # 0xff00: 111111 110000 0000(00)
    }
