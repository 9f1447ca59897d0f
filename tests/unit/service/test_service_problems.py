"""Every error is a problem: status, shape, words, and nothing of the inside."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from starlette.testclient import TestClient

from recommender.validation import presentable
from service.problems import MAX_ERRORS, FieldError, wrong_input


def problem(answer: Any, status: int) -> dict[str, Any]:
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    content: dict[str, Any] = answer.json()
    assert content["type"] == "about:blank"
    assert content["status"] == status
    assert content["title"]
    assert content["detail"]
    return content


def test_an_unknown_address_is_404(client: TestClient) -> None:
    problem(client.get("/nothing"), 404)


def test_a_wrong_method_is_405_and_names_the_right_ones(client: TestClient) -> None:
    answer = client.delete("/things/1")
    problem(answer, 405)
    assert answer.headers["Allow"] == "GET"


def test_a_wrong_query_is_422_and_named(client: TestClient) -> None:
    content = problem(client.get("/things/1?n=11"), 422)
    assert content["errors"] == [
        {"field": "n", "value": "11", "allowed": "less than or equal to 10"}
    ]
    assert content["detail"] == "n: '11' is not allowed; expected less than or equal to 10"


@pytest.mark.parametrize(
    ("body", "field", "value"),
    [
        ('{"a": "x"}', "a", "x"),
        ('{"a": [NaN]}', "a", "[nan]"),
        ("{", "body", "{"),
        ("[1]", "body", "[1]"),
        ("", "body", None),
    ],
)
def test_a_wrong_body_is_422_and_named(
    client: TestClient, body: str, field: str, value: object
) -> None:
    answer = client.post("/things", content=body, headers={"Content-Type": "application/json"})
    (error,) = problem(answer, 422)["errors"]
    assert (error["field"], error["value"]) == (field, value)


def test_invalid_input_is_422_even_where_its_value_is_no_json(client: TestClient) -> None:
    assert problem(client.get("/wrong"), 422)["errors"] == [
        {"field": "rating\\ud800", "value": "nan", "allowed": "a number"}
    ]


def test_unavailable_is_503_and_says_when_to_come_back(client: TestClient) -> None:
    answer = client.get("/away")
    assert problem(answer, 503)["detail"] == "Redis is not available: connection refused"
    assert int(answer.headers["Retry-After"]) >= 1


def test_the_unexpected_is_500_and_tells_nothing(client: TestClient) -> None:
    answer = client.get("/broken")
    problem(answer, 500)
    assert "secret" not in answer.text
    assert "Traceback" not in answer.text
    assert answer.headers["X-Request-ID"]


def test_a_body_too_large_is_413(client: TestClient) -> None:
    headers = {"Content-Type": "application/json"}
    announced = client.post("/things", content=b" " * 1025, headers=headers)
    assert "1024" in problem(announced, 413)["detail"]

    def chunks() -> Iterator[bytes]:
        for _ in range(5):
            yield b" " * 256

    unannounced = client.post("/things", content=chunks(), headers=headers)
    assert "content-length" not in unannounced.request.headers
    assert "1024" in problem(unannounced, 413)["detail"]
    assert problem(client.get("/things/1", headers={"Content-Length": "9" * 40}), 413)
    fits = client.post("/things", content=b'{"a": 1}' + b" " * 1016, headers=headers)
    assert fits.status_code == 200


def test_a_long_list_of_errors_is_cut(client: TestClient) -> None:
    sent = {f"field{number}": "x" for number in range(60)}
    assert len(problem(client.post("/things", json=sent), 422)["errors"]) == 60
    answer = wrong_input([FieldError("f", 1, "2")] * (MAX_ERRORS + 5))
    assert answer.body.count(b'"field"') == MAX_ERRORS


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (True, True),
        (4, 4),
        (4.5, 4.5),
        (None, None),
        ("text", "text"),
        (float("inf"), "inf"),
        (2**53 + 1, "9007199254740993"),
        pytest.param(10**5000, "an integer of 16610 bits", id="huge"),
        ([10**5000], "a list"),
        ("x" * 81, "x" * 77 + "..."),
        (b"\xff", "\\xff"),
        ("\ud800", "\\ud800"),
        ({"a": 1}, "{'a': 1}"),
    ],
)
def test_whatever_was_sent_can_be_shown(value: object, shown: object) -> None:
    assert presentable(value) == shown
