"""Authorizations in which something ended, was taken away, or crashed between two steps."""

from __future__ import annotations

from collections.abc import Awaitable
from dataclasses import replace

import pytest

from gateway.authorization.handles import kept
from gateway.authorization.interactions import Decide, Gone
from gateway.core.model import ConsentStatus
from gateway.errors import AuditUnavailable, UpstreamUnavailable
from gateway.oauth.grant import Ended
from tests.fakes_authorization import (
    CLIENTS,
    Server,
    answer_of,
    refused,
)
from tests.fakes_flows import participant
from tests.oauth_clients import CLIENT
from tests.samples import BANK, NOW


class Crash(Exception):
    """The process ends here."""


# --- what ended in the meantime ------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [ConsentStatus.REVOKED, ConsentStatus.EXPIRED, ConsentStatus.CONSUMED])
async def test_a_consent_that_ended_sends_the_browser_back(server: Server, status: ConsentStatus) -> None:
    consent = await server.consent()
    handle = await server.pushed(consent)
    await server.changed(consent, status)
    found = answer_of(await server.interactions.view(handle, server.session()))
    assert found["error"] == "access_denied"
    assert await server.interactions.view(handle, server.session()) == Gone()
    (entry,) = await server.entries("token.refused")
    assert (entry["reason"], entry["facts"]) == (
        "CONSENT_ENDED",
        {"error": "access_denied", "endpoint": "authorize"},
    )


async def test_a_consent_whose_time_passed_gives_no_code(server: Server) -> None:
    consent = await server.consent(expire_time=NOW + 10)
    handle = await server.pushed(consent)
    server.clock.advance(10)
    assert answer_of(await server.decided(handle))["error"] == "access_denied"
    assert await server.status(consent) is ConsentStatus.SUBMITTED


async def test_a_consent_that_ends_while_the_form_is_on_its_way_gives_no_code(server: Server) -> None:
    consent = await server.consent()
    handle = await server.pushed(consent)

    async def seen() -> None:  # the request is read once for what is shown, and again for the decision
        server.state.before["pushed"] = lambda: server.changed(consent, ConsentStatus.REVOKED)

    server.state.before["pushed"] = seen
    assert answer_of(await server.decided(handle))["error"] == "access_denied"
    assert await server.status(consent) is ConsentStatus.REVOKED


async def test_a_revocation_between_approval_and_code_ends_the_grant_before_it_begins(server: Server) -> None:
    consent = await server.consent()
    handle = await server.pushed(consent)
    server.state.before["take"] = lambda: server.changed(consent, ConsentStatus.REVOKED)
    code = answer_of(await server.decided(handle))["code"]
    grant = await server.state.by_code(kept(code), lambda _, __: None)
    assert grant.ended is Ended.CONSENT_REVOKED
    assert (await refused(server.redeem(code))).reason == "code_expired"


# --- reload --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["client", "redirect_uri", "participant"])
async def test_what_a_reload_took_away_is_gone_at_once(server: Server, kind: str) -> None:
    consent = await server.consent()
    handle = await server.pushed(consent)
    if kind == "client":
        server.use([client for client in CLIENTS if client.client_id != CLIENT])
    elif kind == "redirect_uri":
        server.use([replace(client, redirect_uris=("https://bank-a.example/new",)) for client in CLIENTS])
    else:
        registry = server.world.roster.view.registry
        known = {one.participant_id: one for one in registry} | {BANK: participant(BANK, active=False)}
        server.use(CLIENTS, registry=type(registry)(known.values()))
    assert await server.interactions.view(handle, server.session()) == Gone()
    assert await server.decided(handle) == Gone()
    assert await server.interactions.unmet(handle) == Gone()
    assert await server.status(consent) is ConsentStatus.SUBMITTED


# --- crashes and outages -------------------------------------------------------------------------------------------


async def crashed(work: Awaitable[object]) -> None:
    with pytest.raises(Crash):
        await work


async def test_without_a_log_nothing_is_decided(server: Server) -> None:
    consent = await server.consent()
    handle = await server.pushed(consent)
    server.audit.dead = True
    for approve in (True, False):
        with pytest.raises(AuditUnavailable):
            await server.decided(handle, approve=approve)
    assert await server.status(consent) is ConsentStatus.SUBMITTED
    server.audit.dead = False
    assert "code" in answer_of(await server.decided(handle))


async def test_a_log_that_refuses_the_approval_gives_no_code_until_the_form_comes_again(server: Server) -> None:
    consent = await server.consent()
    handle = await server.pushed(consent)
    server.audit.refuses = 1
    with pytest.raises(AuditUnavailable):
        await server.decided(handle)
    assert await server.status(consent) is ConsentStatus.VALID  # durable, and its record waits in the outbox
    assert "code" in answer_of(await server.decided(handle))
    assert [entry["type"] for entry in await server.entries()] == ["consent.validated", "consent.continued"]


async def test_a_crash_behind_the_approval_leaves_a_valid_consent_and_the_bank_goes_on(server: Server) -> None:
    consent = await server.consent()
    handle = await server.pushed(consent)
    server.state.before["take"] = Crash()
    await crashed(server.decided(handle))
    assert await server.status(consent) is ConsentStatus.VALID
    found = await server.interactions.view(await server.pushed(consent), server.session())
    assert isinstance(found, Decide)
    assert found.approved


async def test_a_crash_behind_the_grant_leaves_a_code_that_nobody_has(server: Server) -> None:
    consent = await server.consent()
    handle = await server.pushed(consent)
    server.state.after["take"] = Crash()
    await crashed(server.decided(handle))
    assert await server.decided(handle) == Gone()
    assert "code" in answer_of(await server.decided(await server.pushed(consent)))


async def test_a_crash_between_the_two_halves_of_a_no_approves_nothing(server: Server) -> None:
    consent = await server.consent()
    handle = await server.pushed(consent)
    server.state.after["take"] = Crash()
    await crashed(server.decided(handle, approve=False))
    assert await server.status(consent) is ConsentStatus.SUBMITTED
    assert await server.decided(handle) == Gone()


async def test_a_database_that_is_away_is_no_decision(server: Server) -> None:
    consent = await server.consent()
    handle = await server.pushed(consent)
    server.state.before["pushed"] = UpstreamUnavailable()
    with pytest.raises(UpstreamUnavailable):
        await server.decided(handle)
    assert await server.status(consent) is ConsentStatus.SUBMITTED
