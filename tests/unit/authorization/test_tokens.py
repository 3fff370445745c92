"""The token endpoint: codes, what tokens are bound to, and the request itself."""

from __future__ import annotations

import asyncio

import pytest

from gateway.core.model import ConsentStatus
from gateway.oauth.grant import Ended
from tests.fakes_authorization import (
    LIVES,
    RESOURCE,
    Server,
    claims_of,
    refused,
    told,
)
from tests.oauth_clients import VERIFIER, details
from tests.samples import NOW

JKT, OTHER_JKT = "j" * 43, "k" * 43


# --- a code --------------------------------------------------------------------------------------------------------


async def test_a_code_becomes_a_token_of_its_consent(server: Server) -> None:
    consent, answer = await server.granted()
    assert answer.keys() == {
        "access_token",
        "token_type",
        "expires_in",
        "scope",
        "grant_id",
        "authorization_details",
        "refresh_token",
    }
    assert (answer["token_type"], answer["expires_in"], answer["scope"]) == ("Bearer", 300, "cdi:data-requests")
    assert [detail["consentId"] for detail in answer["authorization_details"]] == [consent.consent_id]
    assert claims_of(answer["access_token"])["grant_id"] == answer["grant_id"]
    assert await server.alive(answer["access_token"])


async def test_attempt_reuse_authorization_code_after_one_second(server: Server) -> None:
    """RFC 6749 §4.1.2: and what was issued of it is revoked."""
    consent = await server.consent()
    code = await server.code(consent)
    answer = await server.redeem(code)
    server.clock.advance(1)
    assert await told(server.redeem(code)) == ("invalid_grant", "code_reused")
    assert not await server.alive(answer["access_token"])
    assert await told(server.refresh(answer["refresh_token"])) == ("invalid_grant", "grant_ended")
    assert (await server.grant(answer["grant_id"])).ended is Ended.CODE_REUSED
    (entry,) = await server.entries("token.revoked")
    assert (entry["reason"], entry["facts"]) == ("CODE_REUSED", {"grant": answer["grant_id"]})
    assert await server.status(consent) is ConsentStatus.VALID  # the owner's yes stands; the bank asks for a new code


async def test_a_code_that_comes_a_third_time_changes_nothing_more(server: Server) -> None:
    code = await server.code(await server.consent())
    await server.redeem(code)
    for _ in range(2):
        assert await told(server.redeem(code)) == ("invalid_grant", "code_reused")
    assert len(await server.entries("token.revoked")) == 1


async def test_of_20_that_come_with_one_code_one_gets_a_token_and_the_grant_ends(server: Server) -> None:
    code = await server.code(await server.consent())
    found = await asyncio.gather(*(server.redeem(code) for _ in range(20)), return_exceptions=True)
    answers = [one for one in found if isinstance(one, dict)]
    assert len(answers) == 1
    assert {getattr(one, "reason", None) for one in found if not isinstance(one, dict)} == {"code_reused"}
    assert (await server.grant(answers[0]["grant_id"])).ended is Ended.CODE_REUSED
    assert not await server.alive(answers[0]["access_token"])
    assert len(await server.entries("token.issued")) == len(await server.entries("token.revoked")) == 1


async def test_ensure_authorization_code_is_bound_to_client(server: Server) -> None:
    """Code injection: neither another bank nor another client of the same bank; and its own client still can."""
    code = await server.code(await server.consent())
    for other in ("bank-b", "bank-a-batch"):
        assert await told(server.redeem(code, server.caller(other))) == ("invalid_grant", "code_unknown")
    assert await server.redeem(code)


async def test_another_clients_try_with_a_used_code_ends_nothing(server: Server) -> None:
    """Whoever cannot prove to be the client must not be able to end its grant."""
    code = await server.code(await server.consent())
    answer = await server.redeem(code)
    assert await told(server.redeem(code, server.caller("bank-b"))) == ("invalid_grant", "code_unknown")
    assert await server.alive(answer["access_token"])


async def test_ensure_token_endpoint_fails_with_expired_auth_code(server: Server) -> None:
    code = await server.code(await server.consent())
    server.clock.advance(LIVES.code)
    assert await told(server.redeem(code)) == ("invalid_grant", "code_expired")
    assert LIVES.code <= 60  # FAPI 2.0 §5.3.2.2


async def test_a_code_is_good_until_its_time(server: Server) -> None:
    code = await server.code(await server.consent())
    server.clock.advance(LIVES.code - 0.5)
    assert await server.redeem(code)


async def test_incorrect_pkce_code_verifier_rejected(server: Server) -> None:
    code = await server.code(await server.consent())
    assert await told(server.redeem(code, code_verifier="v" * 43)) == ("invalid_grant", "code_verifier")
    assert await server.redeem(code)


async def test_ensure_pkce_code_verifier_required(server: Server) -> None:
    code = await server.code(await server.consent())
    assert await told(server.redeem(code, code_verifier=None)) == ("invalid_grant", "code_verifier")


@pytest.mark.parametrize("uri", [None, "https://bank-a.example/other?kept=1", "https://mallory.example/"])
async def test_the_redirect_uri_is_that_of_the_request(server: Server, uri: str | None) -> None:
    """RFC 6749 §4.1.3."""
    code = await server.code(await server.consent())
    assert await told(server.redeem(code, redirect_uri=uri)) == ("invalid_grant", "redirect_uri")


@pytest.mark.parametrize("code", ["", "x", "x" * 10_000, "é"])
async def test_an_unknown_code_is_refused(server: Server, code: str) -> None:
    assert await told(server.redeem(code)) == ("invalid_grant", "code_unknown")


async def test_without_a_code_there_is_nothing_to_redeem(server: Server) -> None:
    form = {"grant_type": "authorization_code", "code_verifier": VERIFIER}
    assert await told(server.endpoint.token(server.caller(), form, None)) == ("invalid_request", "code_missing")


@pytest.mark.parametrize(
    ("status", "reason"),
    [
        (ConsentStatus.REVOKED, "code_expired"),  # the grant ended with it
        (ConsentStatus.EXPIRED, "code_expired"),
        (ConsentStatus.CONSUMED, "consent"),
    ],
)
async def test_a_code_of_a_consent_that_ended_is_refused(server: Server, status: ConsentStatus, reason: str) -> None:
    consent = await server.consent()
    code = await server.code(consent)
    await server.changed(consent, status)
    assert await told(server.redeem(code)) == ("invalid_grant", reason)


async def test_a_code_of_a_consent_whose_time_passed_is_refused(server: Server) -> None:
    code = await server.code(await server.consent(expire_time=NOW + 10))
    server.clock.advance(10)
    assert await told(server.redeem(code)) == ("invalid_grant", "consent")


async def test_the_refusals_of_a_grant_look_alike(server: Server) -> None:
    consent = await server.consent()
    code = await server.code(consent)
    attempts = (
        server.redeem("unknown"),
        server.redeem(code, code_verifier="v" * 43),
        server.redeem(code, server.caller("bank-b")),
        server.refresh("unknown"),
    )
    found = [await refused(attempt) for attempt in attempts]
    assert {(one.code, one.description, one.status) for one in found} == {
        ("invalid_grant", "The grant is not valid, or not this client's", 400)
    }


async def test_details_of_another_consent_are_refused(server: Server) -> None:
    """RFC 9396 §6."""
    consent, other = await server.consent(), await server.consent()
    code = await server.code(consent)
    asked = details(other.consent_id)
    assert await told(server.redeem(code, authorization_details=asked)) == (
        "invalid_authorization_details",
        "details_of_another",
    )
    answer = await server.redeem(code, authorization_details=details(consent.consent_id))
    assert await told(server.refresh(answer["refresh_token"], authorization_details=asked)) == (
        "invalid_authorization_details",
        "details_of_another",
    )


# --- what a token is bound to --------------------------------------------------------------------------------------


async def test_ensure_holder_of_key_required(server: Server) -> None:
    """Neither certificate nor proof: no token, and the code is not used up."""
    code = await server.code(await server.consent())
    bare = server.caller(certified=False)
    assert await told(server.redeem(code, bare)) == ("invalid_request", "unbound")
    assert await server.redeem(code)


async def test_with_a_certificate_the_token_is_bound_to_it(server: Server) -> None:
    _, answer = await server.granted()
    caller = server.caller()
    assert caller.certificate is not None
    assert claims_of(answer["access_token"])["cnf"] == {"x5t#S256": caller.certificate.thumbprint}


@pytest.mark.parametrize("certified", [True, False])
async def test_with_a_proof_the_token_is_bound_to_its_key(server: Server, certified: bool) -> None:
    code = await server.code(await server.consent())
    answer = await server.redeem(code, server.caller(certified=certified), jkt=JKT)
    assert answer["token_type"] == "DPoP"
    assert claims_of(answer["access_token"])["cnf"] == {"jkt": JKT}


async def test_a_client_of_dpop_gets_no_token_without_a_proof(server: Server) -> None:
    caller = server.caller("bank-a-dpop")
    assert await told(server.machine("cdi:consents", caller)) == ("invalid_dpop_proof", "dpop_missing")
    assert (await server.machine("cdi:consents", caller, jkt=JKT))["token_type"] == "DPoP"


@pytest.mark.parametrize("bound", [{"jkt": JKT}, {"dpop_jkt": JKT}])
async def test_a_code_that_is_bound_to_a_key_needs_it(server: Server, bound: dict[str, str]) -> None:
    """RFC 9449 §10."""
    code = await server.code(await server.consent(), **bound)
    for wrong in ({}, {"jkt": OTHER_JKT}):
        assert await told(server.redeem(code, **wrong)) == ("invalid_grant", "dpop_key")
    answer = await server.redeem(code, jkt=JKT)
    for wrong in ({}, {"jkt": OTHER_JKT}):
        assert await told(server.refresh(answer["refresh_token"], **wrong)) == ("invalid_grant", "dpop_key")
    assert await server.refresh(answer["refresh_token"], jkt=JKT)


# --- the request itself --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "kind", ["password", "implicit", "urn:ietf:params:oauth:grant-type:jwt-bearer", "Authorization_Code", "code"]
)
async def test_an_unsupported_grant_type_is_refused(server: Server, kind: str) -> None:
    form = {"grant_type": kind, "code": "x"}
    assert await told(server.endpoint.token(server.caller(), form, None)) == ("unsupported_grant_type", "grant_type")


async def test_a_grant_type_is_needed(server: Server) -> None:
    assert await told(server.endpoint.token(server.caller(), {}, None)) == ("invalid_request", "grant_type_missing")


async def test_a_token_is_for_this_resource(server: Server) -> None:
    """RFC 8707 §2.2."""
    code = await server.code(await server.consent())
    other = "https://other.example"
    assert await told(server.redeem(code, resource=other)) == ("invalid_target", "resource")
    assert await told(server.machine("cdi:consents", resource=other)) == ("invalid_target", "resource")
    assert await server.redeem(code, resource=RESOURCE)
