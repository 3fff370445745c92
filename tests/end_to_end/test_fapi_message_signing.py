"""FAPI 2.0 Message Signing as far as it is served: signed requests (JAR), answers (JARM) and introspection (RFC 9701).

The tests of request objects are named after the modules of the conformance plan.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from typing import Any

import orjson
import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from joserfc import jws
from joserfc.jwk import KeySet

from adapters.sandbox.bank import Reply
from tests.end_to_end.fapi import DPOP, JAR, JWT, OTHER, TLS, Code, Fapi, check_refusal, public_jwk
from tests.end_to_end.test_tokens import altered, assembled

VERIFIER = "v" * 43


async def parameters(fapi: Fapi, **changes: Any) -> dict[str, Any]:
    return fapi.parameters(JWT, await fapi.consent(JWT), VERIFIER, **changes)


async def pushed(fapi: Fapi, request: str, label: str = JWT, **beside: str | None) -> Reply:
    return await fapi.post("par", {**fapi.credentials(label), "request": request, **beside}, label)


async def opened(fapi: Fapi, token: str, typ: str) -> dict[str, Any]:
    """The claims of something that the server signed."""
    keys = KeySet.import_key_set((await fapi.send("GET", f"{fapi.issuer}/oauth/jwks", None)).json)
    found = jws.deserialize_compact(token, keys, algorithms=["ES256"])
    assert found.headers()["typ"] == typ
    claims: dict[str, Any] = orjson.loads(found.payload)
    return claims


async def by_request_object(fapi: Fapi, label: str = JWT, **said: Any) -> Code:
    """A code, for what only a request object said."""
    consent, verifier = await fapi.consent(label), secrets.token_urlsafe(48)
    reply = await pushed(fapi, fapi.request_object(fapi.parameters(label, consent, verifier), label, **said), label)
    assert reply.status == 201, reply.body
    return await fapi.decided(fapi.request(label, consent, verifier, reply.json["request_uri"]))


# --- accepted --------------------------------------------------------------------------------------------------


async def test_happy_flow_with_a_signed_request(fapi: Fapi) -> None:
    code = await by_request_object(fapi, state="signed")
    assert code.answer["state"] == "signed"
    assert (await fapi.redeem(code)).status == 200


async def test_server_accepts_request_object_with_multiple_aud(fapi: Fapi) -> None:
    await by_request_object(fapi, aud=[fapi.issuer, "https://other.example"])


@pytest.mark.parametrize("changes", [{"nbf": 8}, {"nbf": -3_580, "exp": 15}, {"exp": 3_590}], ids=str)
async def test_request_object_with_nbf_8_seconds_in_the_future_is_accepted(changes: dict[str, int], fapi: Fapi) -> None:
    now = fapi.stage.now
    reply = await pushed(
        fapi, fapi.request_object(await parameters(fapi), **{name: now + by for name, by in changes.items()})
    )
    assert reply.status == 201, reply.body


async def test_structures_and_numbers_inside_are_what_they_are(fapi: Fapi) -> None:
    """RFC 9396 §4: authorization_details as JSON, not as text of JSON."""
    consent = await fapi.consent(JWT)
    inside = fapi.parameters(JWT, consent, VERIFIER) | {
        "authorization_details": [{"type": "cdi_consent", "consentId": consent["consentId"]}],
        "max_age": 600,
    }
    assert (await pushed(fapi, fapi.request_object(inside))).status == 201


async def test_a_client_of_signed_requests_may_send_nothing_else(more_clients: None, fapi: Fapi) -> None:
    """ensure-unsigned-request-at-par-endpoint-fails"""
    consent = await fapi.consent(JAR)
    check_refusal(await fapi.push(JAR, consent), "invalid_request")
    reply = await pushed(fapi, fapi.request_object(fapi.parameters(JAR, consent, VERIFIER), JAR), JAR)
    assert reply.status == 201, reply.body


# --- refused ---------------------------------------------------------------------------------------------------


def rs256(fapi: Fapi, inside: dict[str, Any]) -> str:
    key = rsa.generate_private_key(65_537, 2_048)
    now = fapi.stage.now
    claims = {**inside, "iss": fapi.id(JWT), "client_id": fapi.id(JWT), "aud": fapi.issuer, "nbf": now, "exp": now + 60}
    return assembled({"alg": "RS256"}, claims, lambda data: key.sign(data, padding.PKCS1v15(), hashes.SHA256()))


def own_key(fapi: Fapi, inside: dict[str, Any]) -> str:
    key = ec.generate_private_key(ec.SECP256R1())
    return fapi.request_object(inside, key=key, header={"jwk": public_jwk(key)})


REFUSED: dict[str, Callable[[Fapi, dict[str, Any]], str]] = {
    "ensure-request-object-without-exp-fails": lambda f, p: f.request_object(p, exp=None),
    "ensure-request-object-without-nbf-fails": lambda f, p: f.request_object(p, nbf=None),
    "ensure-expired-request-object-fails": lambda f, p: f.request_object(p, nbf=f.stage.now - 60, exp=f.stage.now - 1),
    "ensure-request-object-with-exp-over-60-fails": lambda f, p: f.request_object(p, exp=f.stage.now + 3_660),
    "ensure-request-object-with-nbf-over-60-fails": lambda f, p: f.request_object(p, nbf=f.stage.now - 3_660),
    "nbf in the future": lambda f, p: f.request_object(p, nbf=f.stage.now + 62, exp=f.stage.now + 120),
    "ensure-request-object-with-bad-aud-fails": lambda f, p: f.request_object(p, aud="https://other.example"),
    "the pushed endpoint as audience": lambda f, p: f.request_object(p, aud=f"{f.issuer}/oauth/par"),
    "no audience": lambda f, p: f.request_object(p, aud=None),
    "ensure-signed-request-object-with-RS256-fails": rs256,
    "ensure-request-object-signature-algorithm-is-not-none": lambda f, p: assembled(
        {"alg": "none"}, {**p, "iss": f.id(JWT), "client_id": f.id(JWT), "aud": f.issuer}, lambda _: b""
    ),
    "ensure-request-object-with-invalid-signature-fails": lambda f, p: altered(f.request_object(p), 2),
    "changed after signing": lambda f, p: altered(f.request_object(p), 1),
    "ensure-matching-key-in-authorization-request": lambda f, p: f.request_object(p, key=f.key(DPOP)),
    "a key of its own": own_key,
    "an assertion": lambda f, _: f.assertion(nbf=f.stage.now),
    "an access token's type": lambda f, p: f.request_object(p, header={"typ": "at+jwt"}),
    "another client's issuer": lambda f, p: f.request_object(p, iss=f.id(DPOP)),
    "another client's id": lambda f, p: f.request_object(p, client_id=f.id(DPOP)),
    "no client id": lambda f, p: f.request_object(p, client_id=None),
    "no issuer": lambda f, p: f.request_object(p, iss=None),
    "a request object inside": lambda f, p: f.request_object(p, request=f.request_object(p)),
    "a request URI inside": lambda f, p: f.request_object(p, request_uri="urn:ietf:params:oauth:request_uri:x"),
    "a parameter that is no parameter": lambda f, p: f.request_object(p, state=True),
    "no JWT": lambda _, __: "x",
    "too large": lambda f, p: f.request_object(p, more="x" * 17_000),
}


@pytest.mark.parametrize("name", REFUSED)
async def test_such_a_request_object_is_refused(name: str, fapi: Fapi) -> None:
    reply = await pushed(fapi, REFUSED[name](fapi, await parameters(fapi)))
    # One that is beyond the limits of a parameter does not get as far.
    check_refusal(reply, "invalid_request" if name == "too large" else "invalid_request_object")


@pytest.mark.parametrize(
    ("beside", "error"),
    [
        ({"state": "another"}, "invalid_request"),
        ({"nonce": "another"}, "invalid_request"),
        ({"redirect_uri": "https://bank-a.sandbox.example/callback"}, "invalid_request"),
        ({"request_uri": "urn:ietf:params:oauth:request_uri:x"}, "invalid_request"),
        ({"dpop_jkt": "x" * 43}, "invalid_request"),
    ],
    ids=str,
)
async def test_nothing_of_the_request_stands_beside_a_request_object(
    beside: dict[str, str], error: str, fapi: Fapi
) -> None:
    """ensure-different-state-inside-and-outside-request-object, …-different-nonce-…,
    state-only-outside-request-object-not-used, par-reject-request_uri-in-par-authorization-request"""
    check_refusal(await pushed(fapi, fapi.request_object(await parameters(fapi)), **beside), error)


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"redirect_uri": None}, "invalid_request"),
        ({"code_challenge_method": "plain"}, "invalid_request"),
        ({"response_type": "code id_token"}, "unsupported_response_type"),
        ({"scope": "cdi:evidence"}, "invalid_scope"),
        ({"state": "s" * 2_049}, "invalid_request"),
        ({"nonce": "s" * 513}, "invalid_request"),
    ],
    ids=str,
)
async def test_what_a_form_may_not_say_a_request_object_may_not_either(
    changes: dict[str, Any], error: str, fapi: Fapi
) -> None:
    """ensure-request-object-without-redirect-uri-fails and the like."""
    check_refusal(await pushed(fapi, fapi.request_object(await parameters(fapi, **changes))), error)


async def test_a_signed_request_of_a_client_without_keys_is_refused(fapi: Fapi) -> None:
    inside = fapi.parameters(TLS, await fapi.consent(), VERIFIER)
    request = fapi.request_object(inside, JWT, iss=fapi.id(TLS), client_id=fapi.id(TLS))
    check_refusal(await pushed(fapi, request, TLS), "invalid_request_object")


async def test_a_request_object_at_the_authorization_endpoint_is_not_looked_at(fapi: Fapi) -> None:
    """FAPI 2.0 §5.3.2.2: without PAR nothing is asked."""
    request = fapi.request_object(await parameters(fapi))
    url = f"{fapi.issuer}/oauth/authorize?client_id={fapi.id(JWT)}&request={request}"
    assert (await fapi.send("GET", url, None)).status == 410


# --- signed answers --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", ["jwt", "query.jwt"])
async def test_a_signed_authorization_response(mode: str, fapi: Fapi) -> None:
    """JARM §2.1, §4.1: `iss`, `aud`, `exp` and the answer, for this client alone."""
    code = await fapi.code(response_mode=mode, state="kept")
    assert code.answer.keys() == {"response"}
    said = await opened(fapi, code.answer["response"], "oauth-authz-resp+jwt")
    assert (said["iss"], said["aud"], said["state"]) == (fapi.issuer, fapi.id(TLS), "kept")
    assert 0 < said["exp"] - fapi.stage.now <= 600
    assert (await fapi.redeem(code, code=said["code"])).status == 200


async def test_a_signed_refusal(fapi: Fapi) -> None:
    request = await fapi.pushed(response_mode="jwt")
    answer = (await fapi.decided(request, approve=False)).answer
    said = await opened(fapi, answer["response"], "oauth-authz-resp+jwt")
    assert (said["error"], "code" in said) == ("access_denied", False)


async def test_signed_introspection(fapi: Fapi) -> None:
    """RFC 9701 §5: for the client that asked, by the server's key."""
    token = (await fapi.tokens())["access_token"]
    accept = [("Accept", "application/token-introspection+jwt")]
    reply = await fapi.post("introspect", {**fapi.credentials(TLS), "token": token}, TLS, accept)
    assert reply.headers["Content-Type"].partition(";")[0] == "application/token-introspection+jwt"
    said = await opened(fapi, reply.body.decode(), "token-introspection+jwt")
    assert (said["iss"], said["aud"]) == (fapi.issuer, fapi.id(TLS))
    assert said["token_introspection"]["active"] is True
    assert "sub" not in said


async def test_introspection_tells_another_bank_nothing(fapi: Fapi) -> None:
    answer = await fapi.tokens()
    for token in (answer["access_token"], answer["refresh_token"], "x", "a.b.c"):
        reply = await fapi.ask("introspect", OTHER, {"token": token})
        assert (reply.status, reply.json) == (200, {"active": False})
    own = await fapi.ask("introspect", TLS, {"token": answer["refresh_token"]})
    assert own.json["active"] is True
