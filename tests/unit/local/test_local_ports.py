"""Free ports, and the sentence about those that are taken."""

from __future__ import annotations

import socket

import pytest

from local import ports
from recommender.errors import MissingRequirement


def test_free_ports_differ_and_can_be_had() -> None:
    found = ports.free(5)
    assert len(set(found)) == 5
    assert all(ports.is_free(port) for port in found)


def test_a_taken_port_is_one_sentence_with_the_way_out() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        assert not ports.is_free(port)
        with pytest.raises(MissingRequirement) as caught:
            ports.require_free(port, "RECOMMENDER_INGEST_PORT")
    assert f"Port {port} of 127.0.0.1 is taken" in str(caught.value)
    assert "RECOMMENDER_INGEST_PORT=" in str(caught.value)
