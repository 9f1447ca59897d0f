"""Arrays handed to another process."""

from __future__ import annotations

import gc
import os
from pathlib import Path

import numpy as np

from predictor.shared_arrays import SMALLEST, Opener, Parcel, share


class Holder:
    def __init__(self) -> None:
        self.large = np.arange(SMALLEST, dtype=np.float32).reshape(-1, 8)
        self.small = np.arange(3)
        self.same = self.large
        self.name = "holder"


def test_another_process_sees_what_is_written_and_writes_what_is_seen() -> None:
    sent = Holder()
    share([sent])
    parcel = Parcel(sent)
    assert len(parcel.data) < 1000
    child = os.fork()
    if not child:
        arrived = {name: os.dup(number) for name, number in parcel.mappings.items()}
        got = Opener().open(parcel.data, arrived)
        fine = got.large[1].tolist() == [8, 9, 10, 11, 12, 13, 14, 15] and got.name == sent.name
        got.large[0, 0] = 77 if fine else -1
        got.small[0] = 77
        os._exit(0)
    os.waitpid(child, 0)
    assert sent.large[0, 0] == 77
    assert sent.small[0] == 0  # small ones are copies


def test_what_is_shared_stays_where_it_is() -> None:
    holder = Holder()
    share([holder])
    before = holder.large
    holder.large[3] = 5
    share([holder])
    assert holder.large is before
    assert holder.small.base is None


def test_memory_goes_with_the_last_array_and_is_mapped_once() -> None:
    def mapped() -> int:
        gc.collect()
        return Path("/proc/self/maps").read_text().count("memfd:recommender")

    assert mapped() == 0
    holder = Holder()
    holder.same = holder.small
    share([holder])
    parcel, opener = Parcel(holder), Opener()
    copies = [
        opener.open(parcel.data, {name: os.dup(n) for name, n in parcel.mappings.items()})
        for _ in range(3)
    ]
    assert mapped() == 2
    assert np.shares_memory(copies[0].large, copies[2].large)
    del parcel, holder
    assert mapped() == 1
    assert copies[1].large[1, 1] == 9
    copies.clear()
    assert mapped() == 0
