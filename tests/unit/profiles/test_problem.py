from __future__ import annotations

import pytest

from gateway.errors import ERRORS, GatewayError, RateLimited, SchemaInvalid, Violation
from gateway.profiles.problem import problem
from tests.fakes_profiles import INTERACTION, validators


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: error.code)
def test_every_refusal_is_a_valid_problem_without_its_private_part(error: type[GatewayError]) -> None:
    body = problem(error(private="canary"), INTERACTION)
    validators().assert_valid("cdi/v1/problem", body)
    assert (body["code"], body["status"], body["retryable"]) == (error.code, error.status, error.retryable)
    assert body["type"] == f"urn:cdi-gateway:error:{error.code.lower().replace('_', '-')}"
    assert body["instance"] == INTERACTION
    assert "canary" not in str(body)


def test_retry_after_and_violations_appear_when_there_are_any() -> None:
    assert problem(RateLimited(retry_after_seconds=3), INTERACTION)["retryAfter"] == 3
    assert problem(SchemaInvalid(violations=(Violation("/a", "type", "x"),)), INTERACTION)["errors"] == [
        {"pointer": "/a", "keyword": "type", "message": "x"}
    ]
    assert problem(RateLimited(), INTERACTION)["retryAfter"] == 1
    assert not {"retryAfter", "errors"} & problem(SchemaInvalid(), INTERACTION).keys()
