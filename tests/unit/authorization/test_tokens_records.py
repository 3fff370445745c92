"""What of the token endpoint is on record, and what is durable when it crashes."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.authorization.handles import kept
from gateway.core.model import Approval, Consent, ConsentStatus
from gateway.errors import AuditUnavailable, UpstreamUnavailable
from gateway.ports import GrantStep
from tests import oauth_samples
from tests.fakes_authorization import (
    Server,
    claims_of,
    holds_none,
    open_server,
    refused,
    told,
)
from tests.oauth_clients import CLIENT, ISSUER, VERIFIER, details
from tests.samples import BANK

JKT = "j" * 43


class Crash(Exception):
    """The process ends here."""


async def by_auth_code(server: Server, **changes: Any) -> Consent:
    return await server.consent(**({"status": ConsentStatus.VALID, "approval": Approval.AUTH_CODE} | changes))


async def token_for(server: Server, consent_id: str, *, client_id: str = CLIENT, **changes: Any) -> dict[str, Any]:
    return await server.machine(
        "cdi:data-requests", server.caller(client_id), authorization_details=details(consent_id), **changes
    )


# --- what is on record, and when -----------------------------------------------------------------------------------


async def test_every_issue_is_on_record_before_it_is_told(server: Server) -> None:
    consent, answer = await server.granted()
    again = await server.refresh(answer["refresh_token"])
    machine = await server.machine("cdi:consents", jkt=JKT)
    entries = [entry for entry in await server.world.entries() if entry["type"] == "token.issued"]  # not flushed
    assert [entry["facts"]["grantType"] for entry in entries] == [
        "authorization_code",
        "refresh_token",
        "client_credentials",
    ]
    assert [entry["facts"]["binding"] for entry in entries] == ["mtls", "mtls", "dpop"]
    issued = [claims_of(one["access_token"])["jti"] for one in (answer, again, machine)]
    assert [entry["facts"]["token"] for entry in entries] == issued
    first = entries[0]
    assert (first["actor"]["client"], first["actor"]["participant"]) == (CLIENT, BANK)
    assert (first["consent"]["id"], first["facts"]["grant"]) == (consent.consent_id, answer["grant_id"])


async def test_no_secret_is_on_record(server: Server) -> None:
    consent = await server.consent()
    code = await server.code(consent)
    answer = await server.redeem(code)
    await server.refresh(answer["refresh_token"])
    await refused(server.redeem(code))
    secrets = (code, kept(code), answer["access_token"], answer["refresh_token"], VERIFIER, JKT, "owner-7")
    assert holds_none(await server.entries(), *secrets, answer["access_token"].split(".")[2])


async def test_without_a_log_no_token_is_given_and_no_code_used_up(server: Server) -> None:
    code = await server.code(await server.consent())
    server.audit.dead = True
    for attempt in (server.redeem(code), server.refresh("x"), server.machine("cdi:consents")):
        with pytest.raises(AuditUnavailable):
            await attempt
    server.audit.dead = False
    assert await server.redeem(code)


@pytest.mark.parametrize("kind", ["refresh", "machine", "auth_code"])
async def test_a_log_that_refuses_the_record_gives_no_token(server: Server, kind: str) -> None:
    refresh = (await server.redeem(await server.code(await server.consent())))["refresh_token"]
    approved = await by_auth_code(server)
    server.audit.refuses = 1
    attempts = {
        "refresh": lambda: server.refresh(refresh),
        "machine": lambda: server.machine("cdi:consents"),
        "auth_code": lambda: token_for(server, approved.consent_id),
    }
    with pytest.raises(AuditUnavailable):
        await attempts[kind]()


async def test_a_log_that_refuses_for_a_moment_costs_nobody_their_code(server: Server) -> None:
    """The record was committed with the code, and the worker brings it into the log."""
    code = await server.code(await server.consent())
    server.audit.refuses = 1
    assert (await server.redeem(code))["access_token"]
    assert "token.issued" in [entry["type"] for entry in await server.entries()]


async def test_a_crash_behind_the_redemption_loses_no_record_and_gives_no_second_token(server: Server) -> None:
    """The token's record was committed with the code: it reaches the log although the process died."""
    code = await server.code(await server.consent())
    server.state.after["by_code"] = Crash()
    with pytest.raises(Crash):
        await server.redeem(code)
    assert await told(server.redeem(code)) == ("invalid_grant", "code_reused")
    types = [entry["type"] for entry in await server.entries("token.issued", "token.revoked")]
    assert types == ["token.issued", "token.revoked"]


async def test_a_crash_before_the_redemption_leaves_the_code(server: Server) -> None:
    code = await server.code(await server.consent())
    server.state.before["by_code"] = Crash()
    with pytest.raises(Crash):
        await server.redeem(code)
    assert await server.redeem(code)


async def test_a_redeemed_code_stays_redeemed_in_the_next_process(server: Server, tmp_path: Any) -> None:
    consent = await server.consent()
    code = await server.code(consent)
    answer = await server.redeem(code)
    async with open_server(tmp_path, server.clock) as successor:
        assert await told(successor.redeem(code)) == ("invalid_grant", "code_reused")
        assert not await successor.alive(answer["access_token"])


async def test_a_database_that_is_away_is_no_verdict_on_a_code(server: Server) -> None:
    code = await server.code(await server.consent())
    server.state.before["by_code"] = UpstreamUnavailable()
    with pytest.raises(UpstreamUnavailable):
        await server.redeem(code)
    assert await server.redeem(code)


async def test_a_grant_without_a_challenge_has_no_code(server: Server) -> None:
    """Nothing that came to be without PKCE is redeemed, however it came to be."""
    consent = await server.consent(status=ConsentStatus.VALID)
    bare = oauth_samples.grant(consent, code_challenge=None, code_hash=kept("known"), dpop_jkt=None)
    await server.state.add_grant(GrantStep(grant=bare))
    assert await told(server.redeem("known", redirect_uri=bare.redirect_uri)) == ("invalid_grant", "code_verifier")


async def test_the_issuer_is_this_server(server: Server) -> None:
    _, answer = await server.granted()
    assert claims_of(answer["access_token"])["iss"] == ISSUER
