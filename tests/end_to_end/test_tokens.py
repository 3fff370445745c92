"""Access tokens that must not be believed, at the listener: signed by the gateway's own key unless the case is the key.

An answer never says which check a token failed; the cases differ in one point each from one that is accepted.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import uuid
from collections.abc import Callable, Mapping
from typing import Any

import orjson
import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from adapters.sandbox.bank import Reply
from adapters.sandbox.credentials import REPORT_KEY, TOKEN_KEY
from adapters.sandbox.pki import read_key
from adapters.sandbox.signing import KeySigner, base64url
from tests.end_to_end.stage import EXTERNAL, Stage, bearer, check_problem, request

TARGET = "/cdi/v1/consents?limit=1"
Forge = Callable[[Stage], str]


async def read(stage: Stage, token: str) -> Reply:
    return await stage.bank_a.call("GET", TARGET, token=token)


async def ask(stage: Stage, token: str, consent: Mapping[str, Any], **changes: Any) -> Reply:
    body = {
        "consentId": consent["consentId"],
        "dataScope": {"scopeType": "DataScopeTypeUDR", "documentType": consent["scope"]["documentType"]},
        "purpose": consent["purpose"],
        "document": {"issuerId": consent["dataProviderId"], "digests": stage.sample["digests"]},
    }
    headers = {"Prefer": "wait=20"}
    return await stage.bank_a.call(
        "POST", "/cdi/v1/data-requests", token=token, json=body | changes, key=str(uuid.uuid4()), headers=headers
    )


def assembled(header: Mapping[str, Any], claims: Mapping[str, Any], sign: Callable[[bytes], bytes]) -> str:
    signed = f"{base64url(orjson.dumps(header))}.{base64url(orjson.dumps(claims))}"
    return f"{signed}.{base64url(sign(signed.encode()))}"


def altered(token: str, part: int, text: str | None = None) -> str:
    """The token with another text for a part, or with one bit of it flipped."""
    parts = token.split(".")
    if text is None:
        raw = bytearray(base64.urlsafe_b64decode(parts[part] + "=="))
        raw[len(raw) // 2] ^= 1
        text = base64url(bytes(raw))
    parts[part] = text
    return ".".join(parts)


HEADER = {"typ": "at+jwt", "kid": TOKEN_KEY}


def public_key_as_secret(stage: Stage) -> str:
    """RFC 8725 §2.1: the issuer's public key taken for an HMAC secret."""
    secret = (stage.folder / f"pki/{TOKEN_KEY}.jwks.json").read_bytes()
    return assembled(
        HEADER | {"alg": "HS256"}, stage.claims(), lambda data: hmac.new(secret, data, hashlib.sha256).digest()
    )


def rsa_signed(stage: Stage) -> str:
    key = rsa.generate_private_key(65_537, 2_048)
    return assembled(
        HEADER | {"alg": "RS256"}, stage.claims(), lambda data: key.sign(data, padding.PKCS1v15(), hashes.SHA256())
    )


def own_key_inside(stage: Stage) -> str:
    """RFC 8725 §2.4, §3.10: a key that the token itself brings."""
    signer = KeySigner.create(TOKEN_KEY)
    header: dict[str, Any] = {"typ": "at+jwt", "jwk": signer.public_jwk()}
    return signer.sign_jws(header, orjson.dumps(stage.claims()))


INVALID: dict[str, Forge] = {
    "expired": lambda s: s.minted(s.claims(iat=s.now - 400, exp=s.now - 1)),
    "issued in the future": lambda s: s.minted(s.claims(iat=s.now + 60)),
    "not yet valid": lambda s: s.minted(s.claims(nbf=s.now + 60)),
    "lives too long": lambda s: s.minted(s.claims(exp=s.now + 100_000)),
    "never expires": lambda s: s.minted(s.claims(exp=None)),
    "expiry as text": lambda s: s.minted(s.claims(exp=str(s.now + 300))),
    "another audience": lambda s: s.minted(s.claims(aud="https://other.example")),
    "no audience": lambda s: s.minted(s.claims(aud=None)),
    "another issuer": lambda s: s.minted(s.claims(iss="https://other.example")),
    "issuer with a slash": lambda s: s.minted(s.claims(iss=s.claims()["iss"] + "/")),
    "no issuer": lambda s: s.minted(s.claims(iss=None)),
    "no subject": lambda s: s.minted(s.claims(sub=None)),
    "no client": lambda s: s.minted(s.claims(client_id=None)),
    "no id": lambda s: s.minted(s.claims(jti=None)),
    "an ID token": lambda s: s.minted(s.claims(), typ="JWT"),
    "a DPoP proof": lambda s: s.minted(s.claims(), typ="dpop+jwt"),
    "bound to nothing": lambda s: s.minted(s.claims(cnf=None)),
    "bound twice": lambda s: s.minted(
        s.claims(cnf={"x5t#S256": s.thumbprint("bank-a"), "jkt": s.thumbprint("bank-a")})
    ),
    "bound to text": lambda s: s.minted(s.claims(cnf=s.thumbprint("bank-a"))),
    "scope as a list": lambda s: s.minted(s.claims(scope=["cdi:consents"])),
    "alg none": lambda s: assembled(HEADER | {"alg": "none"}, s.claims(), lambda _: b""),
    "alg HS256 with the public key": public_key_as_secret,
    "alg RS256": rsa_signed,
    "a key of its own": own_key_inside,
    "another key under the issuer's name": lambda s: KeySigner.create(TOKEN_KEY).sign_jws(
        {"typ": "at+jwt"}, orjson.dumps(s.claims())
    ),
    "the gateway's own key": lambda s: KeySigner(
        TOKEN_KEY, read_key(s.folder / f"gateway/keys/{REPORT_KEY}.pem")
    ).sign_jws({"typ": "at+jwt"}, orjson.dumps(s.claims())),
    "a header that must be understood": lambda s: s.minted(s.claims(), crit="b64"),
    "claims changed after signing": lambda s: altered(
        s.minted(s.claims()), 1, base64url(orjson.dumps(s.claims(scope="cdi:consents cdi:evidence")))
    ),
    "signature of one bit less": lambda s: altered(s.minted(s.claims()), 2),
    "no signature": lambda s: altered(s.minted(s.claims()), 2, ""),
    "claims that are no object": lambda s: assembled(HEADER | {"alg": "ES256"}, [], lambda _: b"\1" * 64),  # type: ignore[arg-type]
    "two parts": lambda s: s.minted(s.claims()).rpartition(".")[0],
    "six parts": lambda s: ".".join([s.minted(s.claims())] * 2),
    "padding": lambda s: s.minted(s.claims()) + "=",
    "too large": lambda s: s.minted(s.claims(sub="x" * 9_000)),
    "two statements about one consent": lambda s: s.minted(
        s.claims(
            authorization_details=[
                {"type": "cdi_consent", "consentId": "c", "purpose": "SME_LOAN_UNDERWRITING"},
                {"type": "cdi_consent", "consentId": "c", "purpose": "ACCOUNT_OPENING"},
            ]
        )
    ),
}


async def test_the_token_that_the_cases_start_from_is_accepted(stage: Stage) -> None:
    assert (await read(stage, stage.minted(stage.claims()))).status == 200


@pytest.mark.parametrize("name", INVALID)
async def test_such_a_token_is_invalid(name: str, stage: Stage) -> None:
    token = INVALID[name](stage)
    for _ in range(2):  # remembered or not
        reply = await read(stage, token)
        problem = check_problem(reply, "TOKEN_INVALID")
        assert problem["detail"] == problem["title"]
        assert reply.headers["WWW-Authenticate"] == 'Bearer error="invalid_token"'


@pytest.mark.parametrize("field", ["", "Bearer", "Bearer ", "Basic dXNlcjpwYXNz", "Bearer a b", "DPoP a.b.c"])
async def test_another_kind_of_authorization_is_invalid(field: str, stage: Stage) -> None:
    async with stage.connection() as client:
        check_problem(await client.ask(request("GET", TARGET, f"Authorization: {field}")), "TOKEN_INVALID")


async def test_no_token_is_missing_and_says_no_error(stage: Stage) -> None:
    reply = await stage.bank_a.call("GET", TARGET)
    check_problem(reply, "TOKEN_MISSING")
    assert reply.headers["WWW-Authenticate"] == "Bearer"  # RFC 6750 §3.1


@pytest.mark.parametrize("where", ["?access_token={}", "?limit=1&access_token={}"])
async def test_a_token_in_the_query_is_no_token(where: str, stage: Stage) -> None:
    token = await stage.machine_token()
    check_problem(await stage.bank_a.call("GET", "/cdi/v1/consents" + where.format(token)), "TOKEN_MISSING")


# --- whose hands -----------------------------------------------------------------------------------------------


async def test_a_stolen_token_is_worth_nothing_to_another_bank(stage: Stage) -> None:
    token = await stage.machine_token()
    assert (await read(stage, token)).status == 200
    # Verified just now and remembered: the certificate is compared all the same.
    check_problem(await stage.bank_b.call("GET", TARGET, token=token), "TOKEN_NOT_BOUND")


async def test_a_token_bound_to_another_certificate_is_refused(stage: Stage) -> None:
    token = stage.minted(stage.claims(cnf={"x5t#S256": stage.thumbprint("bank-b")}))
    check_problem(await read(stage, token), "TOKEN_NOT_BOUND")


async def test_a_token_bound_by_dpop_is_no_bearer_token(stage: Stage) -> None:
    """RFC 9449 §7.2: without a proof it would be worth as much as a stolen one."""
    token = stage.minted(stage.claims(cnf={"jkt": stage.thumbprint("bank-a")}))
    check_problem(await read(stage, token), "TOKEN_NOT_BOUND")


async def test_a_token_of_another_banks_client_is_refused(stage: Stage) -> None:
    """The issuer bound it to our certificate by mistake."""
    client_id = stage.world.description["clients"]["bank-b"]["clientId"]
    check_problem(await read(stage, stage.minted(stage.claims(client_id=client_id))), "TOKEN_NOT_BOUND")


# --- for what --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("scope", ["cdi:data-requests:read", "cdi:evidence", "cdi:consentsx", "CDI:CONSENTS", None])
async def test_a_token_without_the_scope_is_refused(scope: str | None, stage: Stage) -> None:
    reply = await read(stage, stage.minted(stage.claims(scope=scope)))
    check_problem(reply, "SCOPE_INSUFFICIENT")
    assert reply.headers["WWW-Authenticate"] == 'Bearer error="insufficient_scope", scope="cdi:consents"'


@pytest.mark.parametrize(
    ("method", "path", "scope"),
    [
        ("POST", "/consents", "cdi:data-requests"),
        ("POST", f"/consents/{uuid.UUID(int=1)}/revocation", "cdi:data-requests"),
        ("POST", "/data-requests", "cdi:consents cdi:data-requests:read cdi:notices"),
        ("POST", "/data-requests/batch", "cdi:data-requests:read"),
        ("GET", "/data-requests", "cdi:consents cdi:notices"),
        ("GET", f"/data-requests/{uuid.UUID(int=1)}", "cdi:consents"),
        ("GET", f"/data-requests/{uuid.UUID(int=1)}/files/x", "cdi:consents"),
        ("POST", f"/data-requests/{uuid.UUID(int=1)}/reception", "cdi:notices"),
        ("POST", f"/data-requests/{uuid.UUID(int=1)}/cancellation", "cdi:notices"),
        ("POST", "/digests", "cdi:notices"),
        ("GET", "/notices", "cdi:consents cdi:data-requests"),
    ],
)
async def test_every_call_has_its_scope(method: str, path: str, scope: str, stage: Stage) -> None:
    token = stage.minted(stage.claims(scope=scope))
    check_problem(await stage.bank_a.call(method, f"/cdi/v1{path}", token=token), "SCOPE_INSUFFICIENT")


# --- under which consent ---------------------------------------------------------------------------------------


async def test_a_machine_token_asks_for_no_data(stage: Stage) -> None:
    consent, _ = await stage.approved()
    check_problem(await ask(stage, await stage.machine_token(), consent), "SCOPE_INSUFFICIENT")


async def test_a_token_of_another_consent_is_refused(stage: Stage) -> None:
    consent, _ = await stage.approved()
    _, token = await stage.approved()
    check_problem(await ask(stage, token, consent), "CONSENT_SCOPE_EXCEEDED")


async def test_a_token_with_the_scope_and_no_consent_is_refused(stage: Stage) -> None:
    consent, _ = await stage.approved()
    token = stage.minted(stage.claims(scope="cdi:data-requests"))
    check_problem(await ask(stage, token, consent), "CONSENT_SCOPE_EXCEEDED")


@pytest.mark.parametrize(
    "change",
    [
        {"dataProviderId": "SZBANK0001DP"},
        {"documentType": "BANK_STATEMENT"},
        {"purpose": "ACCOUNT_OPENING"},
        {"expireTime": 1},
        {"dataProviderId": None},
        {"documentType": None},
        {"purpose": None},
        {"expireTime": None},
    ],
    ids=str,
)
async def test_a_token_that_says_anything_else_approves_nothing(change: dict[str, Any], stage: Stage) -> None:
    consent = await stage.submitted()
    claims = stage.claims(consent=consent, iss=EXTERNAL)
    detail = claims["authorization_details"][0] | change
    claims["authorization_details"] = [{name: value for name, value in detail.items() if value is not None}]
    token = stage.minted(claims)
    check_problem(await ask(stage, token, consent), "CONSENT_PENDING")
    seen = await stage.bank_a.call("GET", f"/cdi/v1/consents/{consent['consentId']}", token=token)
    assert seen.json["status"] == "ConsentSubmitted"


async def test_a_detail_of_another_type_approves_nothing(stage: Stage) -> None:
    consent = await stage.submitted()
    claims = stage.claims(consent=consent, iss=EXTERNAL)
    claims["authorization_details"][0]["type"] = "payment_initiation"
    check_problem(await ask(stage, stage.minted(claims), consent), "CONSENT_SCOPE_EXCEEDED")


async def test_an_external_issuers_token_approves_exactly_the_submitted_consent(stage: Stage) -> None:
    consent = await stage.submitted()
    reply = await ask(stage, stage.minted(stage.claims(consent=consent, iss=EXTERNAL)), consent)
    assert (reply.status, reply.json["verification"]["outcome"]) == (200, "MATCH")


async def test_the_gateways_own_token_approves_nothing(stage: Stage) -> None:
    """Its data owners approve on its pages; a token of its own key that nobody approved is worth no more for that."""
    consent = await stage.submitted()
    check_problem(await ask(stage, stage.minted(stage.claims(consent=consent)), consent), "CONSENT_PENDING")


async def test_one_issuers_key_signs_for_nobody_else(stage: Stage) -> None:
    signed = stage.minted(stage.claims(iss=EXTERNAL))
    assert (await read(stage, signed)).status == 200
    header, _, signature = signed.split(".")
    forged = f"{header}.{base64url(orjson.dumps(stage.claims()))}.{signature}"
    check_problem(await read(stage, forged), "TOKEN_INVALID")
    claims = stage.claims(iss=EXTERNAL)
    own = KeySigner.read(TOKEN_KEY, stage.folder / f"gateway/keys/{TOKEN_KEY}.pem")
    check_problem(await read(stage, own.sign_jws({"typ": "at+jwt"}, orjson.dumps(claims))), "TOKEN_INVALID")


async def test_a_narrower_token_asks_within_its_own_bounds_only(stage: Stage) -> None:
    """The consent is valid; this token says less than it."""
    consent, good = await stage.approved(max_uses=5)
    assert (await ask(stage, good, consent)).status == 200
    claims = stage.claims(consent=consent)
    claims["authorization_details"][0]["purpose"] = "ACCOUNT_OPENING"
    check_problem(await ask(stage, stage.minted(claims), consent), "CONSENT_PURPOSE_MISMATCH")


async def test_a_token_is_refused_on_a_kept_connection_as_soon_as_its_time_is_over(stage: Stage) -> None:
    token = stage.minted(stage.claims(exp=stage.now + 2))
    async with stage.connection() as client, asyncio.timeout(20):
        answer = await client.ask(request("GET", TARGET, bearer(token)))
        assert answer.status == 200
        while answer.status == 200:
            await asyncio.sleep(0.02)
            answer = await client.ask(request("GET", TARGET, bearer(token)))
        check_problem(answer, "TOKEN_INVALID")


async def test_a_token_that_is_revoked_while_the_body_comes_opens_nothing(stage: Stage) -> None:
    consent, token = await stage.approved(max_uses=5)
    body = orjson.dumps(
        {
            "consentId": consent["consentId"],
            "dataScope": {"scopeType": "DataScopeTypeUDR", "documentType": consent["scope"]["documentType"]},
            "purpose": consent["purpose"],
            "document": {"issuerId": consent["dataProviderId"], "digests": stage.sample["digests"]},
        }
    )
    fields = (bearer(token), "Content-Type: application/json", f"Idempotency-Key: {uuid.uuid4()}")
    whole = request("POST", "/cdi/v1/data-requests", *fields, body=body)
    async with stage.connection() as client:
        client.send(whole[:-1])
        # Another request of the same bank is answered, so the first one's header has been judged.
        assert (await read(stage, await stage.machine_token())).status == 200
        given_back = await stage.bank_a.oauth.post("revoke", {"token": token})
        assert given_back.status == 200
        client.send(whole[-1:])
        check_problem(await client.reply(), "TOKEN_INVALID")


async def test_who_waits_gets_nothing_on_a_token_that_is_revoked_meanwhile(stage: Stage) -> None:
    token = await stage.machine_token()
    newest = (await stage.bank_a.call("GET", "/cdi/v1/notices?limit=1000", token=token)).json["next"]
    while (page := (await stage.bank_a.call("GET", f"/cdi/v1/notices?after={newest}&limit=1000", token=token)).json)[
        "notices"
    ]:
        newest = page["next"]
    waiting = asyncio.ensure_future(stage.bank_a.call("GET", f"/cdi/v1/notices?after={newest}&wait=2", token=token))
    assert (await stage.bank_a.oauth.post("revoke", {"token": token})).status == 200
    check_problem(await waiting, "TOKEN_INVALID")
