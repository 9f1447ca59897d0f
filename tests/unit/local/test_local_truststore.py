"""The key store is read by Java itself: its keytool, where the machine has one."""

from __future__ import annotations

import shutil
import ssl
import subprocess
from pathlib import Path

import pytest

from local import truststore

# Not a host of ours: any certificate will do, and certifi brings many.
certifi = pytest.importorskip("certifi")


def certificates() -> list[bytes]:
    context = ssl.create_default_context(cafile=certifi.where())
    return context.get_ca_certs(binary_form=True)[:3]


@pytest.mark.skipif(shutil.which("keytool") is None, reason="no keytool on this machine")
def test_java_reads_it(tmp_path: Path) -> None:
    store = tmp_path / "trusted.jks"
    store.write_bytes(truststore.key_store(certificates()))
    listed = subprocess.run(
        # With the password, so that the checksum is looked at, too.
        [
            "keytool",
            "-list",
            "-keystore",
            str(store),
            "-storetype",
            "jks",
            "-storepass",
            "changeit",
        ],
        capture_output=True,
        text=True,
        check=True,
    )
    assert listed.stdout.count("trustedCertEntry") == 3


def test_it_begins_as_the_format_says() -> None:
    assert truststore.key_store([]).startswith(b"\xfe\xed\xfe\xed\x00\x00\x00\x02\x00\x00\x00\x00")
