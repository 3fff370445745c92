"""Refresh tokens: not rotated, bound to their client, never beyond their grant."""

from __future__ import annotations

import pytest

from gateway.authorization.handles import kept
from gateway.core.model import ConsentStatus
from tests.fakes_authorization import (
    Server,
    claims_of,
    told,
)
from tests.samples import NOW

JKT, OTHER_JKT = "j" * 43, "k" * 43


# --- refresh tokens ------------------------------------------------------------------------------------------------


async def test_refresh_token(server: Server) -> None:
    """FAPI 2.0 §5.3.2.1: they are not rotated, and each use gives another access token of the same grant."""
    consent, answer = await server.granted()
    tokens = {answer["access_token"]}
    for _ in range(2):
        server.clock.advance(300)
        again = await server.refresh(answer["refresh_token"])
        assert "refresh_token" not in again
        assert again["grant_id"] == answer["grant_id"]
        assert again["authorization_details"][0]["consentId"] == consent.consent_id
        assert claims_of(again["access_token"])["auth_time"] == NOW
        tokens.add(again["access_token"])
    assert len(tokens) == 3


async def test_only_a_hash_of_the_refresh_token_is_kept(server: Server) -> None:
    _, answer = await server.granted()
    grant = await server.grant(answer["grant_id"])
    assert grant.refresh_hash == kept(answer["refresh_token"])
    assert answer["refresh_token"] not in repr(grant)


async def test_a_server_can_give_none(server: Server) -> None:
    server.endpoint = server.token_endpoint(refresh_tokens=False)
    _, answer = await server.granted()
    assert "refresh_token" not in answer


async def test_a_server_that_gives_none_any_more_takes_none(server: Server) -> None:
    _, answer = await server.granted()
    server.endpoint = server.token_endpoint(refresh_tokens=False)
    assert await told(server.refresh(answer["refresh_token"])) == ("unsupported_grant_type", "grant_type")


@pytest.mark.parametrize("other", ["bank-b", "bank-a-batch"])
async def test_a_refresh_token_is_bound_to_its_client(server: Server, other: str) -> None:
    _, answer = await server.granted()
    found = await told(server.refresh(answer["refresh_token"], server.caller(other)))
    assert found == ("invalid_grant", "refresh_unknown")
    assert await server.refresh(answer["refresh_token"])


async def test_an_unknown_refresh_token_is_refused(server: Server) -> None:
    assert await told(server.refresh("x")) == ("invalid_grant", "refresh_unknown")
    form = {"grant_type": "refresh_token"}
    assert await told(server.endpoint.token(server.caller(), form, None)) == (
        "invalid_request",
        "refresh_token_missing",
    )


async def test_a_code_is_no_refresh_token_and_the_other_way_round(server: Server) -> None:
    code = await server.code(await server.consent())
    assert await told(server.refresh(code)) == ("invalid_grant", "refresh_unknown")
    answer = await server.redeem(code)
    assert await told(server.redeem(answer["refresh_token"])) == ("invalid_grant", "code_unknown")


async def test_the_scope_can_be_narrowed_and_never_widened(server: Server) -> None:
    """RFC 6749 §6."""
    code = await server.code(await server.consent(), scope="cdi:data-requests cdi:notices")
    refresh = (await server.redeem(code))["refresh_token"]
    assert (await server.refresh(refresh, scope="cdi:notices"))["scope"] == "cdi:notices"
    assert (await server.refresh(refresh))["scope"] == "cdi:data-requests cdi:notices"
    for wider in ("cdi:consents", "cdi:notices cdi:consents", "cdi:notices  cdi:data-requests", " ", "openid"):
        assert await told(server.refresh(refresh, scope=wider)) == ("invalid_scope", "scope")


async def test_what_the_client_may_no_longer_have_is_no_longer_given(server: Server) -> None:
    code = await server.code(await server.consent(), scope="cdi:data-requests cdi:notices")
    poorer = server.caller(scopes=frozenset({"cdi:data-requests"}))
    answer = await server.redeem(code, poorer)
    assert answer["scope"] == "cdi:data-requests"
    assert await told(server.refresh(answer["refresh_token"], poorer, scope="cdi:notices")) == (
        "invalid_scope",
        "scope",
    )
    nothing = server.caller(scopes=frozenset({"cdi:consents"}))
    assert await told(server.refresh(answer["refresh_token"], nothing)) == ("invalid_scope", "scope")


@pytest.mark.parametrize(
    ("status", "reason"),
    [
        (ConsentStatus.REVOKED, "grant_ended"),
        (ConsentStatus.EXPIRED, "grant_ended"),
        (ConsentStatus.CONSUMED, "consent"),
    ],
)
async def test_a_refresh_token_ends_with_its_consent(server: Server, status: ConsentStatus, reason: str) -> None:
    consent, answer = await server.granted()
    await server.changed(consent, status)
    assert await told(server.refresh(answer["refresh_token"])) == ("invalid_grant", reason)


async def test_a_refresh_token_ends_with_its_consents_time_without_anybody_sweeping(server: Server) -> None:
    _, answer = await server.granted(expire_time=NOW + 100)
    server.clock.advance(100)
    assert await told(server.refresh(answer["refresh_token"])) == ("invalid_grant", "grant_ended")
