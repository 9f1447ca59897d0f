"""Writes the certificates that Python trusts as a Java key store.

PyPI's Java runtime trusts only the authorities it was built with, not one that the owner of the
machine has added (a company's proxy); Python knows those by OpenSSL and ``SSL_CERT_FILE``.
"""

from __future__ import annotations

import hashlib
import ssl
import struct
from collections.abc import Sequence
from pathlib import Path

# The format "JKS": java.base/sun/security/provider/JavaKeyStore.java. It is not a secret: the
# password is part of a checksum that Java leaves unchecked when none is given.
_MAGIC, _VERSION, _TRUSTED = 0xFEEDFEED, 2, 2
_PASSWORD = "changeit".encode("utf-16-be")
_WHITENER = b"Mighty Aphrodite"


def key_store(certificates: Sequence[bytes]) -> bytes:
    """A Java key store of trusted certificates, each given as DER."""
    parts = [struct.pack(">III", _MAGIC, _VERSION, len(certificates))]
    for number, certificate in enumerate(certificates):
        parts.append(struct.pack(">I", _TRUSTED))
        parts.append(_text(str(number)))
        parts.append(struct.pack(">Q", 0))  # when it was added
        parts.append(_text("X.509"))
        parts.append(struct.pack(">I", len(certificate)) + certificate)
    content = b"".join(parts)
    return content + hashlib.sha1(_PASSWORD + _WHITENER + content).digest()


def write(path: Path) -> bool:
    """Write what Python trusts to ``path``; False, and nothing written, if it does not say."""
    certificates = ssl.create_default_context().get_ca_certs(binary_form=True)
    if not certificates:
        return False
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(key_store(certificates))
    return True


def _text(text: str) -> bytes:
    encoded = text.encode()
    return struct.pack(">H", len(encoded)) + encoded
