"""Removes the executors that an earlier driver has left behind, by their label.

Runs before the modeler starts, in a pod; needs nothing but Python and the pod's own account, which
may delete pods. Executors of a dead driver give up by themselves after minutes; until then they
would hold memory that the new ones need. They cannot do harm: what they stage has no effect.
"""

from __future__ import annotations

import os
import ssl
import sys
from pathlib import Path
from urllib.parse import urlencode
from urllib.request import Request, urlopen

ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
_WITHIN = 10.0  # seconds


def remove(api: str, namespace: str, token: str, selector: str, authority: Path | None) -> None:
    """Delete all pods that have the labels.

    Parameters
    ----------
    api : str
        Address of the Kubernetes API.
    namespace, token : str
        Of the pod's account.
    selector : str
        ``label=value,...``.
    authority : Path or None
        File with the authority that signs the API's certificate; None: the system's.

    Raises
    ------
    URLError
        If the API does not answer, or refuses.
    """
    query = urlencode({"labelSelector": selector})
    request = Request(
        f"{api}/api/v1/namespaces/{namespace}/pods?{query}",
        method="DELETE",
        headers={"Authorization": f"Bearer {token}", "Accept": "application/json"},
    )
    context = ssl.create_default_context(cafile=authority) if api.startswith("https") else None
    with urlopen(request, timeout=_WITHIN, context=context) as answer:
        answer.read()


def main() -> int:
    """Remove; the exit status. That it could not be done is told, and is no reason not to learn."""
    account = Path(os.environ.get("KUBERNETES_ACCOUNT", ACCOUNT))
    authority = account / "ca.crt"
    try:
        remove(
            os.environ.get("KUBERNETES_API", "https://kubernetes.default.svc"),
            (account / "namespace").read_text().strip(),
            (account / "token").read_text().strip(),
            os.environ["EXECUTOR_SELECTOR"],
            authority if authority.exists() else None,
        )
    except OSError as error:  # URLError and HTTPError among them
        sys.stderr.write(f"executors of an earlier driver were not removed: {error}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
