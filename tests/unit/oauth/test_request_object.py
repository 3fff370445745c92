"""Signed request objects (JAR), one wrong thing at a time; names as in the OpenID conformance suite's FAPI 2.0 plan."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from gateway.oauth.refusal import OAuthRefusal
from gateway.oauth.request import authorization_request
from gateway.oauth.request_object import unpack
from tests.oauth_clients import (
    CLIENT,
    ISSUER,
    assertion,
    client,
    confusions,
    key,
    parameters,
    refused,
    request_object,
    stranger,
    with_doubled_claim,
)
from tests.samples import NOW

OUTER = {"client_id": CLIENT}


def unpacked(token: str, *, now: float = NOW, outer: dict[str, str] | None = None, **changes: Any) -> dict[str, str]:
    return unpack(token, client(**changes), issuer=ISSUER, now=now, outer={"request": token} | (outer or OUTER))


def refusal(token: str, **arguments: Any) -> OAuthRefusal:
    return refused(lambda: unpacked(token, **arguments))


def reason(token: str, **arguments: Any) -> str:
    found = refusal(token, **arguments)
    assert (found.code, found.status) == ("invalid_request_object", 400)
    return found.reason


@pytest.mark.parametrize("alg", ["ES256", "PS256", "EdDSA"])
def test_the_parameters_are_those_inside(alg: str) -> None:
    assert unpacked(request_object(alg)) == parameters()


@pytest.mark.parametrize("typ", ["oauth-authz-req+jwt", "OAUTH-AUTHZ-REQ+JWT", "JWT", None])
def test_its_type_may_be_said(typ: str | None) -> None:
    assert unpacked(request_object(head={"typ": typ})) == parameters()


@pytest.mark.parametrize("typ", ["at+jwt", "dpop+jwt", "client-authentication+jwt", 7])
def test_what_was_signed_as_something_else_is_none(typ: Any) -> None:
    assert reason(request_object(head={"typ": typ})) == "request_object_type"


def test_ensure_signed_request_object_with_rs256_fails() -> None:
    made = request_object("RS256", by=key("PS256"), head={"kid": "key-PS256"})
    assert reason(made) == "request_object_algorithm"


def test_ensure_request_object_signature_algorithm_is_not_none() -> None:
    assert reason(confusions(request_object)["none"]) == "request_object_algorithm"


def test_ensure_request_object_with_invalid_signature_fails() -> None:
    assert reason(request_object(by=stranger())) == "request_object_signature"


def test_ensure_matching_key_in_authorization_request() -> None:
    assert reason(request_object(), keys=None) == "request_object_key"
    assert reason(request_object(head={"kid": "other"})) == "request_object_key"


@pytest.mark.parametrize("name", sorted(confusions(request_object)))
def test_ensure_confusion_fails(name: str) -> None:
    assert reason(confusions(request_object)[name]).startswith("request_object_")


def test_ensure_request_object_with_multiple_aud_succeeds() -> None:
    assert unpacked(request_object(aud=[ISSUER, "https://other.example"])) == parameters()


@pytest.mark.parametrize("audience", [None, "https://other.example", ["https://other.example"], [], 7, {}, [[ISSUER]]])
def test_ensure_request_object_with_bad_aud_fails(audience: Any) -> None:
    assert reason(request_object(aud=audience)) == "request_object_audience"


@pytest.mark.parametrize(
    "changes", [{"iss": None}, {"iss": "bank-b"}, {"client_id": None}, {"client_id": "bank-b"}, {"iss": ISSUER}]
)
def test_ensure_request_object_of_another_client_fails(changes: dict[str, Any]) -> None:
    assert reason(request_object(**changes)) == "request_object_identity"


def test_ensure_request_object_without_exp_fails() -> None:
    assert reason(request_object(exp=None)) == "request_object_time"


def test_ensure_request_object_without_nbf_fails() -> None:
    assert reason(request_object(nbf=None)) == "request_object_time"


@pytest.mark.parametrize("name", ["exp", "nbf", "iat"])
@pytest.mark.parametrize("value", ["1800000300", True, -1, 1 << 41, []])
def test_ensure_request_object_with_a_time_that_is_none_fails(name: str, value: Any) -> None:
    assert reason(request_object(**{name: value})) == "request_object_time"


@pytest.mark.parametrize("exp", [NOW, NOW - 1, NOW - 300])
def test_ensure_expired_request_object_fails(exp: int) -> None:
    assert reason(request_object(exp=exp, nbf=NOW - 600)) == "request_object_expiry"


def test_ensure_request_object_with_exp_over_60_fails() -> None:
    assert unpacked(request_object(exp=NOW + 3_600)) == parameters()
    assert reason(request_object(exp=NOW + 3_601)) == "request_object_expiry"


def test_ensure_request_object_with_nbf_over_60_fails() -> None:
    assert unpacked(request_object(nbf=NOW - 3_590, exp=NOW + 10)) == parameters()
    assert reason(request_object(nbf=NOW - 3_601, exp=NOW - 1)) == "request_object_expiry"
    assert reason(request_object(nbf=NOW - 3_601, exp=NOW + 60)) == "request_object_expiry"


@pytest.mark.parametrize("name", ["nbf", "iat"])
def test_ensure_request_object_with_nbf_8_seconds_in_the_future_is_accepted(name: str) -> None:
    assert unpacked(request_object(**{name: NOW + 8})) == parameters()


@pytest.mark.parametrize(("name", "code"), [("nbf", "not_before"), ("iat", "issued_at")])
@pytest.mark.parametrize("ahead", [11, 61])
def test_ensure_request_object_with_nbf_over_60_seconds_in_the_future_fails(name: str, code: str, ahead: int) -> None:
    assert reason(request_object(**{name: NOW + ahead})) == f"request_object_{code}"


def test_ensure_a_request_object_is_no_client_assertion() -> None:
    """RFC 9101 §10.8."""
    assert reason(request_object(sub=CLIENT)) == "request_object_subject"
    assert unpacked(request_object(sub="somebody")) == parameters()
    assert reason(assertion()) == "request_object_identity"


@pytest.mark.parametrize("name", ["request", "request_uri"])
def test_ensure_a_request_object_within_a_request_object_fails(name: str) -> None:
    assert reason(request_object(**{name: "x"})) == "request_object_nested"


@pytest.mark.parametrize("name", sorted(parameters().keys() - {"client_id"} | {"request_uri", "resource", "unknown"}))
def test_state_only_outside_request_object_not_used(name: str) -> None:
    """RFC 9126 §3: what is asked stands inside."""
    found = refusal(request_object(), outer=OUTER | {name: "x"})
    assert (found.code, found.reason) == ("invalid_request", "request_object_outer")


def test_the_clients_proof_of_itself_stands_outside() -> None:
    outer = OUTER | {"client_assertion": "x", "client_assertion_type": "y"}
    assert unpacked(request_object(), outer=outer) == parameters()


def test_ensure_request_object_without_redirect_uri_fails() -> None:
    inside = unpacked(request_object(redirect_uri=None))
    assert refused(lambda: authorization_request(inside, client())).reason == "redirect_uri"


@pytest.mark.parametrize("value", [True, False])
def test_a_parameter_that_has_no_form_is_refused(value: bool) -> None:
    assert reason(request_object(state=value)) == "request_object_parameter"


def test_a_parameter_of_null_is_refused() -> None:
    """`request_object` leaves out what is None, so that it is signed in behind."""
    made = with_doubled_claim(request_object(state=None), "state", None, by=key())
    assert reason(made) == "request_object_parameter"


def test_a_claim_twice_is_refused() -> None:
    made = with_doubled_claim(request_object(), "redirect_uri", "https://mallory.example", by=key())
    assert reason(made) == "request_object_malformed"


def test_numbers_and_structures_become_what_a_form_would_hold() -> None:
    """RFC 9101 §4, RFC 9396 §4."""
    inside = unpacked(request_object(max_age=300, claims={"userinfo": {}}))
    assert inside["max_age"] == "300"
    assert inside["claims"] == '{"userinfo":{}}'
    assert orjson.loads(inside["authorization_details"])[0]["type"] == "cdi_consent"


def test_control_characters_inside_are_refused_as_outside() -> None:
    found = refusal(request_object(state="a\nb"))
    assert (found.code, found.reason) == ("invalid_request", "control_character")
