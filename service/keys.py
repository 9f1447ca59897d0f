"""API keys: who may write. Compared in constant time, by their digests, and never logged."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterable

from starlette.types import Scope

READING = frozenset({"GET", "HEAD", "OPTIONS"})


class Keys:
    """The keys of a service; none: everybody may do everything.

    Parameters
    ----------
    keys : iterable of str
    below : str
        The path below which a key is needed.

    Examples
    --------
    >>> keys = Keys(["one", "two"])
    >>> keys.fit(b"two"), keys.fit(b"three"), bool(Keys([]))
    (True, False, False)
    """

    def __init__(self, keys: Iterable[str], below: str = "/") -> None:
        self._digests = [_digest(key.encode()) for key in keys]
        self._below = below

    @classmethod
    def listed(cls, keys: str, below: str = "/") -> Keys:
        """From a list separated by commas."""
        return cls((key for one in keys.split(",") if (key := one.strip())), below)

    def __bool__(self) -> bool:
        return bool(self._digests)

    def fit(self, given: bytes) -> bool:
        """Whether a key is one of them; takes the same time whichever it is."""
        digest = _digest(given)
        fits = False
        for known in self._digests:
            fits |= hmac.compare_digest(known, digest)
        return fits

    def allow(self, scope: Scope) -> bool:
        """Whether a request may be answered: it reads only, is elsewhere, or brings a key."""
        if not self._digests or scope["method"] in READING:
            return True
        if not scope["path"].startswith(self._below):
            return True
        for name, value in scope["headers"]:
            if name == b"x-api-key" and self.fit(value):
                return True
            if name == b"authorization":
                kind, _, given = value.partition(b" ")
                if kind.lower() == b"bearer" and self.fit(given.strip()):
                    return True
        return False


def _digest(key: bytes) -> bytes:
    return hashlib.sha256(key).digest()
