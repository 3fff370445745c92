"""Tokens that a client gets by itself: machine scopes, and consents that were approved by Auth Code."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from gateway.core.model import Approval, Consent, ConsentStatus
from gateway.oauth.grant import Ended
from tests.fakes_authorization import (
    Server,
    claims_of,
    subject_of,
    told,
)
from tests.fakes_flows import INTERACTION, OTHER_BANK
from tests.oauth_clients import CLIENT, details
from tests.samples import NOW

# --- a client by itself --------------------------------------------------------------------------------------------


async def test_a_client_has_the_machine_scopes_by_itself(server: Server) -> None:
    answer = await server.machine("cdi:consents cdi:notices")
    assert answer.keys() == {"access_token", "token_type", "expires_in", "scope"}
    claims = claims_of(answer["access_token"])
    assert (claims["sub"], claims["scope"]) == (CLIENT, "cdi:consents cdi:notices")
    assert claims.keys().isdisjoint({"grant_id", "auth_time", "acr", "authorization_details"})


@pytest.mark.parametrize(
    ("scope", "reason"),
    [
        (None, "scope_missing"),
        ("cdi:evidence", "scope"),
        ("openid", "scope"),
        ("cdi:consents cdi:evidence", "scope"),
        ("cdi:consents  cdi:notices", "scope"),
        ("cdi:consents\u00a0cdi:notices", "scope"),
        ("cdi:data-requests", "scope_needs_owner"),
        ("cdi:consents cdi:data-requests", "scope_needs_owner"),
    ],
)
async def test_other_scopes_it_has_not(server: Server, scope: str | None, reason: str) -> None:
    assert await told(server.machine(scope)) == ("invalid_scope", reason)


async def test_a_scope_twice_is_once(server: Server) -> None:
    assert (await server.machine("cdi:consents cdi:consents"))["scope"] == "cdi:consents"


# --- consents that were approved by Auth Code ----------------------------------------------------------------------


async def by_auth_code(server: Server, **changes: Any) -> Consent:
    return await server.consent(**({"status": ConsentStatus.VALID, "approval": Approval.AUTH_CODE} | changes))


async def token_for(server: Server, consent_id: str, *, client_id: str = CLIENT, **changes: Any) -> dict[str, Any]:
    return await server.machine(
        "cdi:data-requests", server.caller(client_id), authorization_details=details(consent_id), **changes
    )


async def test_a_consent_by_auth_code_needs_no_redirect(server: Server) -> None:
    consent = await by_auth_code(server)
    answer = await token_for(server, consent.consent_id)
    claims = claims_of(answer["access_token"])
    assert claims["authorization_details"][0]["consentId"] == consent.consent_id
    assert claims["grant_id"] == answer["grant_id"]
    assert claims["sub"] != CLIENT
    assert "auth_time" not in claims  # nobody signed in: where a step-up is wanted, this is none
    assert "refresh_token" not in answer
    assert await server.alive(answer["access_token"])


async def test_its_grant_stays_the_same(server: Server) -> None:
    consent = await by_auth_code(server)
    one, two = [await token_for(server, consent.consent_id) for _ in range(2)]
    assert one["grant_id"] == two["grant_id"]
    other = await token_for(server, consent.consent_id, client_id="bank-a-batch")
    assert other["grant_id"] != one["grant_id"]


@pytest.mark.parametrize(
    "changes",
    [
        {"approval": Approval.PAGE},
        {"approval": Approval.ISSUER},
        {"approval": None},
        {"status": ConsentStatus.SUBMITTED, "approval": None},
        {"status": ConsentStatus.REVOKED},
        {"status": ConsentStatus.EXPIRED},
        {"status": ConsentStatus.CONSUMED},
        {"expire_time": NOW},
        {"consumer_id": OTHER_BANK},
    ],
)
async def test_every_other_consent_needs_its_owners_code(server: Server, changes: dict[str, Any]) -> None:
    consent = await by_auth_code(server, **changes)
    assert await told(token_for(server, consent.consent_id)) == ("invalid_grant", "consent")


async def test_a_consent_that_nobody_has_is_the_same(server: Server) -> None:
    assert await told(token_for(server, "5d7e6a1c-9f0a-4f3e-8a43-0a3a4d1e9b11")) == ("invalid_grant", "consent")


async def test_such_a_token_is_for_its_consent_alone(server: Server) -> None:
    consent = await by_auth_code(server)
    asked = details(consent.consent_id)
    for scope in ("cdi:consents", "cdi:data-requests cdi:consents", "cdi:consents cdi:data-requests"):
        assert await told(server.machine(scope, authorization_details=asked)) == ("invalid_scope", "scope_needs_owner")
    assert await told(server.machine("cdi:data-requests", authorization_details="[]")) == (
        "invalid_authorization_details",
        "details_shape",
    )


async def test_many_that_come_together_all_end_with_the_consent(server: Server) -> None:
    consent = await by_auth_code(server)
    answers = await asyncio.gather(*(token_for(server, consent.consent_id) for _ in range(5)))
    await server.owned.revoke(consent.consent_id, subject_of(), "OWNER_REQUEST", interaction=INTERACTION)
    assert [await server.alive(answer["access_token"]) for answer in answers] == [False] * 5


async def test_a_consent_that_ends_in_between_gives_a_token_that_nobody_believes(server: Server) -> None:
    consent = await by_auth_code(server)
    server.state.before["add_grant"] = lambda: server.changed(consent, ConsentStatus.REVOKED)
    answer = await token_for(server, consent.consent_id)
    assert (await server.grant(answer["grant_id"])).ended is Ended.CONSENT_REVOKED
    assert not await server.alive(answer["access_token"])


async def test_it_ends_with_its_consent(server: Server) -> None:
    consent = await by_auth_code(server)
    answer = await token_for(server, consent.consent_id)
    await server.owned.revoke(consent.consent_id, subject_of(), "OWNER_REQUEST", interaction=INTERACTION)
    assert not await server.alive(answer["access_token"])
    assert await told(token_for(server, consent.consent_id)) == ("invalid_grant", "consent")
