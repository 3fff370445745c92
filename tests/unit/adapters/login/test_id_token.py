"""Claim by claim: what an ID token must say. The good one is the first test; each other changes one thing."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from joserfc.jwk import ECKey

from adapters.login.id_token import TOKEN_CHARACTERS_MAX, Expected, claims_of, header_of, signed_in
from gateway.ports.authorization import LoginRefused, SignedIn
from tests.fakes_oauth import NOW, b64, ec_key, sign

KEY = ec_key()
EXPECTED = Expected(
    issuer="https://op.example",
    client_id="gateway",
    nonce="n-1",
    signed_in_after=NOW - 100,
    acr_values=("high",),
    owner_claim="owner",
)
GOOD: dict[str, Any] = {
    "iss": "https://op.example",
    "sub": "person-1",
    "aud": "gateway",
    "iat": NOW,
    "exp": NOW + 60,
    "nonce": "n-1",
    "auth_time": NOW - 50,
    "acr": "high",
    "owner": "owner-7",
    "name": "Data Owner 7",
}


def said(**changes: Any) -> SignedIn:
    claims = {name: value for name, value in (GOOD | changes).items() if value is not ...}
    return signed_in(claims, EXPECTED, now=NOW)


def test_a_right_token_tells_who_signed_in() -> None:
    assert said() == SignedIn(owner_id="owner-7", name="Data Owner 7", auth_time=NOW - 50, acr="high")


@pytest.mark.parametrize(
    "changes",
    [
        {"aud": ["gateway"]},
        {"aud": ["gateway", "other"], "azp": "gateway"},
        {"azp": "gateway"},
        {"iat": NOW + 10},
        {"auth_time": NOW - 110},
        {"auth_time": NOW + 10},
        {"exp": NOW + 1},
        {"nbf": NOW},
        {"unknown": 1.5},
    ],
)
def test_what_the_specification_allows_is_taken(changes: dict[str, Any]) -> None:
    assert said(**changes).owner_id == "owner-7"


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"iss": ...}, "id_token_claims"),
        ({"iss": "https://op.example/"}, "id_token_iss"),
        ({"iss": ["https://op.example"]}, "id_token_iss"),
        ({"sub": ...}, "id_token_claims"),
        ({"sub": 7}, "id_token_sub"),
        ({"aud": ...}, "id_token_claims"),
        ({"aud": "other"}, "id_token_aud"),
        ({"aud": []}, "id_token_aud"),
        ({"aud": ["gateway", 7]}, "id_token_aud"),
        ({"aud": {"gateway": 1}}, "id_token_aud"),
        ({"aud": ["gateway", "other"]}, "id_token_azp"),
        ({"aud": ["gateway", "other"], "azp": "other"}, "id_token_azp"),
        ({"azp": "other"}, "id_token_azp"),
        ({"azp": 7}, "id_token_azp"),
        ({"exp": ...}, "id_token_claims"),
        ({"exp": NOW}, "id_token_expired"),
        ({"exp": NOW - 10}, "id_token_expired"),
        ({"exp": str(NOW + 60)}, "id_token_exp"),
        ({"exp": True}, "id_token_exp"),
        ({"exp": float("nan")}, "id_token_exp"),
        ({"iat": ...}, "id_token_claims"),
        ({"iat": NOW + 11}, "id_token_iat"),
        ({"nbf": NOW + 11}, "id_token_nbf"),
        ({"nonce": ...}, "id_token_nonce"),
        ({"nonce": "n-2"}, "id_token_nonce"),
        ({"nonce": ["n-1"]}, "id_token_nonce"),
        ({"nonce": "\ud800"}, "id_token_nonce"),
        ({"auth_time": ...}, "id_token_auth_time"),
        ({"auth_time": NOW - 111}, "id_token_auth_time"),
        ({"auth_time": NOW + 11}, "id_token_auth_time"),
        ({"auth_time": float(NOW)}, "id_token_auth_time"),
        ({"auth_time": True}, "id_token_auth_time"),
        ({"acr": ...}, "id_token_acr"),
        ({"acr": "low"}, "id_token_acr"),
        ({"acr": ["high"]}, "id_token_acr"),
        ({"owner": ...}, "owner_claim"),
        ({"owner": ""}, "owner_claim"),
        ({"owner": 7}, "owner_claim"),
        ({"owner": ["owner-7"]}, "owner_claim"),
        ({"owner": "o" * 65}, "owner_claim"),
        ({"owner": "owner\n7"}, "owner_claim"),
    ],
)
def test_each_claim_must_be_right(changes: dict[str, Any], reason: str) -> None:
    with pytest.raises(LoginRefused) as refused:
        said(**changes)
    assert str(refused.value) == reason


@pytest.mark.parametrize("name", [..., "", 7, "n" * 201, "a\nb"])
def test_a_name_that_cannot_be_shown_is_left_out(name: object) -> None:
    assert said(name=name).name == ""


def token(header: dict[str, Any] | None = None, *, key: ECKey = KEY) -> str:
    return sign(key, {"alg": "ES256", "kid": "ec"} | (header or {}), GOOD, alg="ES256")


@pytest.mark.parametrize("header", [{}, {"typ": "JWT"}, {"typ": "application/jwt"}, {"vendor.member": "x"}])
def test_an_acceptable_header_gives_algorithm_and_key(header: dict[str, Any]) -> None:
    made = token(header)
    assert header_of(made, {"ES256"}) == ("ES256", "ec")
    assert claims_of(made, KEY, "ES256") == GOOD


@pytest.mark.parametrize(
    ("header", "reason"),
    [
        ({"alg": "none"}, "id_token_algorithm"),
        ({"alg": "HS256"}, "id_token_algorithm"),
        ({"alg": "RS256"}, "id_token_algorithm"),
        ({"alg": "es256"}, "id_token_algorithm"),
        ({"alg": ["ES256"]}, "id_token_algorithm"),
        ({"alg": None}, "id_token_algorithm"),
        ({"typ": "at+jwt"}, "id_token_type"),
        ({"typ": "logout+jwt"}, "id_token_type"),
        ({"typ": 7}, "id_token_type"),
        ({"kid": 7}, "id_token_header"),
        ({"kid": "k" * 257}, "id_token_header"),
        ({"jwk": {"kty": "EC"}}, "id_token_header"),
        ({"jku": "https://evil.example"}, "id_token_header"),
        ({"x5u": "https://evil.example"}, "id_token_header"),
        ({"x5c": []}, "id_token_header"),
        ({"crit": ["b64"], "b64": False}, "id_token_header"),
    ],
)
def test_each_header_that_is_not_is_refused(header: dict[str, Any], reason: str) -> None:
    with pytest.raises(LoginRefused) as refused:
        header_of(token(header), {"ES256"})
    assert str(refused.value) == reason


@pytest.mark.parametrize(
    "malformed",
    ["", "a.b", "a.b.c.d.e", "..", "é.b.c", f"{b64(b'[')}.b.c", "a" * (TOKEN_CHARACTERS_MAX + 1), "{}.b.c"],
)
def test_what_is_no_jws_is_refused(malformed: str) -> None:
    with pytest.raises(LoginRefused, match="id_token_malformed"):
        header_of(malformed, {"ES256"})


@pytest.mark.parametrize(
    "forged",
    [
        token(key=ec_key("other")),
        token()[:-2] + "AA",
        token().rsplit(".", 1)[0] + ".",
        ".".join([token().split(".")[0], b64(orjson.dumps(GOOD | {"owner": "owner-8"})), token().split(".")[2]]),
        sign(KEY, {"alg": "ES256"}, b"no json"),
        sign(KEY, {"alg": "ES256"}, b"[]"),
        sign(KEY, {"alg": "ES256"}, b"[" * 90_000),
    ],
    ids=["another key", "damaged", "no signature", "other claims", "no json", "no object", "deep"],
)
def test_claims_without_a_right_signature_are_not_read(forged: str) -> None:
    with pytest.raises(LoginRefused, match="id_token_signature"):
        claims_of(forged, KEY, "ES256")


def test_a_key_is_used_with_its_algorithm_only() -> None:
    with pytest.raises(LoginRefused, match="id_token_signature"):
        claims_of(token(), KEY, "PS256")
