"""A Kubernetes API server of the smallest kind: keeps objects of the kinds that are asked for.

Enough for Helm's ``lookup`` and for Spark's driver: discovery, get, list with labels, create,
patch, delete, deletecollection, and a watch that stays open. Every request is noted.
"""

from __future__ import annotations

import base64
import hashlib
import json
import threading
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

Object = dict[str, Any]

GROUPS = {
    "v1": {
        "pods": "Pod",
        "secrets": "Secret",
        "configmaps": "ConfigMap",
        "services": "Service",
        "serviceaccounts": "ServiceAccount",
        "persistentvolumeclaims": "PersistentVolumeClaim",
    },
    "apps/v1": {"deployments": "Deployment", "statefulsets": "StatefulSet"},
    "batch/v1": {"jobs": "Job", "cronjobs": "CronJob"},
    "networking.k8s.io/v1": {"networkpolicies": "NetworkPolicy"},
    "policy/v1": {"poddisruptionbudgets": "PodDisruptionBudget"},
}
KINDS = {name: kind for kinds in GROUPS.values() for name, kind in kinds.items()}


@dataclass(frozen=True)
class Asked:
    """One request, in the words of RBAC."""

    verb: str
    resource: str
    name: str = ""
    selector: str = ""


@dataclass
class FakeApi:
    """The server; `url` is its address while it runs."""

    namespace: str = "films"
    objects: dict[tuple[str, str], Object] = field(default_factory=dict)
    asked: list[Asked] = field(default_factory=list)
    created: Callable[[str, Object], None] = lambda resource, made: None
    deleted: Callable[[str, str], None] = lambda resource, name: None

    def __enter__(self) -> FakeApi:
        api = self
        self._lock = threading.RLock()
        self._events: list[tuple[str, str, Object]] = []
        self._closing = False

        class Handler(_Handler):
            fake = api

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._closing = True
        self._server.shutdown()
        self._server.server_close()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}"

    def put(self, resource: str, one: Object) -> Object:
        """Keep an object, as if somebody had made it."""
        with self._lock:
            metadata = one["metadata"]
            metadata.setdefault("namespace", self.namespace)
            metadata.setdefault("uid", str(uuid.uuid4()))
            metadata.setdefault("creationTimestamp", "2026-01-01T00:00:00Z")
            known = (resource, metadata["name"]) in self.objects
            metadata["resourceVersion"] = str(len(self._events) + 1)
            self.objects[resource, metadata["name"]] = one
            self._events.append((resource, "MODIFIED" if known else "ADDED", json_copy(one)))
            return one

    def take(self, resource: str, name: str) -> Object | None:
        """Forget an object, as if somebody had deleted it."""
        with self._lock:
            one = self.objects.pop((resource, name), None)
            if one is not None:
                self._events.append((resource, "DELETED", json_copy(one)))
        if one is not None:
            self.deleted(resource, name)
        return one

    def named(self, resource: str) -> set[str]:
        with self._lock:
            return {name for kind, name in self.objects if kind == resource}

    def found(self, resource: str, selector: str) -> list[Object]:
        """Objects whose labels fit."""
        wanted = dict(part.split("=", 1) for part in selector.split(",") if part)
        with self._lock:
            return [
                one
                for (kind, _), one in sorted(self.objects.items())
                if kind == resource and wanted.items() <= one["metadata"].get("labels", {}).items()
            ]

    def note(self, asked: Asked) -> None:
        with self._lock:
            self.asked.append(asked)

    def events_after(self, number: int) -> list[tuple[str, str, Object]]:
        with self._lock:
            return self._events[number:]

    @property
    def closing(self) -> bool:
        return self._closing


def json_copy(one: Object) -> Object:
    copied: Object = json.loads(json.dumps(one))
    return copied


def applied(one: Object, patch: Object) -> Object:
    """A merge patch applied."""
    for name, value in patch.items():
        if value is None:
            one.pop(name, None)
        elif isinstance(value, dict) and isinstance(one.get(name), dict):
            applied(one[name], value)
        else:
            one[name] = value
    return one


# RFC 6455: what a server adds to the client's key, and how a text is framed.
_WEBSOCKET = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


def _frame(text: bytes) -> bytes:
    length = len(text)
    if length < 126:
        return bytes([0x81, length]) + text
    return bytes([0x81, 126 if length < 65536 else 127]) + (
        length.to_bytes(2 if length < 65536 else 8, "big") + text
    )


class _Handler(BaseHTTPRequestHandler):
    fake: FakeApi
    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *args: Any) -> None:
        """Silent."""

    def answer(self, status: int, content: Object) -> None:
        body = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def missing(self, name: str = "") -> None:
        self.answer(
            404,
            {"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": "NotFound"}
            | {"code": 404, "message": f"not found: {name or self.path}"},
        )

    def place(self) -> tuple[str, str, dict[str, str]] | None:
        """Resource, name and query of the address."""
        parts = urlsplit(self.path)
        query = {name: values[-1] for name, values in parse_qs(parts.query).items()}
        words = parts.path.strip("/").split("/")
        words = words[2:] if words[0] == "api" else words[3:]
        if words[:1] != ["namespaces"] or len(words) < 3:
            return None
        return words[2], words[3] if len(words) > 3 else "", query

    def body(self) -> Object:
        if self.headers.get("Transfer-Encoding", "").lower() == "chunked":
            sent = b""
            while length := int(self.rfile.readline().split(b";")[0], 16):
                sent += self.rfile.read(length)
                self.rfile.readline()
            self.rfile.readline()
        else:
            sent = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        read: Object = json.loads(sent or b"{}")
        return read

    def do_GET(self) -> None:
        path = urlsplit(self.path).path
        if path == "/version":
            self.answer(200, {"major": "1", "minor": "35", "gitVersion": "v1.35.0"})
        elif path == "/api":
            self.answer(200, {"kind": "APIVersions", "versions": ["v1"]})
        elif path == "/apis":
            named = [version.split("/") for version in GROUPS if "/" in version]
            versions = [
                (group, {"groupVersion": f"{group}/{version}", "version": version})
                for group, version in named
            ]
            groups = [
                {"name": group, "versions": [version], "preferredVersion": version}
                for group, version in versions
            ]
            self.answer(200, {"kind": "APIGroupList", "apiVersion": "v1", "groups": groups})
        elif (version := path.removeprefix("/apis/").removeprefix("/api/")) in GROUPS:
            resources = [
                {"name": name, "singularName": kind.lower(), "namespaced": True, "kind": kind}
                | {"verbs": ["get", "list", "create", "delete"]}
                for name, kind in GROUPS[version].items()
            ]
            self.answer(
                200, {"kind": "APIResourceList", "groupVersion": version, "resources": resources}
            )
        elif (place := self.place()) is None or place[0] not in KINDS:
            self.missing()
        else:
            self.read(*place)

    def read(self, resource: str, name: str, query: dict[str, str]) -> None:
        selector = query.get("labelSelector", "")
        if query.get("watch") in ("1", "true"):
            self.fake.note(Asked("watch", resource, name, selector))
            self.watch(resource, selector)
        elif name:
            self.fake.note(Asked("get", resource, name))
            one = self.fake.objects.get((resource, name))
            self.missing(name) if one is None else self.answer(200, one)
        else:
            self.fake.note(Asked("list", resource, selector=selector))
            self.answer(
                200,
                {"kind": f"{KINDS[resource]}List", "apiVersion": "v1"}
                | {"metadata": {"resourceVersion": str(len(self.fake.events_after(0)))}}
                | {"items": self.fake.found(resource, selector)},
            )

    def watch(self, resource: str, selector: str) -> None:
        """Tell of changes until either side leaves: by WebSocket where asked for, else by line."""
        wanted = dict(part.split("=", 1) for part in selector.split(",") if part)
        by_socket = self.headers.get("Upgrade", "").lower() == "websocket"
        if by_socket:
            key = self.headers["Sec-WebSocket-Key"] + _WEBSOCKET
            self.send_response(101)
            self.send_header("Upgrade", "websocket")
            self.send_header("Connection", "Upgrade")
            digest = hashlib.sha1(key.encode(), usedforsecurity=False).digest()
            self.send_header("Sec-WebSocket-Accept", base64.b64encode(digest).decode())
        else:
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Connection", "close")
        self.end_headers()
        self.close_connection = True
        at = len(self.fake.events_after(0))
        try:
            while not self.fake.closing:
                events = self.fake.events_after(at)
                at += len(events)
                for kind, what, one in events:
                    labels = one["metadata"].get("labels", {})
                    if kind == resource and wanted.items() <= labels.items():
                        line = json.dumps({"type": what, "object": one}).encode()
                        self.wfile.write(_frame(line) if by_socket else line + b"\n")
                        self.wfile.flush()
                time.sleep(0.05)
        except OSError:
            return

    def do_POST(self) -> None:
        place = self.place()
        one = self.body()
        if place is None or place[0] not in KINDS:
            return self.missing()
        resource = place[0]
        self.fake.note(Asked("create", resource, one["metadata"]["name"]))
        made = self.fake.put(resource, one)
        self.answer(201, made)
        self.fake.created(resource, made)
        return None

    def do_PATCH(self) -> None:
        place = self.place()
        patch = self.body()
        if place is None or (one := self.fake.objects.get((place[0], place[1]))) is None:
            return self.missing()
        self.fake.note(Asked("patch", place[0], place[1]))
        return self.answer(200, self.fake.put(place[0], applied(json_copy(one), patch)))

    def do_DELETE(self) -> None:
        place = self.place()
        self.body()
        if place is None or place[0] not in KINDS:
            return self.missing()
        resource, name, query = place
        if name:
            self.fake.note(Asked("delete", resource, name))
            one = self.fake.take(resource, name)
            return self.missing(name) if one is None else self.answer(200, one)
        selector = query.get("labelSelector", "")
        self.fake.note(Asked("deletecollection", resource, selector=selector))
        for one in self.fake.found(resource, selector):
            self.fake.take(resource, one["metadata"]["name"])
        return self.answer(200, {"kind": "Status", "apiVersion": "v1", "status": "Success"})
