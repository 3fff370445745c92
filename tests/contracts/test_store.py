"""The contract of `ports.Store`, on every database."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from dataclasses import replace

import pytest

from adapters.sql.store import SqlStore, open_store
from gateway.core.model import EVIDENCE_REVOKED, Consent, ConsentStatus, Exchange, ExchangeStatus, Outcome
from gateway.errors import (
    ConsentConsumed,
    ConsentNotFound,
    ConsentRevoked,
    IdempotencyConflict,
    StateConflict,
)
from gateway.oauth.grant import AuthCode
from gateway.ports import ConsentStep, ExchangeStep, NewNotice
from tests import samples
from tests.fakes import FakeSealer
from tests.samples import NOW

Opener = Callable[[str], AbstractAsyncContextManager[SqlStore]]


@pytest.fixture
def replica(database: str) -> Opener:
    """Another process's store on the same database, by its name."""
    return lambda owner: open_store(database, sealer=FakeSealer(), lease_owner=owner, queue_max=1_000, batch_max=64)


@pytest.fixture
async def store(replica: Opener) -> AsyncIterator[SqlStore]:
    async with replica("replica-1") as opened:
        yield opened


def notice(**changes: str) -> NewNotice:
    return NewNotice(**({"participant_id": samples.BANK, "type": "CONSENT_REVOKED", "time": NOW} | changes))  # type: ignore[arg-type]  # one of the changes is a time nowhere


async def submitted(store: SqlStore, **changes: object) -> Consent:
    return await store.submit(lambda _: ConsentStep(consent=samples.consent(**changes)), samples.idempotency())


def reserve(consent: Consent | None) -> ExchangeStep:
    """As the flow decides: a use must be free."""
    if consent is None:
        raise ConsentNotFound()
    if consent.used + consent.reserved >= consent.max_uses:
        raise ConsentConsumed()
    return ExchangeStep(exchange=samples.exchange(consent), consent=replace(consent, reserved=consent.reserved + 1))


async def accepted(store: SqlStore, consent: Consent | None = None, **changes: object) -> Exchange:
    consent = consent or await submitted(store)
    made = await store.accept(
        consent.consent_id,
        samples.idempotency(),
        lease_until=0.0,
        decide=lambda found: ExchangeStep(exchange=replace(reserve(found).exchange, **changes)),
    )
    return made.exchange


def shared(exchange: Exchange) -> ExchangeStep:
    return ExchangeStep(
        exchange=replace(
            exchange,
            status=ExchangeStatus.SHARED,
            verdict=samples.verdict(),
            report=samples.report(),
            receipt=samples.receipt(),
            response_id="r",
        )
    )


class TestConsents:
    async def test_submitted_consent_comes_back_as_it_was(self, store: SqlStore) -> None:
        consent = samples.consent(reserved=1, used=2, reject_code="ConsentRejectReasonInvalidScope", max_uses=9)
        assert await store.submit(lambda _: ConsentStep(consent=consent), samples.idempotency()) == consent
        assert await store.consent(consent.consent_id) == consent

    async def test_unknown_consent_is_none(self, store: SqlStore) -> None:
        assert await store.consent("nowhere") is None

    async def test_same_key_and_body_make_one_consent(self, store: SqlStore) -> None:
        key = samples.idempotency()

        def decide(_: AuthCode | None) -> ConsentStep:
            return ConsentStep(consent=samples.consent(), notices=(notice(),))

        made = await asyncio.gather(*(store.submit(decide, key) for _ in range(20)))
        again = await store.submit(decide, key)
        assert {consent.consent_id for consent in (*made, again)} == {made[0].consent_id}
        assert len(await store.consents(samples.BANK, status=None, after=None, limit=100)) == 1
        assert len(await store.notices(samples.BANK, after=0, limit=100)) == 1

    async def test_same_key_with_another_body_is_a_conflict(self, store: SqlStore) -> None:
        key = samples.idempotency()
        await store.submit(lambda _: ConsentStep(consent=samples.consent()), key)
        with pytest.raises(IdempotencyConflict):
            await store.submit(lambda _: ConsentStep(consent=samples.consent()), replace(key, fingerprint="other"))

    async def test_replicas_with_one_key_make_one_consent(self, store: SqlStore, replica: Opener) -> None:
        key = samples.idempotency()
        async with replica("replica-2") as other:
            made = await asyncio.gather(
                *(side.submit(lambda _: ConsentStep(consent=samples.consent()), key) for side in (store, other) * 10)
            )
        assert len({consent.consent_id for consent in made}) == 1

    async def test_change_is_kept_with_its_notices_and_records(self, store: SqlStore) -> None:
        consent = await submitted(store)
        record = samples.record(consent=None)
        changed = await store.change_consent(
            consent.consent_id,
            lambda found: ConsentStep(
                consent=replace(found, status=ConsentStatus.REVOKED, updated_at=NOW + 5),
                notices=(notice(consent_id=found.consent_id),),
                records=(record,),
            ),
        )
        assert changed == replace(consent, status=ConsentStatus.REVOKED, updated_at=NOW + 5)
        assert await store.consent(consent.consent_id) == changed
        assert [n.consent_id for n in await store.notices(samples.BANK, after=0, limit=9)] == [consent.consent_id]
        assert [waiting for _, waiting in await store.waiting(limit=9)] == [record]

    async def test_decision_of_none_keeps_the_consent(self, store: SqlStore) -> None:
        consent = await submitted(store)
        assert await store.change_consent(consent.consent_id, lambda _: None) == consent

    async def test_refused_decision_writes_nothing(self, store: SqlStore) -> None:
        consent = await submitted(store)

        def refuse(_: Consent) -> ConsentStep:
            raise ConsentRevoked()

        with pytest.raises(ConsentRevoked):
            await store.change_consent(consent.consent_id, refuse)
        assert await store.consent(consent.consent_id) == consent

    async def test_change_of_an_unknown_consent_is_refused(self, store: SqlStore) -> None:
        with pytest.raises(ConsentNotFound):
            await store.change_consent("nowhere", lambda _: None)

    async def test_simultaneous_changes_see_each_other(self, store: SqlStore, replica: Opener) -> None:
        consent = await submitted(store, max_uses=1_000)

        def count(found: Consent) -> ConsentStep:
            return ConsentStep(consent=replace(found, used=found.used + 1))

        async with replica("replica-2") as other:
            await asyncio.gather(*(side.change_consent(consent.consent_id, count) for side in (store, other) * 50))
        found = await store.consent(consent.consent_id)
        assert found is not None
        assert found.used == 100

    async def test_pages_follow_creation_and_show_own_consents_only(self, store: SqlStore) -> None:
        mine = [await submitted(store, created_at=NOW + index // 3) for index in reversed(range(10))]
        await submitted(store, consumer_id="BANKB01DC")
        expected = sorted(mine, key=lambda consent: (consent.created_at, consent.consent_id))
        seen: list[Consent] = []
        while page := await store.consents(
            samples.BANK, status=None, after=seen[-1].consent_id if seen else None, limit=3
        ):
            seen.extend(page)
        assert seen == expected

    async def test_page_behind_a_foreign_consent_is_empty(self, store: SqlStore) -> None:
        await submitted(store)
        foreign = await submitted(store, consumer_id="BANKB01DC", created_at=NOW - 100)
        assert not await store.consents(samples.BANK, status=None, after=foreign.consent_id, limit=3)

    async def test_page_by_status(self, store: SqlStore) -> None:
        await submitted(store)
        revoked = await submitted(store, status=ConsentStatus.REVOKED)
        assert await store.consents(samples.BANK, status=ConsentStatus.REVOKED, after=None, limit=3) == [revoked]

    async def test_only_open_consents_expire_oldest_first(self, store: SqlStore) -> None:
        late = await submitted(store, expire_time=NOW)
        early = await submitted(store, expire_time=NOW - 10, status=ConsentStatus.SUBMITTED)
        await submitted(store, expire_time=NOW - 10, status=ConsentStatus.REVOKED)
        await submitted(store, expire_time=NOW + 1)
        assert await store.expired_consents(now=NOW, limit=9) == [early.consent_id, late.consent_id]
        assert await store.expired_consents(now=NOW, limit=1) == [early.consent_id]

    async def test_counts_name_every_status(self, store: SqlStore) -> None:
        await submitted(store)
        await submitted(store, status=ConsentStatus.REVOKED)
        counts = await store.count_consents()
        assert set(counts) == set(ConsentStatus)
        assert (counts[ConsentStatus.VALID], counts[ConsentStatus.REVOKED], counts[ConsentStatus.EXPIRED]) == (1, 1, 0)


class TestAcceptance:
    async def test_accepted_exchange_comes_back_with_its_consent_changed(self, store: SqlStore) -> None:
        consent = await submitted(store)
        made = await store.accept(consent.consent_id, samples.idempotency(), lease_until=NOW + 30.0, decide=reserve)
        assert not made.replayed
        assert made.exchange.scope.udr == "voucher-1"
        assert await store.exchange(made.exchange.exchange_id) == made.exchange
        assert await store.consent(consent.consent_id) == replace(consent, reserved=1)

    async def test_one_use_is_given_once_to_a_hundred(self, store: SqlStore, replica: Opener) -> None:
        consent = await submitted(store, max_uses=1)
        async with replica("replica-2") as other:
            made = await asyncio.gather(
                *(
                    side.accept(consent.consent_id, samples.idempotency(), lease_until=0.0, decide=reserve)
                    for side in (store, other) * 50
                ),
                return_exceptions=True,
            )
        assert sum(not isinstance(one, BaseException) for one in made) == 1
        assert sum(isinstance(one, ConsentConsumed) for one in made) == 99
        found = await store.consent(consent.consent_id)
        assert found is not None
        assert found.reserved == 1
        assert len(await store.exchanges(samples.BANK, status=None, after=None, limit=100)) == 1

    async def test_replay_gives_the_exchange_as_it_is_now_and_decides_nothing(self, store: SqlStore) -> None:
        consent = await submitted(store)
        key = samples.idempotency()
        made = await store.accept(consent.consent_id, key, lease_until=0.0, decide=reserve)
        saved = await store.advance(made.exchange, lambda _: shared(made.exchange))
        again = await store.accept(consent.consent_id, key, lease_until=0.0, decide=reserve)
        assert again.replayed
        assert again.exchange == saved

    async def test_one_key_makes_one_exchange_on_all_replicas(self, store: SqlStore, replica: Opener) -> None:
        consent = await submitted(store, max_uses=1)
        key = samples.idempotency()
        async with replica("replica-2") as other:
            made = await asyncio.gather(
                *(side.accept(consent.consent_id, key, lease_until=0.0, decide=reserve) for side in (store, other) * 20)
            )
        assert len({one.exchange.exchange_id for one in made}) == 1
        assert sum(not one.replayed for one in made) == 1

    async def test_same_key_with_another_body_is_a_conflict(self, store: SqlStore) -> None:
        consent = await submitted(store, max_uses=9)
        key = samples.idempotency()
        await store.accept(consent.consent_id, key, lease_until=0.0, decide=reserve)
        with pytest.raises(IdempotencyConflict):
            await store.accept(consent.consent_id, replace(key, fingerprint="other"), lease_until=0.0, decide=reserve)

    async def test_unknown_consent_is_for_the_decision_to_refuse(self, store: SqlStore) -> None:
        with pytest.raises(ConsentNotFound):
            await store.accept("nowhere", samples.idempotency(), lease_until=0.0, decide=reserve)

    async def test_a_failing_decision_fails_nobody_else(self, store: SqlStore) -> None:
        consent = await submitted(store, max_uses=9)

        def broken(_: Consent | None) -> ExchangeStep:
            raise ZeroDivisionError

        made = await asyncio.gather(
            store.accept(consent.consent_id, samples.idempotency(), lease_until=0.0, decide=reserve),
            store.accept(consent.consent_id, samples.idempotency(), lease_until=0.0, decide=broken),
            store.accept(consent.consent_id, samples.idempotency(), lease_until=0.0, decide=reserve),
            return_exceptions=True,
        )
        assert [type(one).__name__ for one in made] == ["Accepted", "ZeroDivisionError", "Accepted"]


class TestAdvance:
    async def test_every_field_of_a_finished_exchange_comes_back(self, store: SqlStore) -> None:
        exchange = await accepted(store)
        done = replace(
            shared(exchange).exchange,
            attempts=3,
            reject_code="DataRequestRejectReasonOthers",
            reject_detail="TIMEOUT",
            next_attempt_at=NOW + 7.5,
            updated_at=NOW + 9,
        )
        saved = await store.advance(exchange, lambda _: ExchangeStep(exchange=done))
        assert saved == replace(done, version=2)
        assert await store.exchange(exchange.exchange_id) == saved

    async def test_consent_changes_with_the_exchange(self, store: SqlStore) -> None:
        consent = await submitted(store)
        made = await store.accept(consent.consent_id, samples.idempotency(), lease_until=0.0, decide=reserve)

        def commit(found: Consent | None) -> ExchangeStep:
            assert found is not None
            return replace(
                shared(made.exchange),
                consent=replace(found, reserved=0, used=1, status=ConsentStatus.CONSUMED),
                notices=(notice(exchange_id=made.exchange.exchange_id),),
            )

        await store.advance(made.exchange, commit)
        assert await store.consent(consent.consent_id) == replace(consent, used=1, status=ConsentStatus.CONSUMED)
        assert len(await store.notices(samples.BANK, after=0, limit=9)) == 1

    async def test_of_two_steps_from_one_version_one_wins(self, store: SqlStore, replica: Opener) -> None:
        exchange = await accepted(store)
        async with replica("replica-2") as other:
            steps = await asyncio.gather(
                *(
                    side.advance(exchange, lambda _: replace(shared(exchange), notices=(notice(),)))
                    for side in (store, other) * 10
                ),
                return_exceptions=True,
            )
        assert sum(isinstance(step, Exchange) for step in steps) == 1
        assert sum(isinstance(step, StateConflict) for step in steps) == 19
        assert len(await store.notices(samples.BANK, after=0, limit=99)) == 1

    async def test_pages_go_by_id_and_show_own_exchanges_only(self, store: SqlStore) -> None:
        consent = await submitted(store, max_uses=100)
        mine = [await accepted(store, consent) for _ in range(7)]
        await accepted(store, await submitted(store, consumer_id="BANKB01DC"))
        seen: list[Exchange] = []
        while page := await store.exchanges(
            samples.BANK, status=None, after=seen[-1].exchange_id if seen else None, limit=3
        ):
            seen.extend(page)
        assert seen == mine
        assert not await store.exchanges(samples.BANK, status=ExchangeStatus.SHARED, after=None, limit=3)

    async def test_delivered_matches_are_found_by_their_evidence(self, store: SqlStore) -> None:
        consent = await submitted(store, max_uses=100)
        matched = [await accepted(store, consent) for _ in range(3)]
        for exchange in matched:
            await store.advance(exchange, lambda _, exchange=exchange: shared(exchange))  # type: ignore[misc]  # mypy infers no default argument here
        negative = await accepted(store, consent)
        await store.advance(
            negative,
            lambda _: ExchangeStep(
                exchange=replace(shared(negative).exchange, verdict=samples.verdict(outcome=Outcome.REVOKED))
            ),
        )
        first = await store.relying_on("evidence-1", after=None, limit=2)
        rest = await store.relying_on("evidence-1", after=first[-1].exchange_id, limit=2)
        assert [exchange.exchange_id for exchange in (*first, *rest)] == [exchange.exchange_id for exchange in matched]
        assert not await store.relying_on("evidence-2", after=None, limit=2)

    async def test_who_was_told_of_a_revocation_relies_on_the_evidence_no_longer(self, store: SqlStore) -> None:
        consent = await submitted(store, max_uses=100)
        first, second = [await accepted(store, consent) for _ in range(2)]
        await store.advance(first, lambda _: shared(first))
        await store.advance(second, lambda _: shared(second))
        told = {"exchange_id": first.exchange_id, "evidence_id": "evidence-1"}
        await store.add_notices([notice(type="DATA_REQUEST_FINAL", **told)])
        assert len(await store.relying_on("evidence-1", after=None, limit=9)) == 2
        await store.add_notices([notice(type=EVIDENCE_REVOKED, **told)])
        [left] = await store.relying_on("evidence-1", after=None, limit=9)
        assert left.exchange_id == second.exchange_id

    async def test_open_exchanges_are_counted(self, store: SqlStore) -> None:
        consent = await submitted(store, max_uses=100)
        first = await accepted(store, consent)
        await accepted(store, consent)
        await store.advance(first, lambda _: shared(first))
        assert await store.count_open() == {ExchangeStatus.PENDING: 1, ExchangeStatus.APPROVED: 0}


class TestLeases:
    async def test_due_exchanges_are_claimed_most_overdue_first(self, store: SqlStore) -> None:
        consent = await submitted(store, max_uses=100)
        due = [await accepted(store, consent, next_attempt_at=NOW - seconds) for seconds in (1.0, 3.0, 2.0)]
        await accepted(store, consent, next_attempt_at=NOW + 0.5)
        claimed = await store.claim_due(now=NOW, lease_until=NOW + 30.0, limit=2)
        assert claimed == [due[1], due[2]]
        assert await store.claim_due(now=NOW, lease_until=NOW + 30.0, limit=2) == [due[0]]

    async def test_a_lease_holds_until_it_has_passed(self, store: SqlStore) -> None:
        exchange = await accepted(store, next_attempt_at=float(NOW))
        assert await store.claim_due(now=NOW, lease_until=NOW + 30.0, limit=9) == [exchange]
        assert not await store.claim_due(now=NOW + 29.9, lease_until=NOW + 60.0, limit=9)
        assert await store.claim_due(now=NOW + 30.0, lease_until=NOW + 60.0, limit=9) == [exchange]

    async def test_an_accepted_exchange_is_leased_by_its_process(self, store: SqlStore) -> None:
        consent = await submitted(store)
        await store.accept(consent.consent_id, samples.idempotency(), lease_until=NOW + 30.0, decide=reserve)
        assert not await store.claim_due(now=NOW + 10, lease_until=NOW + 40.0, limit=9)
        assert len(await store.claim_due(now=NOW + 30, lease_until=NOW + 60.0, limit=9)) == 1

    async def test_a_step_gives_the_lease_back(self, store: SqlStore) -> None:
        exchange = await accepted(store)
        [claimed] = await store.claim_due(now=NOW + 1, lease_until=NOW + 30.0, limit=9)
        later = replace(claimed, status=ExchangeStatus.APPROVED, next_attempt_at=NOW + 2.0)
        await store.advance(exchange, lambda _: ExchangeStep(exchange=later))
        assert len(await store.claim_due(now=NOW + 2, lease_until=NOW + 30.0, limit=9)) == 1

    async def test_finished_exchanges_are_never_due(self, store: SqlStore) -> None:
        exchange = await accepted(store, next_attempt_at=0.0)
        await store.advance(exchange, lambda _: shared(exchange))
        assert not await store.claim_due(now=NOW + 99, lease_until=NOW + 130.0, limit=9)

    async def test_two_claimers_never_get_the_same_exchange(self, store: SqlStore, replica: Opener) -> None:
        consent = await submitted(store, max_uses=1_000)
        due = {(await accepted(store, consent)).exchange_id for _ in range(40)}
        async with replica("replica-2") as other:
            claims = await asyncio.gather(
                *(side.claim_due(now=NOW + 1, lease_until=NOW + 30.0, limit=3) for side in (store, other) * 10)
            )
        claimed = [exchange.exchange_id for claim in claims for exchange in claim]
        assert len(claimed) == len(set(claimed))
        assert set(claimed) <= due
        rest = await store.claim_due(now=NOW + 1, lease_until=NOW + 30.0, limit=99)
        assert {*claimed, *(exchange.exchange_id for exchange in rest)} == due


class TestNotices:
    async def test_a_reader_behind_the_last_sequence_misses_none(self, store: SqlStore, replica: Opener) -> None:
        seen: list[int] = []

        async def read(side: SqlStore, wanted: int) -> None:
            while len(seen) < wanted:
                page = await side.notices(samples.BANK, after=seen[-1] if seen else 0, limit=7)
                seen.extend(notice.sequence for notice in page)

        async with replica("replica-2") as other, asyncio.timeout(60):
            await asyncio.gather(
                read(other, 120), *(side.add_notices([notice(), notice()]) for side in (store, other) * 30)
            )
        assert seen == sorted(set(seen))

    async def test_notices_are_for_their_participant(self, store: SqlStore) -> None:
        await store.add_notices([notice(), notice(participant_id="BANKB01DC", detail="REVOKED", evidence_id="e")])
        [found] = await store.notices("BANKB01DC", after=0, limit=9)
        assert (found.detail, found.evidence_id, found.time) == ("REVOKED", "e", NOW)
        assert not await store.notices("BANKB01DC", after=found.sequence, limit=9)


class TestOutbox:
    async def test_records_wait_in_order_until_they_are_removed(self, store: SqlStore) -> None:
        records = [samples.record(consent=samples.consent(scope=samples.scope(udr=None))) for _ in range(5)]
        await store.add_notices((), records)
        waiting = await store.waiting(limit=3)
        assert [record for _, record in waiting] == records[:3]
        assert await store.waiting(limit=3) == waiting
        await store.remove([row for row, _ in waiting])
        assert [record for _, record in await store.waiting(limit=9)] == records[3:]

    async def test_a_row_number_is_never_given_twice(self, store: SqlStore) -> None:
        await store.add_notices((), [samples.record()])
        [(first, _)] = await store.waiting(limit=9)
        await store.remove([first])
        await store.add_notices((), [samples.record()])
        await store.remove([first])  # another process that had read it too
        [(second, _)] = await store.waiting(limit=9)
        assert second > first

    async def test_a_voucher_never_waits_in_the_outbox(self, store: SqlStore) -> None:
        await store.add_notices((), [samples.record()])
        [(_, record)] = await store.waiting(limit=9)
        assert record.consent is not None
        assert record.consent.scope.udr is None


async def test_closing_finishes_what_waits(replica: Opener) -> None:
    async with AsyncExitStack() as stack:
        store = await stack.enter_async_context(replica("replica-1"))
        waiting = [asyncio.ensure_future(store.add_notices([notice()])) for _ in range(50)]
        await asyncio.sleep(0)
        await stack.aclose()
        await asyncio.gather(*waiting)
    async with replica("replica-1") as again:
        assert len(await again.notices(samples.BANK, after=0, limit=99)) == 50
