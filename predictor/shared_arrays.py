"""Arrays that several processes see at once, and objects with such arrays sent between them.

The memory has no name (``memfd_create``): its file descriptors are handed over with the objects,
and it is gone with the last process that has it, however that ends.
"""

from __future__ import annotations

import io
import itertools
import mmap
import os
import pickle
import weakref
from collections.abc import Iterable
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]

SMALLEST = 2**14
"""Bytes from which on an array is shared; smaller ones are sent: a page is the least to be had."""


class _Mapping(mmap.mmap):
    """One array's memory.

    Attributes
    ----------
    name : str
        Distinct among all processes of this machine.
    descriptor : int
    """

    name: str
    descriptor: int


_numbers = itertools.count()


def _mapped(name: str, descriptor: int) -> _Mapping:
    mapping = _Mapping(descriptor, os.fstat(descriptor).st_size)
    mapping.name, mapping.descriptor = name, descriptor
    weakref.finalize(mapping, os.close, descriptor)
    return mapping


def shared(array: Array) -> Array:
    """A copy in memory that can be handed over; the array itself where it is there already."""
    if isinstance(array.base, _Mapping):
        return array
    name = f"{os.getpid()}-{next(_numbers)}"
    descriptor = os.memfd_create(f"recommender-{name}", os.MFD_CLOEXEC)
    os.ftruncate(descriptor, max(array.nbytes, 1))
    copy: Array = np.ndarray(array.shape, array.dtype, buffer=_mapped(name, descriptor))
    copy[...] = array
    return copy


def share(holders: Iterable[object]) -> None:
    """Put the large arrays among the attributes of some objects where they can be handed over.

    One after the other, so that memory for the largest is needed twice at most.
    """
    for holder in holders:
        for name, value in list(vars(holder).items()):
            if isinstance(value, np.ndarray) and value.nbytes >= SMALLEST:
                setattr(holder, name, shared(value))


class Parcel:
    """An object on its way to other processes.

    Attributes
    ----------
    data : bytes
        The object without what is in its shared arrays.
    mappings : dict of str to int
        Name and file descriptor of the memory of each.
    """

    def __init__(self, content: object) -> None:
        self.mappings: dict[str, int] = {}
        self._alive: list[Array] = []  # descriptors are closed with their arrays
        written = io.BytesIO()
        _Packer(written, self).dump(content)
        self.data = written.getvalue()

    def note(self, array: Array) -> tuple[str, str, tuple[int, ...]]:
        """What stands for a shared array in the data."""
        mapping = array.base
        assert isinstance(mapping, _Mapping)
        self.mappings[mapping.name] = mapping.descriptor
        self._alive.append(array)
        return mapping.name, array.dtype.str, array.shape


class _Packer(pickle.Pickler):
    def __init__(self, written: io.BytesIO, parcel: Parcel) -> None:
        super().__init__(written, protocol=5)
        self._parcel = parcel

    def persistent_id(self, obj: object) -> object:
        if isinstance(obj, np.ndarray) and isinstance(obj.base, _Mapping):
            return self._parcel.note(obj)
        return None


class Opener:
    """Opens parcels of one sender, whose memory it keeps mapped for as long as it is in use."""

    def __init__(self) -> None:
        self._mappings: weakref.WeakValueDictionary[str, _Mapping] = weakref.WeakValueDictionary()

    def open(self, data: bytes, arrived: dict[str, int]) -> Any:
        """The object.

        Parameters
        ----------
        data : bytes
        arrived : dict of str to int
            Names and descriptors of memory, some of which may be known; this takes them over.
        """
        held = []
        for name, descriptor in arrived.items():
            if name in self._mappings:
                os.close(descriptor)
            else:
                self._mappings[name] = mapping = _mapped(name, descriptor)
                held.append(mapping)
        return _Unpacker(io.BytesIO(data), self._mappings).load()


class _Unpacker(pickle.Unpickler):
    def __init__(self, read: io.BytesIO, mappings: Any) -> None:
        super().__init__(read)
        self._mappings = mappings

    def persistent_load(self, pid: Any) -> Array:
        name, dtype, shape = pid
        return np.ndarray(shape, np.dtype(dtype), buffer=self._mappings[name])
