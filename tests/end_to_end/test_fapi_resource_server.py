"""The bank API as a FAPI 2.0 resource server: how a token must come, the DPoP matrix on a real route, step-up.

Tokens that must not be believed have a file of their own, `test_tokens.py`. Cases of the DPoP matrix are those of the
conformance plan's module `dpop-negative-tests`.
"""

from __future__ import annotations

import asyncio
import hashlib
import uuid
from collections.abc import Awaitable, Callable
from typing import Any

import aiohttp
import orjson
import pytest
import pytest_asyncio
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa

from adapters.sandbox.bank import Reply
from adapters.sandbox.signing import base64url
from tests.end_to_end.fapi import DPOP, JWT, OTHER, TLS, Fapi, check_refusal, public_jwk, signed, thumbprint
from tests.end_to_end.stage import check_problem
from tests.end_to_end.test_tokens import altered, assembled

PATH = "/cdi/v1/consents"
MACHINE = {"grant_type": "client_credentials", "scope": "cdi:consents"}
DPOP_CHALLENGE = 'DPoP error="{}", algs="ES256 PS256 EdDSA"'


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def token(fapi: Fapi) -> str:
    """Bound to the DPoP key of its client."""
    return str((await fapi.ask("token", DPOP, MACHINE)).json["access_token"])


async def shown(fapi: Fapi, token: str, proof: str | None, *, scheme: str = "DPoP", query: str = "?limit=1") -> Reply:
    fields = [("Authorization", f"{scheme} {token}")] + ([("DPoP", proof)] if proof is not None else [])
    return await fapi.send("GET", fapi.bank + PATH + query, DPOP, fields)


async def proof(fapi: Fapi, token: str, **changes: Any) -> str:
    return await fapi.proof("GET", changes.pop("url", fapi.bank + PATH), token=token, **changes)


# --- how a token comes -----------------------------------------------------------------------------------------


async def test_protected_resource_metadata(fapi: Fapi) -> None:
    """RFC 9728 §2, §3."""
    reply = await fapi.send("GET", f"{fapi.bank}/.well-known/oauth-protected-resource")
    assert (reply.json["resource"], reply.json["authorization_servers"][0]) == (fapi.bank, fapi.issuer)
    assert reply.json["bearer_methods_supported"] == ["header"]
    assert reply.json["tls_client_certificate_bound_access_tokens"] is True


async def test_a_token_in_the_query_or_the_body_is_no_token(fapi: Fapi) -> None:
    """FAPI 2.0 §5.3.3: in the header alone."""
    good = await fapi.stage.machine_token()
    check_problem(await fapi.send("GET", f"{fapi.bank}{PATH}?access_token={good}"), "TOKEN_MISSING")
    form = [("Content-Type", "application/x-www-form-urlencoded")]
    reply = await fapi.send("POST", fapi.bank + PATH, TLS, form, f"access_token={good}".encode())
    check_problem(reply, "TOKEN_MISSING")


@pytest.mark.parametrize("label", [OTHER, JWT, DPOP])
async def test_a_token_under_another_certificate_is_refused(label: str, fapi: Fapi) -> None:
    """RFC 8705 §3: of another bank, and of the same bank too."""
    good = await fapi.stage.machine_token()
    reply = await fapi.send("GET", f"{fapi.bank}{PATH}?limit=1", label, [("Authorization", f"Bearer {good}")])
    check_problem(reply, "TOKEN_NOT_BOUND")


async def test_without_a_certificate_there_is_no_connection(fapi: Fapi) -> None:
    with pytest.raises(aiohttp.ClientError):
        await fapi.send("GET", f"{fapi.bank}{PATH}", None)


async def test_the_listener_of_the_pages_serves_no_data(fapi: Fapi) -> None:
    good = await fapi.stage.machine_token()
    reply = await fapi.send("GET", f"{fapi.issuer}{PATH}", None, [("Authorization", f"Bearer {good}")])
    assert reply.status == 404


async def test_the_interaction_id_comes_back(fapi: Fapi) -> None:
    """FAPI 2.0 Implementation Advice, and the suite's check of every answer."""
    good, interaction = await fapi.stage.machine_token(), str(uuid.uuid4())
    fields = [("x-fapi-interaction-id", interaction)]
    reply = await fapi.call("GET", f"{PATH}?limit=1", good, fields=fields)
    assert (reply.status, reply.headers["x-fapi-interaction-id"]) == (200, interaction)


# --- the DPoP matrix -------------------------------------------------------------------------------------------


Forge = Callable[[Fapi, str], Awaitable[str]]
ACCEPTED: dict[str, Forge] = {
    "as it should be": proof,
    "htu with query and fragment": lambda f, t: proof(f, t, url=f"{f.bank}{PATH}?limit=1#here"),
    "htu in other capitals": lambda f, t: proof(
        f, t, url=f.bank.replace("https://localhost", "HTTPS://LOCALHOST") + PATH
    ),
    "htu with an escaped letter": lambda f, t: proof(f, t, url=f"{f.bank}/cdi/v1/%63onsents"),
    "proof-with-iat-10-seconds-before-succeeds": lambda f, t: proof(f, t, iat=f.stage.now - 10),
    "proof-with-iat-10-seconds-after-succeeds": lambda f, t: proof(f, t, iat=f.stage.now + 9),
    "check-dpop-proof-nbf-exp": lambda f, t: proof(f, t, nbf=f.stage.now, exp=f.stage.now + 300),
    "more claims and members": lambda f, t: proof(f, t, header={"more": "x"}, more={"a": [1]}),
}


def of_rsa(algorithm: str) -> Forge:
    async def forge(fapi: Fapi, token: str) -> str:
        key = rsa.generate_private_key(65_537, 2_048)
        numbers = key.public_key().public_numbers()
        jwk = {"kty": "RSA", "e": "AQAB", "n": base64url(numbers.n.to_bytes(256, "big"))}
        return assembled(
            {"alg": algorithm, "typ": "dpop+jwt", "jwk": jwk},
            await said(fapi, token),
            lambda data: key.sign(data, padding.PKCS1v15(), hashes.SHA256()),
        )

    return forge


async def said(fapi: Fapi, token: str) -> dict[str, Any]:
    return {
        "jti": str(uuid.uuid4()),
        "htm": "GET",
        "htu": fapi.bank + PATH,
        "iat": fapi.stage.now,
        "ath": base64url(hashlib.sha256(token.encode()).digest()),
        "nonce": await fapi.nonce(),
    }


async def unsigned(fapi: Fapi, token: str) -> str:
    header = {"alg": "none", "typ": "dpop+jwt", "jwk": public_jwk(fapi.keys[DPOP])}
    return assembled(header, await said(fapi, token), lambda _: b"")


async def with_private_key(fapi: Fapi, token: str) -> str:
    number = fapi.keys[DPOP].private_numbers().private_value
    jwk = {**public_jwk(fapi.keys[DPOP]), "d": base64url(number.to_bytes(32, "big"))}
    return await proof(fapi, token, header={"jwk": jwk})


async def symmetric(fapi: Fapi, token: str) -> str:
    jwk = {"kty": "oct", "k": base64url(b"k" * 32)}
    return await proof(fapi, token, header={"jwk": jwk, "alg": "HS256"})


def changed(part: int, text: str | None = None) -> Forge:
    async def forge(fapi: Fapi, token: str) -> str:
        return altered(await proof(fapi, token), part, text)

    return forge


REFUSED: dict[str, Forge] = {
    "no JWT": lambda f, t: _text("x"),
    "an access token": lambda f, t: _text(t),
    "without typ": lambda f, t: proof(f, t, header={"typ": None}),
    "another typ": lambda f, t: proof(f, t, header={"typ": "JWT"}),
    "without alg": lambda f, t: proof(f, t, header={"alg": None}),
    "alg RS256": of_rsa("RS256"),
    "alg PS256 with another signature": of_rsa("PS256"),
    "alg none": unsigned,
    "a symmetric key": symmetric,
    "without jwk": lambda f, t: proof(f, t, header={"jwk": None}),
    "jwk with a private part": with_private_key,
    "jwk of another curve": lambda f, t: proof(f, t, header={"jwk": {**public_jwk(f.keys[DPOP]), "crv": "P-384"}}),
    "jwk that is no point": lambda f, t: proof(f, t, header={"jwk": {**public_jwk(f.keys[DPOP]), "x": "AA"}}),
    "key elsewhere": lambda f, t: proof(f, t, header={"jku": "https://attacker.example/jwks"}),
    "something that must be understood": lambda f, t: proof(f, t, header={"crit": ["exp"]}),
    "wrong signature": changed(2),
    "changed after signing": changed(1),
    "no signature": changed(2, ""),
    "without jti": lambda f, t: proof(f, t, jti=None),
    "empty jti": lambda f, t: proof(f, t, jti=""),
    "long jti": lambda f, t: proof(f, t, jti="x" * 300),
    "without htm": lambda f, t: proof(f, t, htm=None),
    "htm of another method": lambda f, t: proof(f, t, htm="POST"),
    "htm in small letters": lambda f, t: proof(f, t, htm="get"),
    "without htu": lambda f, t: proof(f, t, htu=None),
    "htu of another path": lambda f, t: proof(f, t, url=f"{f.bank}/cdi/v1/notices"),
    "htu of another host": lambda f, t: proof(f, t, url=f"https://other.example{PATH}"),
    "htu of another port": lambda f, t: proof(f, t, url=f"https://localhost{PATH}"),
    "htu of another scheme": lambda f, t: proof(f, t, url=f.bank.replace("https", "http") + PATH),
    "htu of the path alone": lambda f, t: proof(f, t, url=PATH),
    "without iat": lambda f, t: proof(f, t, iat=None),
    "iat an hour ago": lambda f, t: proof(f, t, iat=f.stage.now - 3_600),
    "iat in an hour": lambda f, t: proof(f, t, iat=f.stage.now + 3_600),
    "iat as text": lambda f, t: proof(f, t, iat=str(f.stage.now)),
    "nbf in an hour": lambda f, t: proof(f, t, nbf=f.stage.now + 3_600),
    "exp an hour ago": lambda f, t: proof(f, t, exp=f.stage.now - 3_600),
    "without ath": lambda f, t: proof(f, t, ath=None),
    "ath of another token": lambda f, t: proof(f, t, ath=base64url(hashlib.sha256(b"x").digest())),
    "too large": lambda f, t: proof(f, t, more="x" * 8_000),
}


async def _text(text: str) -> str:
    return text


@pytest.mark.parametrize("name", ACCEPTED)
async def test_such_a_proof_is_accepted(name: str, fapi: Fapi, token: str) -> None:
    assert (await shown(fapi, token, await ACCEPTED[name](fapi, token))).status == 200


@pytest.mark.parametrize("name", REFUSED)
async def test_such_a_proof_is_refused(name: str, fapi: Fapi, token: str) -> None:
    reply = await shown(fapi, token, await REFUSED[name](fapi, token))
    check_problem(reply, "TOKEN_NOT_BOUND")
    assert reply.headers["WWW-Authenticate"] == DPOP_CHALLENGE.format("invalid_dpop_proof")


async def test_the_scheme_has_no_case(fapi: Fapi, token: str) -> None:
    for scheme in ("DPOP", "dpop"):
        assert (await shown(fapi, token, await proof(fapi, token), scheme=scheme)).status == 200


async def test_another_key_than_the_tokens_is_refused(fapi: Fapi, token: str) -> None:
    other = ec.generate_private_key(ec.SECP256R1())
    check_problem(await shown(fapi, token, await proof(fapi, token, key=other)), "TOKEN_NOT_BOUND")


async def test_a_proof_counts_once(fapi: Fapi, token: str) -> None:
    """RFC 9449 §11.1: the same proof, and another one of the same id."""
    used = await proof(fapi, token, jti="fixed")
    assert (await shown(fapi, token, used)).status == 200
    for again in (used, await proof(fapi, token, jti="fixed", iat=fapi.stage.now - 1)):
        reply = await shown(fapi, token, again)
        check_problem(reply, "TOKEN_NOT_BOUND")
        assert reply.headers["WWW-Authenticate"] == DPOP_CHALLENGE.format("invalid_dpop_proof")


async def test_of_parallel_uses_of_a_proof_one_counts(fapi: Fapi, token: str) -> None:
    used = await proof(fapi, token)
    replies = await asyncio.gather(*(shown(fapi, token, used) for _ in range(10)))
    assert sorted(reply.status for reply in replies) == [200, *[401] * 9]


@pytest.mark.parametrize("nonce", [None, "x" * 43, "", "stale"])
async def test_a_missing_or_stale_nonce_is_answered_with_a_good_one(nonce: str | None, fapi: Fapi, token: str) -> None:
    """RFC 9449 §9. `stale`: well made, and of no span of time that counts."""
    value = base64url(hashlib.sha256(b"another span").digest()) if nonce == "stale" else nonce
    reply = await shown(fapi, token, await proof(fapi, token, nonce=value))
    check_problem(reply, "TOKEN_NOT_BOUND")
    assert reply.headers["WWW-Authenticate"] == DPOP_CHALLENGE.format("use_dpop_nonce")
    good = await proof(fapi, token, nonce=reply.headers["DPoP-Nonce"])
    assert (await shown(fapi, token, good)).status == 200


async def test_the_scheme_must_fit_the_binding(fapi: Fapi, token: str) -> None:
    """RFC 9449 §7.2: a downgrade to Bearer in either direction."""
    check_problem(await shown(fapi, token, await proof(fapi, token), scheme="Bearer"), "TOKEN_NOT_BOUND")
    check_problem(await shown(fapi, token, None, scheme="Bearer"), "TOKEN_NOT_BOUND")
    bearer = await fapi.stage.machine_token()
    fields = [("Authorization", f"DPoP {bearer}"), ("DPoP", await proof(fapi, bearer))]
    check_problem(await fapi.send("GET", f"{fapi.bank}{PATH}?limit=1", TLS, fields), "TOKEN_NOT_BOUND")


async def test_without_a_proof_the_challenge_says_what_is_wanted(fapi: Fapi, token: str) -> None:
    reply = await shown(fapi, token, None)
    check_problem(reply, "TOKEN_NOT_BOUND")
    assert reply.headers["WWW-Authenticate"].startswith("DPoP ")


async def test_a_refusal_is_told_in_the_scheme_that_was_used(fapi: Fapi, token: str) -> None:
    """RFC 9449 §7.1."""
    forged = altered(token, 2)
    reply = await shown(fapi, forged, await proof(fapi, forged))
    check_problem(reply, "TOKEN_INVALID")
    assert reply.headers["WWW-Authenticate"] == DPOP_CHALLENGE.format("invalid_token")
    elsewhere = await fapi.call("GET", "/cdi/v1/notices", token, DPOP)
    check_problem(elsewhere, "SCOPE_INSUFFICIENT")
    assert elsewhere.headers["WWW-Authenticate"] == 'DPoP error="insufficient_scope", scope="cdi:notices"'


async def test_more_than_one_proof_is_refused(fapi: Fapi, token: str) -> None:
    fields = [("Authorization", f"DPoP {token}"), *[("DPoP", await proof(fapi, token)) for _ in range(2)]]
    check_problem(await fapi.send("GET", f"{fapi.bank}{PATH}?limit=1", DPOP, fields), "SCHEMA_INVALID")


async def test_a_stolen_dpop_token_with_its_proof_is_worth_nothing_to_another_bank(fapi: Fapi, token: str) -> None:
    fields = [("Authorization", f"DPoP {token}"), ("DPoP", await proof(fapi, token))]
    check_problem(await fapi.send("GET", f"{fapi.bank}{PATH}?limit=1", OTHER, fields), "TOKEN_NOT_BOUND")


# --- codes that are bound to a key (RFC 9449 §10) --------------------------------------------------------------


async def test_dpop_auth_code_binding_success(fapi: Fapi) -> None:
    """ensure-dpop-auth-code-binding-success, ensure-dpop-proof-at-par-endpoint-binding-success"""
    assert (await fapi.redeem(await fapi.code(DPOP, dpop_jkt=thumbprint(fapi.keys[DPOP])))).status == 200


async def test_mismatched_dpop_jkt_fails(fapi: Fapi) -> None:
    """ensure-mismatched-dpop-jkt-fails: the parameter names another key than the proof beside it."""
    check_refusal(await fapi.push(DPOP, dpop_jkt="x" * 43), "invalid_dpop_proof")


@pytest.mark.parametrize("by_proof", [True, False], ids=["jkt of a proof", "jkt of a parameter"])
async def test_token_endpoint_fails_with_mismatched_dpop_jkt(by_proof: bool, fapi: Fapi) -> None:
    """ensure-token-endpoint-fails-with-mismatched-dpop-proof-jkt, …-with-mismatched-dpop-jkt"""
    own = ec.generate_private_key(ec.SECP256R1())
    if by_proof:
        code = await fapi.code(DPOP)
    else:
        code = await fapi.code(JWT, dpop_jkt=thumbprint(own))
    label = code.request.label
    other = await fapi.proof("POST", fapi.url("token", label), key=ec.generate_private_key(ec.SECP256R1()))
    form = {**fapi.credentials(label), **fapi.redemption(code)}
    check_refusal(await fapi.post("token", form, label, [("DPoP", other)]), "invalid_grant")
    if not by_proof:
        form |= fapi.credentials(label)
        check_refusal(await fapi.post("token", form, label), "invalid_grant")  # by the certificate alone
        right = await fapi.proof("POST", fapi.url("token", label), key=own)
        form |= fapi.credentials(label)
        assert (await fapi.post("token", form, label, [("DPoP", right)])).status == 200


async def test_the_token_endpoint_wants_a_nonce_and_says_which(fapi: Fapi) -> None:
    """RFC 9449 §8."""
    bare = await fapi.proof("POST", fapi.url("token", DPOP), nonce=None)
    reply = await fapi.post("token", {**fapi.credentials(DPOP), **MACHINE}, DPOP, [("DPoP", bare)])
    check_refusal(reply, "use_dpop_nonce")
    good = await fapi.proof("POST", fapi.url("token", DPOP), nonce=reply.headers["DPoP-Nonce"])
    reply = await fapi.post("token", {**fapi.credentials(DPOP), **MACHINE}, DPOP, [("DPoP", good)])
    assert reply.status == 200
    again = await fapi.post("token", {**fapi.credentials(DPOP), **MACHINE}, DPOP, [("DPoP", good)])
    check_refusal(again, "invalid_dpop_proof")


@pytest.mark.parametrize("endpoint", ["par", "introspect"])
async def test_a_proof_for_another_endpoint_is_refused(endpoint: str, fapi: Fapi) -> None:
    for url in (fapi.url(endpoint, DPOP), fapi.url("token", None)):
        elsewhere = await fapi.proof("POST", url)
        reply = await fapi.post("token", {**fapi.credentials(DPOP), **MACHINE}, DPOP, [("DPoP", elsewhere)])
        check_refusal(reply, "invalid_dpop_proof")


async def test_a_key_signs_what_the_tests_say(fapi: Fapi) -> None:
    """The hand-made JWS of these tests is one: its header has what was given, less what is None."""
    header = signed(fapi.keys[DPOP], {"alg": "ES256", "typ": None}, {}).partition(".")[0]
    assert header == base64url(orjson.dumps({"alg": "ES256"}))


# --- step-up (RFC 9470) ----------------------------------------------------------------------------------------


async def test_step_up(fapi: Fapi) -> None:
    """This kind of document needs an owner who signed in at most 300 s ago: see SETTINGS."""
    consent = await fapi.consent(document_type="PERSONAL_CREDIT_REPORT")
    await fapi.tokens(TLS, consent)  # the consent is valid
    for auth_time in (fapi.stage.now - 301, None):
        old = fapi.stage.minted(fapi.stage.claims(consent=consent, auth_time=auth_time))
        reply = await fapi.verify(consent, old)
        check_problem(reply, "AUTHENTICATION_TOO_OLD")
        challenge = reply.headers["WWW-Authenticate"]
        assert challenge == 'Bearer error="insufficient_user_authentication", max_age="300"'
    # What the challenge asks for brings a token that is good.
    code = await fapi.code(TLS, consent, max_age="300", prompt="login")
    token = (await fapi.redeem(code)).json["access_token"]
    assert (await fapi.verify(consent, token)).status == 200


async def test_step_up_of_a_dpop_token_is_asked_for_in_its_scheme(fapi: Fapi) -> None:
    consent = await fapi.consent(document_type="PERSONAL_CREDIT_REPORT")
    bound = {"jkt": thumbprint(fapi.keys[DPOP])}
    old = fapi.stage.minted(fapi.stage.claims(DPOP, consent=consent, auth_time=1, cnf=bound))
    reply = await fapi.verify(consent, old, DPOP)
    check_problem(reply, "AUTHENTICATION_TOO_OLD")
    assert reply.headers["WWW-Authenticate"].startswith("DPoP ")
