"""The running authorization server keeps to its OpenAPI document: status, media type, fields and body of answers."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import Any

import orjson
import pytest

import schemas
from adapters.sandbox.bank import Reply
from tests.end_to_end.fapi import DPOP, JWT, OTHER, TLS, Fapi
from tests.end_to_end.test_fapi_authorization_server import claims_of
from tests.openapi import follows, resolved

DOCUMENT = schemas.oauth_openapi()
GRANT_SCOPES = "grant_management_query grant_management_revoke"


def check(method: str, path: str, reply: Reply) -> None:
    """The answer is one that the document knows."""
    operation = DOCUMENT["paths"][path][method.lower()]
    said = operation["responses"].get(str(reply.status))
    assert said is not None, (reply.status, reply.body)
    answer = resolved(DOCUMENT, said)
    for name, reference in answer.get("headers", {}).items():
        field = resolved(DOCUMENT, reference)
        value = next((value for given, value in reply.headers.items() if given.lower() == name.lower()), None)
        assert value is not None or not field.get("required"), name
        if value is not None:
            typed = int(value) if field["schema"].get("type") == "integer" else value
            assert follows(DOCUMENT, field["schema"], typed), name
    if "content" not in answer:
        assert reply.body == b""
        return
    kind = reply.headers["Content-Type"].partition(";")[0]
    assert kind in answer["content"], kind
    schema = answer["content"][kind]["schema"]
    assert follows(DOCUMENT, schema, reply.json if reply.json is not None else reply.body.decode()), reply.body
    if kind == "application/json" and "error" in reply.json:
        assert reply.json["error"] in answer["x-error-codes"]


def sent(path: str, form: Mapping[str, Any]) -> None:
    """The form is one that the document knows."""
    body = DOCUMENT["paths"][path]["post"]["requestBody"]["content"]["application/x-www-form-urlencoded"]
    assert follows(DOCUMENT, body["schema"], dict(form)), form


@pytest.mark.parametrize(
    ("listener", "path"),
    [
        ("consent", "/.well-known/oauth-authorization-server"),
        ("consent", "/.well-known/openid-configuration"),
        ("bank", "/.well-known/oauth-protected-resource"),
        ("consent", "/oauth/jwks"),
        ("bank", "/oauth/jwks"),
    ],
)
async def test_what_is_for_everybody_is_as_documented(listener: str, path: str, fapi: Fapi) -> None:
    on_bank = listener == "bank"
    reply = await fapi.send("GET", (fapi.bank if on_bank else fapi.issuer) + path, TLS if on_bank else None)
    assert reply.status == 200
    check("GET", path, reply)


@pytest.mark.parametrize(("label", "mutual"), [(TLS, True), (JWT, True), (DPOP, True), (DPOP, False)])
async def test_whole_way_is_as_documented(label: str, mutual: bool, fapi: Fapi) -> None:
    consent = await fapi.consent(label)
    pushed = await fapi.push(label, consent, mutual=mutual)
    sent("/oauth/par", fapi.credentials(label) | fapi.parameters(label, consent, "v" * 43))
    assert pushed.status == 201
    check("POST", "/oauth/par", pushed)

    code = await fapi.code(label, consent, mutual=mutual)
    sent("/oauth/token", fapi.credentials(label) | fapi.redemption(code))
    answer = await fapi.redeem(code, mutual=mutual)
    assert answer.status == 200
    check("POST", "/oauth/token", answer)
    claims = claims_of(answer.json["access_token"])
    assert follows(DOCUMENT, {"$ref": "#/components/schemas/AccessTokenClaims"}, claims)

    form = {"grant_type": "refresh_token", "refresh_token": answer.json["refresh_token"]}
    sent("/oauth/token", fapi.credentials(label) | form)
    refreshed = await fapi.ask("token", label, form, mutual=mutual)
    assert refreshed.status == 200
    check("POST", "/oauth/token", refreshed)

    for token in (answer.json["access_token"], answer.json["refresh_token"], "nothing.of.ours"):
        about = {"token": token}
        sent("/oauth/introspect", fapi.credentials(label) | about)
        check("POST", "/oauth/introspect", await fapi.ask("introspect", label, about, mutual=mutual))
        given_back = await fapi.ask("revoke", label, about, mutual=mutual)
        assert given_back.status == 200
        check("POST", "/oauth/revoke", given_back)


async def test_signed_introspection_is_as_documented(fapi: Fapi) -> None:
    token = (await fapi.ask("token", TLS, {"grant_type": "client_credentials", "scope": "cdi:notices"})).json
    fields = [("Accept", "application/token-introspection+jwt")]
    reply = await fapi.post("introspect", {**fapi.credentials(TLS), "token": token["access_token"]}, TLS, fields)
    check("POST", "/oauth/introspect", reply)
    said = claims_of(reply.body.decode())
    assert said.keys() == {"iss", "aud", "iat", "token_introspection"}
    assert follows(DOCUMENT, {"$ref": "#/components/schemas/Introspection"}, said["token_introspection"])


async def test_grants_are_as_documented(fapi: Fapi) -> None:
    path = "/oauth/grants/{grantId}"
    granted = await fapi.tokens()
    form = {"grant_type": "client_credentials", "scope": GRANT_SCOPES}
    token = (await fapi.ask("token", TLS, form)).json["access_token"]
    place = path.replace("{grantId}", granted["grant_id"])
    for method, status in (("GET", 200), ("DELETE", 204), ("GET", 404), ("DELETE", 404)):
        reply = await fapi.call(method, place, token)
        assert reply.status == status
        check(method, path, reply)
    for used in (granted["access_token"], "nothing.of.ours"):
        check("GET", path, await fapi.call("GET", place, used))
    check("GET", path, await fapi.send("GET", fapi.bank + place, TLS))


async def test_browsers_way_in_is_as_documented(fapi: Fapi) -> None:
    request = await fapi.pushed()
    arrived = await fapi.send("GET", request.url, None)
    gone = await fapi.send("GET", f"{fapi.issuer}/oauth/authorize?client_id=x&request_uri=y", None)
    twice = await fapi.send("GET", f"{request.url}&client_id=x", None)
    assert [reply.status for reply in (arrived, gone, twice)] == [303, 410, 400]
    for reply in (gone, twice):
        check("GET", "/oauth/authorize", reply)
    assert follows(DOCUMENT, {"type": "string", "maxLength": 256, "pattern": "^/"}, arrived.headers["Location"])


@pytest.mark.parametrize("endpoint", ["par", "token", "introspect", "revoke"])
async def test_refusals_are_as_documented(endpoint: str, fapi: Fapi) -> None:
    path, form = f"/oauth/{endpoint}", f"client_id={fapi.id(TLS)}".encode()
    place, kind = fapi.url(endpoint, TLS), ("Content-Type", "application/x-www-form-urlencoded")
    stale = await fapi.proof("POST", place, nonce=None)
    replies = {
        "nothing asked": await fapi.ask(endpoint, TLS, {}),
        "unknown client": await fapi.post(endpoint, {"client_id": str(uuid.uuid4())}),
        "nobody": await fapi.post(endpoint, {}),
        "another certificate": await fapi.post(endpoint, fapi.credentials(TLS), OTHER),
        "no nonce": await fapi.post(endpoint, fapi.credentials(DPOP), DPOP, [("DPoP", stale)]),
        "no proof": await fapi.post(endpoint, fapi.credentials(TLS), TLS, [("DPoP", "x" * 20)]),
        "two proofs": await fapi.post(endpoint, fapi.credentials(TLS), TLS, [("DPoP", stale), ("DPoP", stale)]),
        "twice": await fapi.post(endpoint, [("client_id", "x"), ("client_id", "y")]),
        "no form": await fapi.send("POST", place, TLS, [("Content-Type", "application/json")], orjson.dumps({})),
        "too large": await fapi.send("POST", place, TLS, [kind], form + b"&x=" + b"y" * 70_000),
    }
    for name, reply in replies.items():
        assert reply.status >= 400, name
        check("POST", path, reply)
    assert replies["no nonce"].headers["DPoP-Nonce"]
    assert [replies[name].status for name in ("unknown client", "no form", "too large")] == [401, 415, 413]


@pytest.mark.parametrize(
    "form",
    [
        {"grant_type": "password"},
        {"grant_type": "client_credentials"},
        {"grant_type": "client_credentials", "scope": "cdi:data-requests"},
        {"grant_type": "client_credentials", "scope": "cdi:notices", "resource": "https://elsewhere.example"},
        {"grant_type": "client_credentials", "scope": "cdi:data-requests", "authorization_details": "[]"},
        {"grant_type": "authorization_code", "code": "x"},
        {"grant_type": "refresh_token", "refresh_token": "x"},
    ],
    ids=str,
)
async def test_refused_ways_to_a_token_are_as_documented(form: dict[str, str], fapi: Fapi) -> None:
    reply = await fapi.ask("token", TLS, form)
    assert reply.status == 400
    check("POST", "/oauth/token", reply)
