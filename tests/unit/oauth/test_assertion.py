"""Client assertions, one wrong thing at a time. Names after modules of the OpenID conformance suite's FAPI 2.0 plan."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.oauth.assertion import Assertion, check_assertion, peek_client_id
from gateway.oauth.refusal import OAuthRefusal
from tests.fakes_oauth import sign
from tests.oauth_clients import (
    CLIENT,
    ISSUER,
    assertion,
    client,
    confusions,
    key,
    proof,
    refused,
    request_object,
    with_doubled_claim,
)
from tests.samples import NOW


def check(token: str, *, now: float = NOW, **changes: Any) -> Assertion:
    return check_assertion(token, client(**changes), issuer=ISSUER, now=now)


def refusal(token: str, *, now: float = NOW, **changes: Any) -> OAuthRefusal:
    found = refused(lambda: check(token, now=now, **changes))
    assert (found.code, found.status) == ("invalid_client", 401)
    assert found.description == "The client could not be authenticated"  # the same whatever was wrong
    return found


def reason(token: str, *, now: float = NOW, **changes: Any) -> str:
    return refusal(token, now=now, **changes).reason


@pytest.mark.parametrize("alg", ["ES256", "PS256", "EdDSA"])
def test_a_good_assertion_is_a_value(alg: str) -> None:
    assert check(assertion(alg, jti="one")) == Assertion(token_id="one", expires_at=NOW + 60)


@pytest.mark.parametrize("typ", ["JWT", "client-authentication+jwt"])
def test_a_type_of_assertions_may_be_said(typ: str) -> None:
    assert check(assertion(head={"typ": typ}, jti="one")).token_id == "one"


def test_ensure_signed_client_assertion_with_rs256_fails() -> None:
    assert reason(assertion("RS256", by=key("PS256"), head={"kid": "key-PS256"})) == "assertion_algorithm"


@pytest.mark.parametrize("name", sorted(confusions(assertion)))
def test_ensure_invalid_client_assertions_fail(name: str) -> None:
    assert reason(confusions(assertion)[name]).startswith("assertion_")


def test_ensure_client_assertion_with_wrong_aud_fails() -> None:
    assert reason(assertion(aud="https://other.example")) == "assertion_audience"


@pytest.mark.parametrize("audience", [[ISSUER], [ISSUER, "https://other.example"], []])
def test_ensure_client_assertion_with_aud_array_fails(audience: list[str]) -> None:
    assert reason(assertion(aud=audience)) == "assertion_audience"


@pytest.mark.parametrize("path", ["/oauth/token", "/oauth/par", "/oauth/introspect", "/", "/oauth/token?x=1"])
def test_ensure_client_assertion_with_endpoint_as_audience_fails(path: str) -> None:
    """par-test-pushed-authorization-url-as-audience, and the token endpoint's."""
    assert reason(assertion(aud=ISSUER + path)) == "assertion_audience"


@pytest.mark.parametrize("audience", [None, 7, {}, True, ISSUER.upper()])
def test_ensure_client_assertion_without_the_issuer_as_aud_fails(audience: Any) -> None:
    assert reason(assertion(aud=audience)) == "assertion_audience"


def test_ensure_client_assertion_with_no_sub_fails() -> None:
    assert reason(assertion(sub=None)) == "assertion_identity"


@pytest.mark.parametrize(
    "changes", [{"iss": None}, {"iss": "bank-b"}, {"sub": "bank-b"}, {"iss": ISSUER}, {"sub": [CLIENT]}]
)
def test_ensure_client_assertion_with_wrong_iss_or_sub_fails(changes: dict[str, Any]) -> None:
    assert reason(assertion(**changes)) == "assertion_identity"


def test_ensure_client_assertion_of_another_client_fails() -> None:
    assert reason(assertion(), client_id="bank-b") == "assertion_identity"


def test_ensure_client_assertion_with_exp_is_5_minutes_in_past_fails() -> None:
    assert reason(assertion(exp=NOW - 300)) == "assertion_expiry"


def test_ensure_client_assertion_that_expires_now_fails() -> None:
    assert reason(assertion(exp=NOW)) == "assertion_expiry"


def test_ensure_client_assertion_that_lives_over_5_minutes_fails() -> None:
    """With 10 s for a clock that is ahead."""
    assert check(assertion(exp=NOW + 310)).expires_at == NOW + 310
    assert reason(assertion(exp=NOW + 311)) == "assertion_expiry"


@pytest.mark.parametrize("exp", [None, "1800000060", NOW + 60.5, True, -1, 1 << 41, [NOW + 60]])
def test_ensure_client_assertion_without_a_time_to_expire_fails(exp: Any) -> None:
    assert reason(assertion(exp=exp)) in {"assertion_time", "assertion_malformed"}  # a fraction is no JSON of ours


@pytest.mark.parametrize("name", ["nbf", "iat"])
def test_par_ensure_jwt_client_assertions_nbf_8_seconds_in_the_future_is_accepted(name: str) -> None:
    assert check(assertion(**{name: NOW + 8})).expires_at == NOW + 60


@pytest.mark.parametrize("name", ["nbf", "iat"])
@pytest.mark.parametrize("ahead", [11, 61, 3_600])
def test_par_ensure_jwt_client_assertions_nbf_is_over_60_seconds_in_the_future_fails(name: str, ahead: int) -> None:
    assert reason(assertion(**{name: NOW + ahead})) == "assertion_not_before"


@pytest.mark.parametrize("changes", [{"nbf": "now"}, {"iat": True}, {"iat": -1}])
def test_ensure_client_assertion_with_a_time_that_is_none_fails(changes: dict[str, Any]) -> None:
    assert reason(assertion(**changes)) == "assertion_time"


def test_neither_nbf_nor_iat_is_needed() -> None:
    assert check(assertion(iat=None)).expires_at == NOW + 60


@pytest.mark.parametrize("jti", [None, "", 7, ["one"], "j" * 257])
def test_ensure_client_assertion_without_jti_fails(jti: Any) -> None:
    assert reason(assertion(jti=jti)) == "assertion_token_id"


def test_ensure_client_assertion_with_a_claim_twice_fails() -> None:
    doubled = with_doubled_claim(assertion(), "aud", "https://other.example", by=key())
    assert reason(doubled) == "assertion_malformed"


def test_what_the_client_signed_as_something_else_is_no_assertion() -> None:
    """RFC 8725 §3.11, §3.12."""
    both = request_object(sub=CLIENT, jti="one")
    assert reason(both) == "assertion_type"
    assert reason(assertion(head={"typ": "dpop+jwt"})) == "assertion_type"
    assert reason(assertion(head={"typ": "at+jwt"})) == "assertion_type"
    assert reason(proof()).startswith("assertion_")


def test_a_client_without_keys_cannot_be_proven() -> None:
    assert reason(assertion(), keys=None) == "assertion_key"


def test_the_client_is_looked_up_by_what_the_assertion_says() -> None:
    assert peek_client_id(assertion()) == CLIENT
    assert peek_client_id(assertion(sub="bank-b")) == "bank-b"


@pytest.mark.parametrize("token", ["", "a.b", "a.b.c", "é.b.c", "x" * 9_000, sign(key(), {"alg": "ES256"}, {"sub": 7})])
def test_nobody_is_looked_up_by_what_is_no_assertion(token: str) -> None:
    assert peek_client_id(token) is None


def test_nothing_of_the_assertion_is_in_the_refusal() -> None:
    found = refusal(assertion(aud="https://canary.example"))
    assert "canary" not in repr((found, found.reason, found.description, dict(found.headers)))
