"""Attacks on tokens, codes and consents by those who hold a part of them: a client, another bank, a second browser.

Forged tokens are in `test_tokens.py`, forged assertions and proofs beside the conformance tests; attacks on the pages
in `test_page_attacks.py`.
"""

from __future__ import annotations

import asyncio
import sys
import uuid
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from adapters.sandbox.browser import BrowserStopped
from adapters.sandbox.oauth_client import Pushed
from adapters.sandbox.signing import base64url
from tests.end_to_end.fapi import CALLBACK, DPOP, JWT, OTHER, TLS, Code, Fapi, check_refusal, public_jwk, s256, signed
from tests.end_to_end.stage import check_problem
from tests.end_to_end.test_tokens import altered

CONSENTS = "/cdi/v1/consents"


async def reads(fapi: Fapi, token: str, consent: Any, label: str = TLS) -> Any:
    return await fapi.call("GET", f"{CONSENTS}/{consent['consentId']}", token, label)


# --- JWT confusion ---------------------------------------------------------------------------------------------


async def test_what_the_server_signs_for_other_ends_is_no_access_token(fapi: Fapi) -> None:
    """RFC 8725 §3.11: JARM answers, signed introspection, receipts and notices are JWTs of the same gateway."""
    code = await fapi.code(response_mode="jwt")
    accept = [("Accept", "application/token-introspection+jwt")]
    token = (await fapi.tokens())["access_token"]
    about = await fapi.post("introspect", {**fapi.credentials(TLS), "token": token}, TLS, accept)
    machine = await fapi.stage.machine_token()
    notices = (await fapi.call("GET", "/cdi/v1/notices?limit=200", machine)).json["notices"]
    event = next(notice["token"] for notice in notices if "token" in notice)
    for jwt in (code.answer["response"], about.body.decode(), event, fapi.assertion()):
        check_problem(await fapi.call("GET", f"{CONSENTS}?limit=1", jwt), "TOKEN_INVALID")


async def test_an_access_token_is_no_assertion_and_no_request_object(fapi: Fapi) -> None:
    token = await fapi.stage.machine_token()
    sent = {**fapi.credentials(JWT), "client_assertion": token, "grant_type": "client_credentials"}
    check_refusal(await fapi.post("token", sent, JWT), "invalid_client", 401)
    check_refusal(await fapi.post("par", {**fapi.credentials(JWT), "request": token}, JWT), "invalid_request_object")


async def test_a_request_object_is_no_assertion(fapi: Fapi) -> None:
    request = fapi.request_object({"sub": fapi.id(JWT)})
    sent = {**fapi.credentials(JWT), "client_assertion": request, "grant_type": "client_credentials"}
    check_refusal(await fapi.post("token", sent, JWT), "invalid_client", 401)


# --- mix-up and code injection ---------------------------------------------------------------------------------


async def test_mix_up_is_seen_by_the_client(fapi: Fapi) -> None:
    """RFC 9207 §2.4: every answer names its issuer, and a client that looks does not redeem another's."""
    for approve in (True, False):
        answer = (await fapi.decided(await fapi.pushed(), approve=approve)).answer
        assert answer["iss"] == fapi.issuer
    bank = fapi.stage.bank_a
    pushed = Pushed(consent_id="c", url="", redirect_uri=CALLBACK, state="s", verifier="v")
    for wrong in ({"iss": "https://attacker.example"}, {"iss": fapi.issuer + "/"}, {}):
        reply = await bank.oauth.redeem(pushed, {"code": "stolen", "state": "s", **wrong})
        assert reply.json["error_description"] == "the answer is not to this request"


async def test_an_injected_code_fails_for_want_of_its_verifier(fapi: Fapi) -> None:
    """RFC 9700 §4.5: the victim's code, brought to the attacker's own session at the same client."""
    victim, attacker = await fapi.code(), await fapi.code()
    check_refusal(await fapi.redeem(victim, code_verifier=attacker.request.verifier), "invalid_grant")
    check_refusal(await fapi.redeem(attacker, code=victim.value), "invalid_grant")


async def test_a_stolen_code_is_worth_nothing_to_another_client_that_knows_its_verifier(fapi: Fapi) -> None:
    code = await fapi.code()
    for label in (OTHER, JWT, DPOP):
        check_refusal(await fapi.redeem(code, label), "invalid_grant")
    stolen = {**fapi.credentials(TLS), **fapi.redemption(code)}
    check_refusal(await fapi.post("token", stolen, OTHER), "invalid_client", 401)


async def test_a_challenge_of_the_attackers_own_cannot_be_swapped_in_later(fapi: Fapi) -> None:
    """The pushed request is what counts: parameters at the authorization endpoint change nothing of it."""
    request = await fapi.pushed()
    owner, mine = await fapi.owner(), "m" * 43
    answer = await owner.decide(f"{request.url}&code_challenge={s256(mine)}&code_challenge_method=S256", CALLBACK)
    check_refusal(await fapi.redeem(Code(request=request, answer=answer), code_verifier=mine), "invalid_grant")


# --- one bank's consent in another's hands ---------------------------------------------------------------------


async def test_another_banks_consent_cannot_be_pushed(fapi: Fapi) -> None:
    """Submitted or valid, it is as unknown as one that nobody has."""
    theirs, approved = await fapi.consent(TLS), await fapi.consent(TLS)
    await fapi.tokens(TLS, approved)
    refusals = [await fapi.push(OTHER, consent) for consent in (theirs, approved, {"consentId": str(uuid.uuid4())})]
    for reply in refusals:
        check_refusal(reply, "invalid_authorization_details")
        assert reply.body == refusals[0].body


async def test_another_banks_consent_gives_no_token_without_a_code(fapi: Fapi) -> None:
    """Of an Auth Code, too, only the consent's own bank gets one."""
    theirs = await fapi.consent(TLS)
    await fapi.tokens(TLS, theirs)
    form = {
        "grant_type": "client_credentials",
        "scope": "cdi:data-requests",
        "authorization_details": f'[{{"type":"cdi_consent","consentId":"{theirs["consentId"]}"}}]',
    }
    check_refusal(await fapi.ask("token", OTHER, form), "invalid_grant")
    check_refusal(await fapi.ask("token", TLS, form), "invalid_grant")  # approved on the page: by a code alone


async def test_another_banks_consent_serves_no_data_request(fapi: Fapi) -> None:
    theirs, own = await fapi.consent(TLS), await fapi.consent(OTHER)
    await fapi.tokens(TLS, theirs)
    token = (await fapi.tokens(OTHER, own))["access_token"]
    check_problem(await fapi.verify(theirs, token, OTHER), "CONSENT_NOT_FOUND")


async def test_another_banks_grant_does_not_exist(fapi: Fapi) -> None:
    grant = (await fapi.tokens(TLS))["grant_id"]
    scope = "grant_management_query grant_management_revoke"
    form = {"grant_type": "client_credentials", "scope": scope}
    theirs = (await fapi.ask("token", OTHER, form)).json["access_token"]
    for method in ("GET", "DELETE"):
        for name in (grant, str(uuid.uuid4())):
            check_problem(await fapi.call(method, f"/oauth/grants/{name}", theirs, OTHER), "NOT_FOUND")
    own = (await fapi.ask("token", TLS, form)).json["access_token"]
    assert (await fapi.call("GET", f"/oauth/grants/{grant}", own)).status == 200
    narrow = await fapi.stage.machine_token()
    check_problem(await fapi.call("GET", f"/oauth/grants/{grant}", narrow), "SCOPE_INSUFFICIENT")


async def test_another_clients_token_cannot_be_revoked(fapi: Fapi) -> None:
    answer = await fapi.tokens(TLS)
    for token in (answer["access_token"], answer["refresh_token"]):
        for label in (OTHER, JWT):
            check_refusal(await fapi.ask("revoke", label, {"token": token}), "unauthorized_client")
    refresh = {"grant_type": "refresh_token", "refresh_token": answer["refresh_token"]}
    assert (await fapi.ask("token", TLS, refresh)).status == 200


# --- tokens after the end --------------------------------------------------------------------------------------


async def by_owner(fapi: Fapi, consent: Any, _: dict[str, Any]) -> None:
    await (await fapi.owner()).revoke(consent["consentId"])


async def by_bank(fapi: Fapi, consent: Any, _: dict[str, Any]) -> None:
    reply = await fapi.stage.bank_a.revoke_consent(consent["consentId"], token=await fapi.stage.machine_token())
    assert reply.status == 200


async def by_source(fapi: Fapi, consent: Any, _: dict[str, Any]) -> None:
    source = fapi.stage.source_hk
    assert (await source.revoke_consent(consent["consentId"], token=await source.token("cdi:consents"))).status == 200


async def by_operator(fapi: Fapi, consent: Any, _: dict[str, Any]) -> None:
    await operate(fapi, "revoke", consent["consentId"], "--reason", "LEGAL_ORDER", "--yes")


async def by_grant_management(fapi: Fapi, _: Any, tokens: dict[str, Any]) -> None:
    form = {"grant_type": "client_credentials", "scope": "grant_management_revoke"}
    token = (await fapi.ask("token", TLS, form)).json["access_token"]
    assert (await fapi.call("DELETE", f"/oauth/grants/{tokens['grant_id']}", token)).status == 204


async def by_its_refresh_token(fapi: Fapi, _: Any, tokens: dict[str, Any]) -> None:
    assert (await fapi.ask("revoke", TLS, {"token": tokens["refresh_token"]})).status == 200


async def operate(fapi: Fapi, *arguments: str) -> str:
    """`cdi-gateway consent …`, as an operator runs it beside the gateway."""
    config = str(fapi.stage.folder / "gateway.yaml")
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "gateway", "consent", *arguments, "--config", config),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    said, _ = await process.communicate()
    assert process.returncode == 0, said.decode()
    return said.decode()


End = Callable[[Fapi, Any, dict[str, Any]], Awaitable[None]]
ENDS: dict[str, tuple[End, str]] = {
    "the owner": (by_owner, "CONSENT_REVOKED"),
    "the bank": (by_bank, "CONSENT_REVOKED"),
    "the source": (by_source, "CONSENT_REVOKED"),
    "the operator": (by_operator, "CONSENT_REVOKED"),
    "grant management": (by_grant_management, "TOKEN_INVALID"),
    "the refresh token given back (RFC 7009)": (by_its_refresh_token, "TOKEN_INVALID"),
}


@pytest.mark.parametrize("who", ENDS)
async def test_after_the_end_no_token_is_worth_anything(who: str, fapi: Fapi) -> None:
    """The access token, the refresh token, introspection, a new code, and the grant."""
    end, code = ENDS[who]
    consent = await fapi.consent(provider_id="HKSOURCE1DP", document_type="BANK_STATEMENT")
    tokens = await fapi.tokens(TLS, consent)
    unredeemed = await fapi.code(TLS, consent)
    assert (await reads(fapi, tokens["access_token"], consent)).status == 200
    await end(fapi, consent, tokens)
    async with asyncio.timeout(20):  # an operator's command is another process: this one looks every half second
        while (reply := await reads(fapi, tokens["access_token"], consent)).status == 200:  # noqa: ASYNC110
            await asyncio.sleep(0.02)
    check_problem(reply, code)
    check_problem(await fapi.verify(consent, tokens["access_token"]), code)
    refresh = {"grant_type": "refresh_token", "refresh_token": tokens["refresh_token"]}
    check_refusal(await fapi.ask("token", TLS, refresh), "invalid_grant")
    for token in (tokens["access_token"], tokens["refresh_token"]):
        assert (await fapi.ask("introspect", TLS, {"token": token})).json == {"active": False}
    if code == "CONSENT_REVOKED":  # the other way the consent is still there, and so is what else it gave
        check_refusal(await fapi.redeem(unredeemed), "invalid_grant")
        check_refusal(await fapi.push(TLS, consent), "invalid_authorization_details")
    else:
        assert (await fapi.redeem(unredeemed)).status == 200


async def test_one_access_token_given_back_ends_alone(fapi: Fapi) -> None:
    """RFC 7009 §2.1: its grant goes on."""
    consent = await fapi.consent()
    tokens = await fapi.tokens(TLS, consent)
    assert (await fapi.ask("revoke", TLS, {"token": tokens["access_token"]})).status == 200
    check_problem(await reads(fapi, tokens["access_token"], consent), "TOKEN_INVALID")
    refresh = {"grant_type": "refresh_token", "refresh_token": tokens["refresh_token"]}
    again = (await fapi.ask("token", TLS, refresh)).json["access_token"]
    assert (await reads(fapi, again, consent)).status == 200


@pytest.mark.parametrize("token", ["x", "a.b.c", "x" * 8_000])
async def test_giving_back_what_nobody_knows_is_no_error(token: str, fapi: Fapi) -> None:
    """RFC 7009 §2.2."""
    reply = await fapi.ask("revoke", TLS, {"token": token})
    assert (reply.status, reply.body) == (200, b"")


async def test_a_consent_refused_by_its_owner_gives_nothing_any_more(fapi: Fapi) -> None:
    consent = await fapi.consent()
    earlier, later = await fapi.pushed(TLS, consent), await fapi.pushed(TLS, consent)
    await fapi.decided(earlier, approve=False)
    answer = (await fapi.decided(later)).answer
    assert answer["error"] == "access_denied"
    check_refusal(await fapi.push(TLS, consent), "invalid_authorization_details")


# --- stolen proofs ---------------------------------------------------------------------------------------------


async def test_a_captured_dpop_request_cannot_be_sent_again(fapi: Fapi) -> None:
    """Neither as it was, nor for another route, nor with another token, nor signed by a key of one's own."""
    tokens = [(await fapi.ask("token", DPOP, _machine())).json["access_token"] for _ in range(2)]
    proof = await fapi.proof("GET", fapi.bank + CONSENTS, token=tokens[0])

    async def replayed(path: str, token: str, with_proof: str) -> Any:
        fields = [("Authorization", f"DPoP {token}"), ("DPoP", with_proof)]
        return await fapi.send("GET", fapi.bank + path, DPOP, fields)

    assert (await replayed(f"{CONSENTS}?limit=1", tokens[0], proof)).status == 200
    check_problem(await replayed(f"{CONSENTS}?limit=1", tokens[0], proof), "TOKEN_NOT_BOUND")
    fresh = await fapi.proof("GET", fapi.bank + CONSENTS, token=tokens[0])
    check_problem(await replayed("/cdi/v1/notices", tokens[0], fresh), "TOKEN_NOT_BOUND")
    fresh = await fapi.proof("GET", fapi.bank + CONSENTS, token=tokens[0])
    check_problem(await replayed(f"{CONSENTS}?limit=1", tokens[1], fresh), "TOKEN_NOT_BOUND")
    key = ec.generate_private_key(ec.SECP256R1())
    claims = {"jti": "1", "htm": "GET", "htu": fapi.bank + CONSENTS, "iat": fapi.stage.now, "ath": s256(tokens[0])}
    head = {"alg": "ES256", "typ": "dpop+jwt", "jwk": public_jwk(key)}
    own = signed(key, head, claims | {"nonce": await fapi.nonce()})
    check_problem(await replayed(f"{CONSENTS}?limit=1", tokens[0], own), "TOKEN_NOT_BOUND")
    check_problem(await replayed(f"{CONSENTS}?limit=1", tokens[0], altered(own, 1)), "TOKEN_NOT_BOUND")


def _machine() -> dict[str, str]:
    return {"grant_type": "client_credentials", "scope": "cdi:consents cdi:notices"}


async def test_a_proof_of_the_token_endpoint_is_none_of_the_resource_server(fapi: Fapi) -> None:
    token = (await fapi.ask("token", DPOP, _machine())).json["access_token"]
    proof = await fapi.proof("POST", fapi.url("token", DPOP), ath=base64url(b"x"))
    fields = [("Authorization", f"DPoP {token}"), ("DPoP", proof)]
    check_problem(await fapi.send("GET", f"{fapi.bank}{CONSENTS}", DPOP, fields), "TOKEN_NOT_BOUND")


# --- guessing --------------------------------------------------------------------------------------------------


async def test_guessed_handles_lead_nowhere(fapi: Fapi) -> None:
    for guess in ("x" * 43, "x", "", "../x", "urn:ietf:params:oauth:request_uri:"):
        request = fapi.request(TLS, NOBODYS, "v" * 43, f"urn:ietf:params:oauth:request_uri:{guess}")
        assert (await fapi.send("GET", request.url, None)).status == 410
    with pytest.raises(BrowserStopped):
        await fapi.decided(fapi.request(TLS, NOBODYS, "v" * 43, "urn:ietf:params:oauth:request_uri:" + "x" * 43))


NOBODYS = {"consentId": str(uuid.UUID(int=2))}
