"""The secret that signs visitors' cookies: set by the operator, or made once and kept."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

NAME = "storage-secret"


def storage_secret(folder: Path) -> str:
    """The secret kept in `folder`, made on the first call; readable by the owner only.

    Two processes that start together agree: the file is created exclusively, and whoever comes
    second reads what the first has written.

    Parameters
    ----------
    folder : Path
        The state folder; made if it is not there.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / NAME
    if not path.exists():
        draft = folder / f"{NAME}.{os.getpid()}"
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
            file.write(secrets.token_urlsafe(32))
        try:
            os.link(draft, path)  # atomic, and fails where the file has appeared meanwhile
        except FileExistsError:
            pass
        finally:
            draft.unlink()
    return path.read_text(encoding="utf-8")
