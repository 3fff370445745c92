from __future__ import annotations

import orjson
import pytest
from aiohttp import web

from gateway.errors import (
    ERRORS,
    CertRevoked,
    GatewayError,
    Internal,
    MethodNotAllowed,
    NotFound,
    RateLimited,
    SchemaInvalid,
    ScopeInsufficient,
    TokenInvalid,
    TokenMissing,
    Violation,
)
from gateway.http import problems

INTERACTION = "4d6b2a0e-1f5c-4c53-9a58-0f7d2f1f0a11"


@pytest.mark.parametrize("leaf", ERRORS)
def test_every_error_has_the_members_of_the_contract(leaf: type[GatewayError]) -> None:
    answer = problems.response(leaf(private="secret"), interaction=INTERACTION)
    assert isinstance(answer.body, bytes)
    problem = orjson.loads(answer.body)
    assert problem["type"] == "urn:cdi-gateway:error:" + leaf.code.lower().replace("_", "-")
    assert (problem["status"], problem["code"], problem["title"]) == (answer.status, leaf.code, leaf.title)
    assert problem["instance"] == answer.headers["x-fapi-interaction-id"] == INTERACTION
    assert problem["retryable"] is leaf.retryable
    assert answer.content_type == "application/problem+json"
    assert answer.headers["Cache-Control"] == "no-store"
    assert b"secret" not in answer.body
    assert ("Retry-After" in answer.headers) == (leaf.status in {429, 503})
    assert ("WWW-Authenticate" in answer.headers) == (leaf.status == 401 or leaf is ScopeInsufficient)


def test_violations_are_listed_with_pointers() -> None:
    error = SchemaInvalid(violations=(Violation("/document/digests", "minItems", "must not be empty"),))
    problem = orjson.loads(problems.body(error, interaction=INTERACTION))
    assert problem["errors"] == [
        {"pointer": "/document/digests", "keyword": "minItems", "message": "must not be empty"}
    ]


def test_retry_after_is_in_field_and_body() -> None:
    answer = problems.response(RateLimited(retry_after_seconds=7), interaction=INTERACTION)
    assert answer.headers["Retry-After"] == "7"
    assert isinstance(answer.body, bytes)
    assert orjson.loads(answer.body)["retryAfter"] == 7


def test_members_without_content_are_left_out() -> None:
    assert not {"errors", "retryAfter"} & orjson.loads(problems.body(NotFound(), interaction=INTERACTION)).keys()


@pytest.mark.parametrize(
    ("error", "challenge"),
    [
        (TokenMissing(), "Bearer"),
        (TokenInvalid(), 'Bearer error="invalid_token"'),
        (CertRevoked(), "Bearer"),
        (ScopeInsufficient(), 'Bearer error="insufficient_scope"'),
    ],
)
def test_challenge_follows_rfc_6750(error: GatewayError, challenge: str) -> None:
    assert problems.response(error, interaction=INTERACTION).headers["WWW-Authenticate"] == challenge


def test_fields_of_the_error_are_sent() -> None:
    error = RateLimited(headers={"RateLimit": '"route";r=0;t=3'})
    assert problems.response(error, interaction=INTERACTION).headers["RateLimit"] == '"route";r=0;t=3'


def test_aiohttp_refusals_keep_their_kind_and_lose_their_text() -> None:
    canary = "HKG:12345678"
    for foreign, leaf in (
        (web.HTTPNotFound(text=canary), NotFound),
        (web.HTTPExpectationFailed(text=canary), SchemaInvalid),
        (web.HTTPInternalServerError(text=canary), Internal),
    ):
        error = problems.of_http_exception(foreign)
        assert type(error) is leaf
        assert canary not in error.detail


def test_allow_is_kept() -> None:
    error = problems.of_http_exception(web.HTTPMethodNotAllowed("PUT", ["GET", "POST"]))
    assert isinstance(error, MethodNotAllowed)
    assert error.headers == {"Allow": "GET,POST"}
