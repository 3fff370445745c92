"""Who a client is: the conformance plan's modules about `private_key_jwt`, and the other ways to prove it or not.

A refusal never says which check an assertion failed; the cases differ in one point each from one that is accepted.
"""

from __future__ import annotations

import hmac
import uuid
from collections.abc import Callable
from typing import Any

import orjson
import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa

from tests.end_to_end.fapi import ASSERTION_TYPE, DPOP, JWT, OTHER, TLS, Fapi, check_refusal, public_jwk
from tests.end_to_end.stage import VALIDATORS, check_problem, request
from tests.end_to_end.test_tokens import altered, assembled

ENDPOINTS = ("par", "token", "introspect", "revoke")
MACHINE = {"grant_type": "client_credentials", "scope": "cdi:consents"}


def stranger() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


def rsa_signed(fapi: Fapi) -> str:
    key = rsa.generate_private_key(65_537, 2_048)
    claims = {"iss": fapi.id(JWT), "sub": fapi.id(JWT), "aud": fapi.issuer, "jti": "1", "exp": fapi.stage.now + 60}
    return assembled({"alg": "RS256"}, claims, lambda data: key.sign(data, padding.PKCS1v15(), hashes.SHA256()))


def with_key(fapi: Fapi, **members: Any) -> str:
    key = stranger()
    return fapi.assertion(key=key, header={"jwk": public_jwk(key)} | members)


Forge = Callable[[Fapi], str]
REFUSED: dict[str, Forge] = {
    "ensure-signed-client-assertion-with-RS256-fails": rsa_signed,
    "ensure-client-assertion-with-exp-is-5-minutes-in-past-fails": lambda f: f.assertion(exp=f.stage.now - 300),
    "just expired": lambda f: f.assertion(exp=f.stage.now - 1),
    "lives too long": lambda f: f.assertion(exp=f.stage.now + 3_600),
    "never expires": lambda f: f.assertion(exp=None),
    "expiry as text": lambda f: f.assertion(exp=str(f.stage.now + 60)),
    "ensure-client-assertion-with-wrong-aud-fails": lambda f: f.assertion(aud="https://other.example"),
    "par-endpoint-as-audience-fails": lambda f: f.assertion(aud=f"{f.issuer}/oauth/par"),
    "par-endpoint-as-array-audience-fails": lambda f: f.assertion(aud=[f"{f.issuer}/oauth/par"]),
    "the issuer in an array": lambda f: f.assertion(aud=[f.issuer]),
    "the issuer and another in an array": lambda f: f.assertion(aud=[f.issuer, "https://other.example"]),
    "par-token-endpoint-as-audience-fails": lambda f: f.assertion(aud=f"{f.issuer}/oauth/token"),
    "the alias as audience": lambda f: f.assertion(aud=f"{f.bank}/oauth/token"),
    "the resource as audience": lambda f: f.assertion(aud=f.bank),
    "issuer with a slash": lambda f: f.assertion(aud=f.issuer + "/"),
    "no audience": lambda f: f.assertion(aud=None),
    "ensure-client-assertion-with-no-sub-fails": lambda f: f.assertion(sub=None),
    "no issuer": lambda f: f.assertion(iss=None),
    "another's subject": lambda f: f.assertion(sub=f.id(DPOP)),
    "another's issuer": lambda f: f.assertion(iss=f.id(DPOP)),
    "no id": lambda f: f.assertion(jti=None),
    "an empty id": lambda f: f.assertion(jti=""),
    "an id that is a number": lambda f: f.assertion(jti=1),
    "iat-nbf-over-60-seconds-in-the-future-fails: nbf": lambda f: f.assertion(nbf=f.stage.now + 62),
    "iat-nbf-over-60-seconds-in-the-future-fails: iat": lambda f: f.assertion(iat=f.stage.now + 62),
    "another key under the client's name": lambda f: f.assertion(key=stranger()),
    "a key of another client": lambda f: f.assertion(key=f.key(DPOP)),
    "a key id of another client": lambda f: f.assertion(key=f.key(DPOP), header={"kid": "bank-a-dpop-1"}),
    "a key id that is a path": lambda f: f.assertion(header={"kid": "../../../dev/null"}),
    "a key id that is a query": lambda f: f.assertion(header={"kid": "' OR 1=1 --"}),
    "a key of its own": with_key,
    "a key elsewhere": lambda f: with_key(f, jku=f"{f.bank}/oauth/jwks"),
    "a certificate elsewhere": lambda f: f.assertion(header={"x5u": "https://attacker.example/cert.pem"}),
    "something that must be understood": lambda f: f.assertion(header={"crit": ["exp"]}),
    "alg none": lambda f: assembled({"alg": "none"}, claims(f), lambda _: b""),
    "alg HS256 with the public key": lambda f: assembled(
        {"alg": "HS256"}, claims(f), lambda data: hmac.digest(orjson.dumps(public_jwk(f.key(JWT))), data, "sha256")
    ),
    "signature of one bit less": lambda f: altered(f.assertion(), 2),
    "claims changed after signing": lambda f: altered(f.assertion(), 1),
    "no signature": lambda f: altered(f.assertion(), 2, ""),
    "no JWT": lambda _: "x",
    "two parts": lambda f: f.assertion().rpartition(".")[0],
    "too large": lambda f: f.assertion(more="x" * 9_000),
}


def claims(fapi: Fapi) -> dict[str, Any]:
    now = fapi.stage.now
    return {"iss": fapi.id(JWT), "sub": fapi.id(JWT), "aud": fapi.issuer, "jti": str(uuid.uuid4()), "exp": now + 60}


def form(fapi: Fapi, assertion: str, **changes: str | None) -> dict[str, str | None]:
    return {
        "client_id": fapi.id(JWT),
        "client_assertion_type": ASSERTION_TYPE,
        "client_assertion": assertion,
        **MACHINE,
        **changes,
    }


@pytest.mark.parametrize("name", REFUSED)
async def test_such_an_assertion_is_refused(name: str, fapi: Fapi) -> None:
    reply = await fapi.post("token", form(fapi, REFUSED[name](fapi)), JWT)
    check_refusal(reply, "invalid_client", 401)
    assert reply.json["error_description"] == "The client could not be authenticated"


@pytest.mark.parametrize("endpoint", ENDPOINTS)
async def test_a_wrong_audience_is_refused_at_every_endpoint(endpoint: str, fapi: Fapi) -> None:
    for audience in (f"{fapi.issuer}/oauth/{endpoint}", [f"{fapi.issuer}/oauth/{endpoint}"]):
        sent = form(fapi, fapi.assertion(aud=audience), token="x")
        check_refusal(await fapi.post(endpoint, sent, JWT), "invalid_client", 401)
        check_refusal(await fapi.post(endpoint, sent, None), "invalid_client", 401)


@pytest.mark.parametrize("name", ["nbf", "iat"])
@pytest.mark.parametrize("seconds", [-60, 8])
async def test_jwt_client_assertion_with_iat_nbf_8_seconds_in_the_future_is_accepted(
    name: str, seconds: int, fapi: Fapi
) -> None:
    """par-ensure-jwt-client-assertion-with-iat-nbf-8-seconds-in-the-future-is-accepted"""
    assertion = fapi.assertion(**{name: fapi.stage.now + seconds})
    assert (await fapi.post("token", form(fapi, assertion), JWT)).status == 200


async def test_an_assertion_counts_once_whatever_it_was_used_for(fapi: Fapi) -> None:
    """RFC 7523 §3 (7): at this endpoint, at another, at the other listener."""
    assertion = fapi.assertion()
    assert (await fapi.post("token", form(fapi, assertion), JWT)).status == 200
    for endpoint in ENDPOINTS:
        for label in (JWT, None):
            check_refusal(await fapi.post(endpoint, form(fapi, assertion, token="x"), label), "invalid_client", 401)


async def test_the_same_id_of_two_clients_is_two(fapi: Fapi) -> None:
    for label in (JWT, DPOP):
        reply = await fapi.ask("introspect", label, {**fapi.credentials(label, jti="same"), "token": "x"})
        assert (reply.status, reply.json) == (200, {"active": False})


async def test_client_assertion_in_token_endpoint(fapi: Fapi) -> None:
    """ensure-client-assertion-in-token-endpoint: without it the client is nobody, certificate or not."""
    for label in (JWT, None):
        check_refusal(await fapi.post("token", {"client_id": fapi.id(JWT), **MACHINE}, label), "invalid_client", 401)


@pytest.mark.parametrize(
    "changes",
    [
        {"client_assertion_type": None},
        {"client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:saml2-bearer"},
        {"client_id": "bank-a-web"},
        {"client_id": "nobody"},
        {"client_secret": "x"},
    ],
    ids=str,
)
async def test_a_good_assertion_with_such_a_form_proves_nobody(changes: dict[str, Any], fapi: Fapi) -> None:
    sent = form(fapi, fapi.assertion(), **changes)
    check_refusal(await fapi.post("token", sent, JWT), "invalid_client", 401)


async def test_the_assertion_alone_names_its_client(fapi: Fapi) -> None:
    """RFC 7521 §4.2: client_id is not needed beside it."""
    assert (await fapi.post("token", form(fapi, fapi.assertion(), client_id=None), JWT)).status == 200


@pytest.mark.parametrize("endpoint", ENDPOINTS)
async def test_no_endpoint_serves_who_does_not_say_who_they_are(endpoint: str, fapi: Fapi) -> None:
    sent = {**MACHINE, "token": "x"}
    for label in (TLS, None):
        check_refusal(await fapi.post(endpoint, sent, label), "invalid_client", 401)


@pytest.mark.parametrize("label", [TLS, None])
async def test_a_client_secret_is_no_credential(label: str | None, fapi: Fapi) -> None:
    """In the form or as HTTP Basic (RFC 6749 §2.3.1): FAPI 2.0 §5.3.2.1 knows neither."""
    sent = {"client_id": fapi.id(TLS), "client_secret": "x", **MACHINE}
    check_refusal(await fapi.post("token", sent, label), "invalid_client", 401)
    basic = [("Authorization", "Basic YmFuay1hLWxvYW5zOng=")]
    check_refusal(await fapi.post("token", MACHINE, label, basic), "invalid_client", 401)


async def test_an_assertion_of_a_client_that_has_a_certificate_is_refused(fapi: Fapi) -> None:
    sent = {"client_id": fapi.id(TLS), "client_assertion_type": ASSERTION_TYPE, **MACHINE}
    check_refusal(await fapi.post("token", {**sent, "client_assertion": fapi.assertion()}), "invalid_client", 401)


@pytest.mark.parametrize("endpoint", ENDPOINTS)
async def test_one_banks_client_under_another_banks_certificate_is_refused(endpoint: str, fapi: Fapi) -> None:
    """Also with a good assertion: who comes by mutual TLS comes as themselves."""
    sent = {**MACHINE, "token": "x"}
    check_refusal(await fapi.post(endpoint, {**sent, **fapi.credentials(TLS)}, OTHER), "invalid_client", 401)
    check_refusal(await fapi.post(endpoint, {**sent, **fapi.credentials(JWT)}, OTHER), "invalid_client", 401)


async def test_two_authorization_or_dpop_headers_are_refused(fapi: Fapi) -> None:
    proof = await fapi.proof("POST", fapi.url("token", DPOP))
    for name, value in (("DPoP", proof), ("Authorization", "Basic eDp4")):
        for second in (value, "another"):
            reply = await fapi.post(
                "token", {**fapi.credentials(DPOP), **MACHINE}, DPOP, [(name, value), (name, second)]
            )
            check_problem(reply, "SCHEMA_INVALID")
    async with fapi.stage.connection() as client:
        raw = request("GET", "/cdi/v1/consents", "Authorization: Bearer a", "authorization: Bearer b")
        assert VALIDATORS.is_valid("cdi/v1/problem", (await client.ask(raw)).json())


async def test_a_refused_client_is_on_record_and_its_assertion_nowhere(fapi: Fapi) -> None:
    assertion = fapi.assertion(aud="https://other.example")
    before = len(fapi.stage.log())
    await fapi.post("token", form(fapi, assertion), JWT)
    written = fapi.stage.log()[before:]
    assert b'"outcome":"INVALID_CLIENT"' in written
    assert assertion.encode() not in written
