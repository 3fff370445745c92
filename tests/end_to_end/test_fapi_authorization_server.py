"""The modules of the OpenID conformance suite's plan for FAPI 2.0 Security Profile (Final), authorization servers.

One test for each module that concerns what is served; the name of the module stands in the docstring where it is not
the test's own. Client assertions, request objects and the resource server have files of their own beside this one.
"""

from __future__ import annotations

import asyncio
import base64
import uuid
from typing import Any
from urllib.parse import urlencode

import orjson
import pytest

from adapters.sandbox.browser import BrowserStopped
from tests.end_to_end.fapi import CALLBACK, DPOP, JWT, OTHER, SELF, TLS, Fapi, check_refusal, kept, thumbprint
from tests.end_to_end.stage import check_problem

NOBODYS = {"consentId": str(uuid.UUID(int=2))}
"""A consent that there is not: a request of a wrong shape is refused before anybody looks for it."""


def claims_of(token: str) -> dict[str, Any]:
    part = token.split(".")[1]
    found: dict[str, Any] = orjson.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    return found


# --- well-behaved clients --------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["oauth-authorization-server", "openid-configuration"])
async def test_discovery_end_point_verification(path: str, fapi: Fapi) -> None:
    reply = await fapi.send("GET", f"{fapi.issuer}/.well-known/{path}", None)
    said = reply.json
    assert (reply.status, said["issuer"]) == (200, fapi.issuer)
    assert said["response_types_supported"] == ["code"]
    assert said["code_challenge_methods_supported"] == ["S256"]
    assert said["require_pushed_authorization_requests"] is True
    assert said["authorization_response_iss_parameter_supported"] is True
    assert said["tls_client_certificate_bound_access_tokens"] is True
    assert said["authorization_details_types_supported"] == ["cdi_consent"]
    assert "implicit" not in said["grant_types_supported"]
    assert "password" not in said["grant_types_supported"]
    assert set(said["token_endpoint_auth_methods_supported"]) == {
        "tls_client_auth",
        "self_signed_tls_client_auth",
        "private_key_jwt",
    }
    for name, algorithms in said.items():
        if "signing_alg" in name:
            assert set(algorithms) <= {"PS256", "ES256", "EdDSA"}, name
    for name, place in said["mtls_endpoint_aliases"].items():
        assert place.startswith(f"{fapi.bank}/oauth/"), name
        assert said[name].startswith(f"{fapi.issuer}/oauth/"), name


@pytest.mark.parametrize("listener", ["issuer", "bank"])
async def test_keys_are_public_and_the_same_on_both_listeners(listener: str, fapi: Fapi) -> None:
    base, label = (fapi.issuer, None) if listener == "issuer" else (fapi.bank, TLS)
    reply = await fapi.send("GET", f"{base}/oauth/jwks", label)
    assert reply.status == 200
    assert reply.json == orjson.loads((fapi.stage.folder / "pki/tokens-1.jwks.json").read_bytes())
    assert all("d" not in key for key in reply.json["keys"])
    assert len({key["kid"] for key in reply.json["keys"]}) == len(reply.json["keys"])


@pytest.mark.parametrize(
    ("label", "mutual"),
    [(TLS, True), (JWT, True), (DPOP, True), (DPOP, False)],
    ids=["tls_client_auth", "private_key_jwt and mTLS", "DPoP with a certificate", "DPoP without"],
)
async def test_happy_flow(label: str, mutual: bool, fapi: Fapi) -> None:
    code = await fapi.code(label, mutual=mutual)
    assert code.answer["iss"] == fapi.issuer  # RFC 9207
    reply = await fapi.redeem(code, mutual=mutual)
    answer = reply.json
    assert (reply.status, reply.headers["Cache-Control"]) == (200, "no-store"), answer
    assert answer["token_type"] == ("DPoP" if label == DPOP else "Bearer")
    assert (answer["expires_in"], answer["scope"]) == (300, "cdi:data-requests")
    (detail,) = answer["authorization_details"]
    assert (detail["type"], detail["consentId"]) == ("cdi_consent", code.request.consent["consentId"])
    said = claims_of(answer["access_token"])
    bound = {"jkt": thumbprint(fapi.keys[label])} if label == DPOP else {"x5t#S256": fapi.stage.thumbprint(label)}
    assert (said["iss"], said["aud"], said["client_id"]) == (fapi.issuer, fapi.bank, fapi.id(label))
    assert (said["cnf"], said["exp"] - said["iat"]) == (bound, 300)
    assert said["authorization_details"] == [detail]
    verified = await fapi.verify(code.request.consent, answer["access_token"], label)
    assert (verified.status, verified.json["verification"]["outcome"]) == (200, "MATCH")


async def test_happy_flow_of_a_client_with_a_self_signed_certificate(more_clients: None, fapi: Fapi) -> None:
    """RFC 8705 §2.2."""
    reply = await fapi.ask("token", SELF, {"grant_type": "client_credentials", "scope": "cdi:consents"})
    assert reply.status == 200, reply.body
    token = reply.json["access_token"]
    assert (await fapi.call("GET", "/cdi/v1/consents?limit=1", token, SELF)).status == 200
    # Its id with another certificate of the same bank is not it.
    check_refusal(
        await fapi.post("token", {"grant_type": "client_credentials", "client_id": SELF}, TLS),
        "invalid_client",
        401,
    )


async def test_client_credentials_grant(fapi: Fapi) -> None:
    for label in (TLS, JWT, DPOP):
        reply = await fapi.ask("token", label, {"grant_type": "client_credentials", "scope": "cdi:consents"})
        assert reply.status == 200
        assert "refresh_token" not in reply.json  # RFC 6749 §4.4.3
        assert claims_of(reply.json["access_token"])["sub"] == fapi.id(label)


async def test_pairwise_subjects_of_two_clients_differ(fapi: Fapi) -> None:
    consent = await fapi.consent()
    subjects = {claims_of((await fapi.tokens(label, consent))["access_token"])["sub"] for label in (TLS, JWT)}
    again = claims_of((await fapi.tokens(TLS))["access_token"])["sub"]
    assert len(subjects) == 2
    assert again in subjects
    assert not any("owner" in subject for subject in subjects)


async def test_user_rejects_authentication(fapi: Fapi) -> None:
    request = await fapi.pushed(state="kept")
    answer = (await fapi.decided(request, approve=False)).answer
    assert answer.keys() == {"error", "error_description", "iss", "state"}
    assert (answer["error"], answer["iss"], answer["state"]) == ("access_denied", fapi.issuer, "kept")


@pytest.mark.parametrize("name", ["state", "nonce"])
async def test_authorization_request_without_it_success(name: str, fapi: Fapi) -> None:
    """…ensure-authorization-request-without-state-success, …-without-nonce-success"""
    code = await fapi.code(**{name: None})
    assert "state" not in code.answer or name == "nonce"
    assert (await fapi.redeem(code)).status == 200


@pytest.mark.parametrize(
    ("name", "length"),
    [("state", 64), ("state", 384), ("state", 1_000), ("state", 2_048), ("nonce", 64), ("nonce", 384), ("nonce", 512)],
)
async def test_long_state_and_nonce_are_taken_and_given_back_whole(name: str, length: int, fapi: Fapi) -> None:
    """…ensure-request-object-with-64-char-nonce-success, …-with-long-nonce, …-with-long-state"""
    text = "s" * length
    answer = (await fapi.code(**{name: text})).answer
    assert answer["state"] == text or name == "nonce"


@pytest.mark.parametrize(("name", "length"), [("state", 2_049), ("nonce", 513)])
async def test_state_or_nonce_beyond_all_measure_is_refused(name: str, length: int, fapi: Fapi) -> None:
    check_refusal(await fapi.push(**{name: "s" * length}), "invalid_request")


async def test_other_scope_order_succeeds(fapi: Fapi) -> None:
    code = await fapi.code(scope="cdi:notices cdi:data-requests")
    answer = (await fapi.redeem(code)).json
    assert set(answer["scope"].split()) == {"cdi:notices", "cdi:data-requests"}


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER"])
async def test_access_token_type_header_case_sensitivity(scheme: str, fapi: Fapi) -> None:
    """RFC 9110 §11.1: the scheme's name has no case."""
    token = await fapi.stage.machine_token()
    url = f"{fapi.bank}/cdi/v1/consents?limit=1"
    assert (await fapi.send("GET", url, TLS, [("Authorization", f"{scheme} {token}")])).status == 200


# --- authorization requests ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"response_type": "code id_token"}, "unsupported_response_type"),
        ({"response_type": "token"}, "unsupported_response_type"),
        ({"response_type": None}, "invalid_request"),
        ({"response_mode": "fragment"}, "invalid_request"),
        ({"response_mode": "form_post"}, "invalid_request"),
        ({"redirect_uri": None}, "invalid_request"),
        ({"redirect_uri": "https://attacker.example/callback"}, "invalid_request"),
        ({"redirect_uri": CALLBACK + "/"}, "invalid_request"),
        ({"redirect_uri": CALLBACK + "?more=1"}, "invalid_request"),
        ({"redirect_uri": CALLBACK.upper()}, "invalid_request"),
        ({"code_challenge": None, "code_challenge_method": None}, "invalid_request"),
        ({"code_challenge_method": "plain"}, "invalid_request"),
        ({"code_challenge_method": None}, "invalid_request"),
        ({"code_challenge": "short"}, "invalid_request"),
        ({"request_uri": "urn:ietf:params:oauth:request_uri:x"}, "invalid_request"),
        ({"request_uri": "https://bank-a.sandbox.example/request.jwt"}, "invalid_request"),
        ({"client_id": "bank-b-loans"}, "invalid_client"),
        ({"scope": None}, "invalid_scope"),
        ({"scope": "cdi:consents"}, "invalid_scope"),
        ({"scope": "cdi:data-requests cdi:evidence"}, "invalid_scope"),
        ({"scope": "openid"}, "invalid_scope"),
        ({"authorization_details": None}, "invalid_request"),
        ({"authorization_details": "[]"}, "invalid_authorization_details"),
        ({"authorization_details": "no JSON"}, "invalid_authorization_details"),
        ({"authorization_details": '[{"type":"payment"}]'}, "invalid_authorization_details"),
        (
            {"authorization_details": f'[{{"type":"cdi_consent","consentId":"{uuid.UUID(int=1)}"}}]'},
            "invalid_authorization_details",
        ),
        ({"claims": "{}"}, "invalid_request"),
        ({"registration": "{}"}, "invalid_request"),
        ({"prompt": "none"}, "login_required"),
        ({"prompt": "create"}, "invalid_request"),
        ({"max_age": "-1"}, "invalid_request"),
        ({"max_age": "1e9"}, "invalid_request"),
        ({"dpop_jkt": "short"}, "invalid_request"),
        ({"resource": "https://other.example"}, "invalid_target"),
        ({"state": "line\r\nbreak"}, "invalid_request"),
    ],
    ids=lambda value: str(value)[:60],
)
async def test_such_a_request_is_not_accepted(changes: dict[str, Any], error: str, fapi: Fapi) -> None:
    """…ensure-response-type-code-idtoken-fails, …-response-type-token-fails, …-registered-redirect-uri,
    …-redirect-uri-in-authorization-request, par-…-pkce-required, …-plain-pkce-rejected,
    par-reject-request_uri-in-par-authorization-form-params and their like."""
    status = 401 if error == "invalid_client" else 400
    check_refusal(await fapi.push(consent=NOBODYS, **changes), error, status)


async def test_par_without_duplicate_parameters(fapi: Fapi) -> None:
    """RFC 6749 §3.1: a parameter that comes twice is refused, with the same value too."""
    form = {**fapi.credentials(TLS), **fapi.parameters(TLS, await fapi.consent(), "v" * 43)}
    for name in ("redirect_uri", "scope", "client_id", "state", "unknown"):
        twice = [*form.items(), (name, form.get(name, "1")), *([] if name in form else [(name, "1")])]
        check_refusal(await fapi.post("par", twice), "invalid_request")
    assert (await fapi.post("par", [*form.items(), ("unknown", "1")])).status == 201


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
async def test_par_reject_invalid_http_verb(method: str, fapi: Fapi) -> None:
    reply = await fapi.send(method, fapi.url("par", TLS))
    check_problem(reply, "METHOD_NOT_ALLOWED")


@pytest.mark.parametrize("media_type", ["application/json", "text/plain", "multipart/form-data; boundary=x"])
async def test_a_form_of_another_media_type_is_refused(media_type: str, fapi: Fapi) -> None:
    body = urlencode(fapi.credentials(TLS)).encode()
    reply = await fapi.send("POST", fapi.url("par", TLS), TLS, [("Content-Type", media_type)], body)
    assert (reply.status, reply.json["error"]) == (415, "invalid_request")


async def test_unsigned_authorization_request_without_using_par_fails(fapi: Fapi) -> None:
    form = {"client_id": fapi.id(TLS), **fapi.parameters(TLS, await fapi.consent(), "v" * 43)}
    reply = await fapi.send("GET", f"{fapi.issuer}/oauth/authorize?{urlencode(form)}", None)
    assert (reply.status, "Location" in reply.headers) == (410, False)


async def test_parameters_beside_a_request_uri_do_not_count(fapi: Fapi) -> None:
    """RFC 9126 §4, RFC 9101 §6.3: only what was pushed."""
    request = await fapi.pushed(state="pushed")
    owner = await fapi.owner()
    more = urlencode({"state": "beside", "redirect_uri": "https://attacker.example/", "scope": "cdi:evidence"})
    answer = await owner.decide(f"{request.url}&{more}", CALLBACK)
    assert answer["state"] == "pushed"


@pytest.mark.parametrize("extra", ["client_id=x", "request_uri=x"])
async def test_an_authorization_request_with_a_parameter_twice_is_refused(extra: str, fapi: Fapi) -> None:
    request = await fapi.pushed()
    reply = await fapi.send("GET", f"{request.url}&{extra}", None)
    assert (reply.status, "Location" in reply.headers) == (400, False)


# --- request URIs ----------------------------------------------------------------------------------------------


async def test_par_answer_lives_for_a_short_time(fapi: Fapi) -> None:
    reply = await fapi.push()
    assert 5 <= reply.json["expires_in"] <= 600
    assert reply.json["request_uri"].startswith("urn:ietf:params:oauth:request_uri:")
    assert len(reply.json["request_uri"].rpartition(":")[2]) >= 43  # 256 bits


async def test_par_attempt_reuse_request_uri(fapi: Fapi) -> None:
    code = await fapi.code()
    with pytest.raises(BrowserStopped) as stopped:
        await fapi.decided(code.request)
    assert stopped.value.status == 410


async def test_par_reused_request_uri_prior_to_auth_completion_succeeds(fapi: Fapi) -> None:
    request = await fapi.pushed()
    for _ in range(2):
        reply = await fapi.send("GET", request.url, None)
        assert (reply.status, reply.headers["Location"].startswith("/interactions/")) == (303, True)
    assert (await fapi.redeem(await fapi.decided(request))).status == 200


async def test_par_attempt_to_use_expired_request_uri(fapi: Fapi) -> None:
    request = await fapi.pushed()
    fapi.age("oauth_requests", "expires_at", "handle_hash", kept(request.request_uri.rpartition(":")[2]))
    reply = await fapi.send("GET", request.url, None)
    assert (reply.status, "Location" in reply.headers) == (410, False)


async def test_a_request_that_expires_while_the_owner_reads_gives_no_code(fapi: Fapi) -> None:
    request = await fapi.pushed()
    handle = request.request_uri.rpartition(":")[2]
    fapi.age("oauth_requests", "expires_at", "handle_hash", kept(handle))
    reply = await fapi.send("GET", f"{fapi.issuer}/interactions/{handle}", None)
    assert reply.status == 410


async def test_par_request_uri_is_bound_to_client(fapi: Fapi) -> None:
    request = await fapi.pushed(TLS)
    for client_id in (fapi.id(OTHER), fapi.id(JWT), "nobody", ""):
        query = urlencode({"client_id": client_id, "request_uri": request.request_uri})
        reply = await fapi.send("GET", f"{fapi.issuer}/oauth/authorize?{query}", None)
        assert (reply.status, "Location" in reply.headers) == (410, False)


async def test_a_request_uri_elsewhere_is_never_fetched(fapi: Fapi) -> None:
    query = urlencode({"client_id": fapi.id(TLS), "request_uri": f"{fapi.bank}/request.jwt"})
    assert (await fapi.send("GET", f"{fapi.issuer}/oauth/authorize?{query}", None)).status == 410


# --- codes -----------------------------------------------------------------------------------------------------


async def test_attempt_reuse_authorization_code_revokes_what_it_gave(fapi: Fapi) -> None:
    """…attempt-reuse-authorization-code-after-one-second; RFC 6749 §4.1.2."""
    code = await fapi.code()
    first = (await fapi.redeem(code)).json
    token, path = first["access_token"], f"/cdi/v1/consents/{code.request.consent['consentId']}"
    assert (await fapi.call("GET", path, token)).status == 200
    check_refusal(await fapi.redeem(code), "invalid_grant")
    check_problem(await fapi.call("GET", path, token), "TOKEN_INVALID")
    refresh = {"grant_type": "refresh_token", "refresh_token": first["refresh_token"]}
    check_refusal(await fapi.ask("token", TLS, refresh), "invalid_grant")


async def test_of_twenty_parallel_redemptions_one_succeeds(fapi: Fapi) -> None:
    code = await fapi.code()
    replies = await asyncio.gather(*(fapi.redeem(code) for _ in range(20)))
    assert sorted(reply.status for reply in replies) == [200, *[400] * 19]
    token = next(reply.json["access_token"] for reply in replies if reply.status == 200)
    path = f"/cdi/v1/consents/{code.request.consent['consentId']}"
    check_problem(await fapi.call("GET", path, token), "TOKEN_INVALID")


async def test_attempt_to_use_expired_auth_code(fapi: Fapi) -> None:
    code = await fapi.code()
    fapi.age_code(code.value)
    check_refusal(await fapi.redeem(code), "invalid_grant")


@pytest.mark.parametrize("label", [JWT, OTHER, DPOP])
async def test_authorization_code_is_bound_to_client(label: str, fapi: Fapi) -> None:
    code = await fapi.code(TLS)
    check_refusal(await fapi.redeem(code, label), "invalid_grant")
    assert (await fapi.redeem(code)).status == 200  # whoever else tried has not spoilt it


async def test_client_id_in_token_endpoint(fapi: Fapi) -> None:
    """With the credentials of one client and the id of another."""
    code = await fapi.code(TLS)
    form = fapi.redemption(code)
    check_refusal(await fapi.post("token", {**form, "client_id": fapi.id(OTHER)}), "invalid_client", 401)
    check_refusal(await fapi.post("token", {**form, "client_id": fapi.id(JWT)}), "invalid_client", 401)
    check_refusal(await fapi.post("token", form), "invalid_client", 401)


async def test_holder_of_key_required(fapi: Fapi) -> None:
    """Neither a certificate nor a proof: there is nothing that a token could be bound to."""
    code = await fapi.code(JWT)
    form = {**fapi.credentials(JWT), **fapi.redemption(code)}
    check_refusal(await fapi.post("token", form, None), "invalid_request")
    form = {**fapi.credentials(TLS), **fapi.redemption(await fapi.code(TLS))}
    check_refusal(await fapi.post("token", form, None), "invalid_client", 401)
    code = await fapi.code(DPOP)
    form = {**fapi.credentials(DPOP), **fapi.redemption(code)}
    check_refusal(await fapi.post("token", form, DPOP), "invalid_dpop_proof")


@pytest.mark.parametrize(
    "changes",
    [
        {"code_verifier": None},
        {"code_verifier": "x" * 43},
        {"code_verifier": "x" * 42},
        {"redirect_uri": None},
        {"redirect_uri": "https://bank-b.sandbox.example/callback"},
        {"code": "x" * 43},
        {"code": "x" * 2_000},
    ],
    ids=str,
)
async def test_such_a_redemption_is_refused_and_spoils_nothing(changes: dict[str, Any], fapi: Fapi) -> None:
    """par-…-pkce-code-verifier-required, par-incorrect-pkce-code-verifier-rejected"""
    code = await fapi.code()
    check_refusal(await fapi.redeem(code, **changes), "invalid_grant")
    assert (await fapi.redeem(code)).status == 200


async def test_a_challenge_is_no_verifier(fapi: Fapi) -> None:
    """PKCE downgrade: who saw the pushed request knows the challenge."""
    request = await fapi.pushed()
    code = await fapi.decided(request)
    for verifier in (kept(request.verifier), kept(request.verifier)[:43]):
        check_refusal(await fapi.redeem(code, code_verifier=verifier), "invalid_grant")


@pytest.mark.parametrize(
    ("form", "error"),
    [
        ({"grant_type": "password", "username": "u", "password": "p"}, "unsupported_grant_type"),
        ({"grant_type": "implicit"}, "unsupported_grant_type"),
        ({"grant_type": "urn:ietf:params:oauth:grant-type:token-exchange"}, "unsupported_grant_type"),
        ({}, "invalid_request"),
        ({"grant_type": ""}, "invalid_request"),
        ({"grant_type": "authorization_code"}, "invalid_request"),
        ({"grant_type": "refresh_token"}, "invalid_request"),
        ({"grant_type": "client_credentials"}, "invalid_scope"),
        ({"grant_type": "client_credentials", "scope": "cdi:evidence"}, "invalid_scope"),
        ({"grant_type": "client_credentials", "scope": "cdi:data-requests"}, "invalid_scope"),
        (
            {"grant_type": "client_credentials", "scope": "cdi:consents", "resource": "https://x.example"},
            "invalid_target",
        ),
    ],
    ids=lambda value: str(value)[:70],
)
async def test_such_a_token_request_is_refused(form: dict[str, str], error: str, fapi: Fapi) -> None:
    check_refusal(await fapi.ask("token", TLS, form), error)


@pytest.mark.parametrize("endpoint", ["token", "introspect", "revoke"])
@pytest.mark.parametrize("name", ["grant_type", "token", "client_id", "code"])
async def test_a_parameter_that_comes_twice_is_refused_everywhere(endpoint: str, name: str, fapi: Fapi) -> None:
    form = [("client_id", fapi.id(TLS)), ("grant_type", "authorization_code"), ("token", "x"), ("code", "x")]
    check_refusal(await fapi.post(endpoint, [*form, (name, "x")]), "invalid_request")


async def test_what_is_handed_out_nobody_guesses(fapi: Fapi) -> None:
    """FAPI 2.0 §5.4.1 (4): of at least 128 bits; these are of 256, and no two alike."""
    codes = [await fapi.code() for _ in range(3)]
    handles = {code.request.request_uri.rpartition(":")[2] for code in codes}
    tokens = {(await fapi.redeem(code)).json["refresh_token"] for code in codes}
    for secrets in (handles, {code.value for code in codes}, tokens):
        assert len(secrets) == 3
        assert {len(secret) for secret in secrets} == {43}  # 32 bytes in base64url


# --- refresh tokens --------------------------------------------------------------------------------------------


async def test_refresh_token(fapi: Fapi) -> None:
    """They are not rotated (FAPI 2.0 §5.3.2.1), and give what was granted or less."""
    first = await fapi.tokens()
    form = {"grant_type": "refresh_token", "refresh_token": first["refresh_token"]}
    for _ in range(2):
        reply = await fapi.ask("token", TLS, form)
        assert reply.status == 200
        assert reply.json["access_token"] != first["access_token"]
        assert reply.json.get("refresh_token") in {None, first["refresh_token"]}
        assert reply.json["grant_id"] == first["grant_id"]
    check_refusal(await fapi.ask("token", TLS, {**form, "scope": "cdi:data-requests cdi:consents"}), "invalid_scope")


@pytest.mark.parametrize("label", [JWT, OTHER, DPOP])
async def test_refresh_token_is_bound_to_client(label: str, fapi: Fapi) -> None:
    form = {"grant_type": "refresh_token", "refresh_token": (await fapi.tokens())["refresh_token"]}
    check_refusal(await fapi.ask("token", label, form), "invalid_grant")


async def test_refresh_token_under_another_certificate_is_no_clients(fapi: Fapi) -> None:
    form = {"grant_type": "refresh_token", "refresh_token": (await fapi.tokens())["refresh_token"]}
    check_refusal(await fapi.post("token", {**fapi.credentials(TLS), **form}, OTHER), "invalid_client", 401)
    check_refusal(await fapi.post("token", {**fapi.credentials(TLS), **form}, JWT), "invalid_client", 401)
