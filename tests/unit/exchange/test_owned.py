"""What a data owner decides about a consent of theirs, and an operator on somebody's behalf."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from gateway.audit.record import Actor
from gateway.core.model import Approval, Consent, ConsentStatus
from gateway.errors import (
    AuditUnavailable,
    ConsentExpired,
    ConsentNotFound,
    ConsentRevoked,
    NotFound,
    StateConflict,
)
from gateway.exchange.liveness import LOOK_SECONDS, Liveness
from tests.fakes_flows import INTERACTION, World, full_grant, token
from tests.samples import BANK, NOW

ME, SOMEBODY = "b" * 64, "c" * 64
OPERATOR = Actor(participant="HKGATEWAY01", role="operator", client="alice")

Act = Callable[[World, str, str], Awaitable[Consent]]


async def approve(world: World, consent_id: str, subject: str = ME) -> Consent:
    return await world.owned.approve(consent_id, subject, interaction=INTERACTION)


async def decline(world: World, consent_id: str, subject: str = ME) -> Consent:
    return await world.owned.decline(consent_id, subject, interaction=INTERACTION)


async def revoke(world: World, consent_id: str, subject: str = ME) -> Consent:
    return await world.owned.revoke(consent_id, subject, "CUSTOMER_REQUEST", interaction=INTERACTION)


ACTS = pytest.mark.parametrize("act", [approve, decline, revoke])


async def submitted(world: World, **changes: Any) -> Consent:
    return await world.consent(status=ConsentStatus.SUBMITTED, subject=ME, **changes)


async def saved(world: World, consent: Consent) -> Consent:
    found = await world.store.consent(consent.consent_id)
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("act", "status", "record", "reason"),
    [
        (approve, ConsentStatus.VALID, "consent.validated", None),
        (decline, ConsentStatus.REJECTED, "consent.rejected", "ConsentRejectReasonOthers"),
        (revoke, ConsentStatus.REVOKED, "consent.revoked", "CUSTOMER_REQUEST"),
    ],
)
async def test_the_owners_decision_is_kept_told_and_on_record(
    world: World, act: Act, *, status: ConsentStatus, record: str, reason: str | None
) -> None:
    consent = await submitted(world)
    world.clock.advance(5)
    decided = await act(world, consent.consent_id, ME)
    assert decided == await saved(world, consent)
    assert (decided.status, decided.updated_at) == (status, NOW + 5)
    (entry,) = await world.entries()
    assert (entry["type"], entry["actor"], entry["interaction"], entry["subject"], entry.get("reason")) == (
        record,
        {"participant": "OWNER", "role": "owner"},
        INTERACTION,
        ME,
        reason,
    )
    assert [(notice.participant_id, notice.consent_id, notice.detail) for notice in await world.told()] == [
        (BANK, consent.consent_id, reason)
    ]


async def test_an_approval_on_the_page_says_so(world: World) -> None:
    consent = await submitted(world)
    assert (await approve(world, consent.consent_id)).approval is Approval.PAGE


@ACTS
async def test_somebody_elses_consent_does_not_exist(world: World, act: Act) -> None:
    consent = await submitted(world)
    for missing in (consent.consent_id, "no-such-consent"):
        with pytest.raises(NotFound):
            await act(world, missing, SOMEBODY)
    with pytest.raises(NotFound):
        await world.owned.read(consent.consent_id, SOMEBODY)
    assert await saved(world, consent) == await world.owned.read(consent.consent_id, ME) == consent
    assert (await world.entries(), await world.told()) == ([], [])


@pytest.mark.parametrize("status", [ConsentStatus.VALID, ConsentStatus.REJECTED, ConsentStatus.REVOKED])
@pytest.mark.parametrize("act", [approve, decline])
async def test_what_was_decided_is_not_decided_again(world: World, act: Act, status: ConsentStatus) -> None:
    consent = await world.consent(status=status, subject=ME)
    with pytest.raises(StateConflict):
        await act(world, consent.consent_id, ME)
    assert (await world.entries(), await world.told()) == ([], [])


async def test_a_consent_whose_time_has_passed_is_not_approved(world: World) -> None:
    consent = await submitted(world, expire_time=NOW + 10)
    world.clock.advance(10)
    with pytest.raises(ConsentExpired):
        await approve(world, consent.consent_id)
    assert await saved(world, consent) == consent


async def test_a_valid_consent_is_taken_back_once(world: World) -> None:
    consent = await world.consent(subject=ME)
    await revoke(world, consent.consent_id)
    with pytest.raises(StateConflict):
        await revoke(world, consent.consent_id)
    assert await world.types() == ["consent.revoked"]


async def test_tokens_end_with_the_consent_here_and_on_every_replica(world: World) -> None:
    consent = await world.consent(subject=ME)
    believed = token(grants=(full_grant(consent),))
    elsewhere = Liveness(revocations=world.state, clock=world.clock)
    for replica in (world.liveness, elsewhere):
        await replica.check(believed)
    await revoke(world, consent.consent_id)
    with pytest.raises(ConsentRevoked):
        await world.liveness.check(believed)
    world.clock.advance(LOOK_SECONDS)
    with pytest.raises(ConsentRevoked):
        await elsewhere.check(believed)


async def test_an_operator_ends_a_consent_in_their_own_name(world: World) -> None:
    consent = await world.consent(subject=ME)
    assert (await world.owned.revoke_as(OPERATOR, consent.consent_id, "LEGAL_ORDER")).status is ConsentStatus.REVOKED
    (entry,) = await world.entries()
    assert (entry["actor"]["client"], entry["actor"]["role"], entry["reason"]) == ("alice", "operator", "LEGAL_ORDER")
    assert [notice.detail for notice in await world.told()] == ["LEGAL_ORDER"]
    with pytest.raises(ConsentNotFound):
        await world.owned.revoke_as(OPERATOR, "no-such-consent", "LEGAL_ORDER")


@ACTS
async def test_without_audit_log_nothing_is_decided(world: World, act: Act) -> None:
    consent = await submitted(world)
    world.audit.dead = True
    with pytest.raises(AuditUnavailable):
        await act(world, consent.consent_id, ME)
    assert await saved(world, consent) == consent


@ACTS
async def test_a_record_that_did_not_reach_the_log_follows_with_the_next_flush(world: World, act: Act) -> None:
    consent = await submitted(world)
    world.audit.refuses = 1
    with pytest.raises(AuditUnavailable):
        await act(world, consent.consent_id, ME)
    assert (await saved(world, consent)).status is not ConsentStatus.SUBMITTED
    assert await world.types() == []
    await world.recorder.flush()
    assert len(await world.types()) == 1


async def test_a_revocation_counts_at_once_though_its_record_is_late(world: World) -> None:
    consent = await world.consent(subject=ME)
    await world.liveness.check(token(grants=(full_grant(consent),)))
    world.audit.refuses = 1
    with pytest.raises(AuditUnavailable):
        await revoke(world, consent.consent_id)
    with pytest.raises(ConsentRevoked):
        await world.liveness.check(token(grants=(full_grant(consent),)))
