"""``python sbom.py NAME VERSION > FILE``: what is in an image, as CycloneDX 1.6.

Python packages of the interpreter that runs it, Debian packages, and jars by checksum. Written
while the image is built, so every container engine makes the same.
"""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from typing import Any
from urllib.parse import quote


def python_packages() -> Iterator[dict[str, Any]]:
    """Distributions of this interpreter."""
    for one in metadata.distributions():
        name = one.metadata["Name"].lower().replace("_", "-")
        yield {
            "type": "library",
            "bom-ref": f"pkg:pypi/{name}@{one.version}",
            "name": name,
            "version": one.version,
            "purl": f"pkg:pypi/{name}@{quote(one.version)}",
        }


def debian_packages() -> Iterator[dict[str, Any]]:
    """Packages of the distribution; none where it is no Debian."""
    try:
        listed = subprocess.run(
            ["dpkg-query", "--show", "--showformat=${Package}\\t${Version}\\t${Architecture}\\n"],
            check=True,
            capture_output=True,
            text=True,
        ).stdout
    except FileNotFoundError:
        return
    for line in listed.splitlines():
        name, version, architecture = line.split("\t")
        purl = f"pkg:deb/debian/{quote(name)}@{quote(version)}?arch={architecture}"
        yield {
            "type": "library",
            "bom-ref": purl,
            "name": name,
            "version": version,
            "purl": purl,
        }


def jars(folder: Path) -> Iterator[dict[str, Any]]:
    """Jar files below a folder."""
    for path in sorted(folder.rglob("*.jar")):
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        yield {
            "type": "file",
            "bom-ref": f"sha256:{digest}",
            "name": path.name,
            "hashes": [{"alg": "SHA-256", "content": digest}],
        }


def bill(name: str, version: str, components: list[dict[str, Any]]) -> dict[str, Any]:
    """The document; components in order of their references, each once."""
    unique = {one["bom-ref"]: one for one in components}
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {"component": {"type": "container", "name": name, "version": version}},
        "components": [unique[reference] for reference in sorted(unique)],
    }


def main() -> None:
    """Write the bill of this interpreter's environment to standard output."""
    name, version = sys.argv[1:3]
    components = [*python_packages(), *debian_packages(), *jars(Path(sys.prefix))]
    json.dump(bill(name, version, components), sys.stdout, indent=1)


if __name__ == "__main__":
    main()
