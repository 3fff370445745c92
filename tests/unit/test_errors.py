"""Every wire code is one flat leaf with its status, and keeps public and private text apart."""

from __future__ import annotations

import re

import pytest

from gateway.errors import ERRORS, GatewayError, Violation

# Contract §3, the table of errors; and what HTTP itself can refuse.
CONTRACT = {
    "SCHEMA_INVALID": 400,
    "SCHEMA_VERSION_UNSUPPORTED": 400,
    "IDEMPOTENCY_KEY_MISSING": 400,
    "TOKEN_MISSING": 401,
    "TOKEN_INVALID": 401,
    "TOKEN_NOT_BOUND": 401,
    "CERT_UNKNOWN": 401,
    "CERT_EXPIRED": 401,
    "CERT_REVOKED": 401,
    "SCOPE_INSUFFICIENT": 403,
    "PARTICIPANT_SUSPENDED": 403,
    "DIRECTION_NOT_PERMITTED": 403,
    "CONSENT_NOT_FOUND": 403,
    "CONSENT_PENDING": 403,
    "CONSENT_EXPIRED": 403,
    "CONSENT_REVOKED": 403,
    "CONSENT_CONSUMED": 403,
    "CONSENT_SCOPE_EXCEEDED": 403,
    "CONSENT_PURPOSE_MISMATCH": 403,
    "NOT_FOUND": 404,
    "REPLAY_DETECTED": 409,
    "STATE_CONFLICT": 409,
    "TOO_LARGE": 413,
    "IDEMPOTENCY_CONFLICT": 422,
    "RATE_LIMITED": 429,
    "UPSTREAM_UNAVAILABLE": 503,
    "AUDIT_UNAVAILABLE": 503,
    "OVERLOADED": 503,
    "INTERNAL": 500,
}
HTTP = {"METHOD_NOT_ALLOWED": 405, "REQUEST_TIMEOUT": 408, "MEDIA_TYPE_UNSUPPORTED": 415}
# Ours, since the remedy is another than for a token that is no good: the owner signs in again, the consent stays.
ADDED = {"AUTHENTICATION_TOO_OLD": 401}


def test_codes_and_statuses_are_the_contract_s() -> None:
    assert {error.code: error.status for error in ERRORS} == CONTRACT | HTTP | ADDED


def test_leaves_are_flat_and_each_code_is_one_leaf() -> None:
    assert all(error.__bases__ == (GatewayError,) for error in ERRORS)
    assert len({error.code for error in ERRORS}) == len(ERRORS)


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: error.code)
def test_leaf_is_named_after_its_code(error: type[GatewayError]) -> None:
    assert re.sub(r"(?<=[a-z])(?=[A-Z])", "_", error.__name__).upper() == error.code


def test_what_may_be_repeated_is_what_passes_by_itself() -> None:
    assert {error.status for error in ERRORS if error.retryable} == {408, 429, 503}
    assert all(error.retryable for error in ERRORS if error.status in {408, 429, 503})


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: error.code)
def test_private_detail_is_in_no_public_text(error: type[GatewayError]) -> None:
    refusal = error(private="canary")
    assert refusal.private == "canary"
    assert refusal.detail == error.title
    assert "canary" not in f"{refusal} {refusal!r} {refusal.args}"


def test_public_detail_and_facts_are_kept() -> None:
    violation = Violation(pointer="/a", keyword="type", message="must be text")
    refusal = GatewayError("Say it so", retry_after_seconds=3, violations=(violation,), headers={"Allow": "GET"})
    assert (refusal.detail, str(refusal)) == ("Say it so", "Say it so")
    assert refusal.retry_after_seconds == 3
    assert refusal.violations == (violation,)
    assert refusal.headers == {"Allow": "GET"}
