"""The order of one verification: what is durable before what, and what becomes of it when something ends meanwhile."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import orjson
import pytest

from gateway.audit.record import Record
from gateway.core.consent import Grant
from gateway.core.merkle import leaf_hash
from gateway.core.model import ConsentStatus, ExchangeStatus, Outcome, Reason
from gateway.core.verification import Answer, Question, Silence
from gateway.errors import (
    AuditUnavailable,
    ConsentConsumed,
    ConsentExpired,
    ConsentNotFound,
    ConsentPending,
    ConsentScopeExceeded,
    IdempotencyConflict,
    Internal,
    Overloaded,
)
from gateway.exchange import steps
from tests import samples
from tests.fakes_flows import (
    ENOUGH,
    LONELY_SOURCE,
    OTHER_BANK,
    SILENCE,
    SOURCE,
    Gate,
    Killed,
    World,
    full_grant,
    open_world,
    request,
    view,
)
from tests.samples import BANK, NOW

PENDING_ON_CHAIN = Answer(outcome=Outcome.INDETERMINATE, reason=Reason.PENDING_ON_CHAIN, evidence=None, checked_at=NOW)


class TestOrder:
    async def test_a_match_writes_intent_and_outcome_and_delivers(self, world: World) -> None:
        consent = await world.consent(max_uses=2)
        exchange = await world.ask(consent, wait_seconds=ENOUGH)
        assert exchange.status is ExchangeStatus.SHARED
        assert exchange.verdict is not None
        assert exchange.verdict.outcome is Outcome.MATCH
        assert exchange.report is not None
        assert exchange.receipt is not None
        assert await world.types() == ["verification.intended", "verification.decided"]
        intended, decided = await world.entries()
        assert intended["request"] == decided["request"] == exchange.exchange_id
        assert (decided["outcome"], decided["attempts"], decided["evidence"]) == ("MATCH", 1, "evidence-1")
        assert await world.uses(consent) == (0, 1)
        assert world.seen.outcomes == ["MATCH"]

    async def test_the_intent_is_durable_before_the_platform_is_asked(self, world: World) -> None:
        seen: list[list[str]] = []

        async def look(_question: Question) -> None:
            seen.append(await world.types())

        world.platform.during = look
        await world.ask(await world.consent(), wait_seconds=ENOUGH)
        assert seen == [["verification.intended"]]

    async def test_the_outcome_is_durable_before_it_can_be_read(self, world: World) -> None:
        seen = []

        async def look(_records: object) -> None:
            (exchange,) = await world.store.exchanges(BANK, status=None, after=None, limit=2)
            seen.append((exchange.status, exchange.verdict, (await world.types())[-1]))

        world.audit.after = look
        await world.ask(await world.consent(max_uses=2), wait_seconds=ENOUGH)
        assert seen == [
            (ExchangeStatus.PENDING, None, "verification.intended"),
            (ExchangeStatus.PENDING, None, "verification.decided"),
        ]

    async def test_the_receipt_names_the_record_of_the_outcome_by_place_and_hash(self, world: World) -> None:
        exchange = await world.ask(await world.consent(), wait_seconds=ENOUGH)
        assert exchange.receipt is not None
        logged = exchange.receipt.logged
        (stored,) = [stored async for stored in world.log.read() if stored.index == logged.index]
        assert stored.entry is not None
        assert stored.leaf_hash == logged.leaf_hash == leaf_hash(stored.entry)
        entry = orjson.loads(stored.entry)
        assert (entry["type"], entry["id"]) == ("verification.decided", logged.record_id)
        assert entry["request"] == exchange.exchange_id

    @pytest.mark.parametrize("outcome", [outcome for outcome in Outcome if outcome.final])
    async def test_every_delivered_outcome_has_a_receipt(self, world: World, outcome: Outcome) -> None:
        world.platform.answer = Answer(outcome=outcome, reason=None, evidence=None, checked_at=NOW)
        exchange = await world.settled(await world.ask(await world.consent()))
        assert (exchange.receipt is not None) is (exchange.status is ExchangeStatus.SHARED)

    async def test_the_question_is_what_the_consent_covers_and_names_no_owner(self, world: World) -> None:
        consent = await world.consent()
        await world.ask(consent, wait_seconds=ENOUGH)
        (asked,) = world.platform.asked
        assert (asked.consent_hash_key, asked.consent_purpose) == (consent.hash_key, consent.purpose)
        assert (asked.document_type, asked.voucher) == (consent.scope.document_type, consent.scope.udr)
        assert consent.subject not in repr(asked)

    async def test_a_dead_audit_log_refuses_and_the_platform_is_not_asked(self, world: World) -> None:
        consent = await world.consent()
        world.audit.dead = True
        with pytest.raises(AuditUnavailable):
            await world.ask(consent, wait_seconds=ENOUGH)
        assert world.platform.asked == []
        assert await world.uses(consent) == (0, 0)

    async def test_an_intent_that_cannot_be_written_keeps_the_question_back(self, world: World) -> None:
        consent = await world.consent(max_uses=2)
        world.audit.refuses = 1
        with pytest.raises(AuditUnavailable):
            await world.ask(consent, wait_seconds=ENOUGH)
        assert world.platform.asked == []
        world.clock.advance(31)
        assert await world.verifications.resume_due(10) == 1
        assert await world.verifications.finish_running(ENOUGH)
        assert len(world.platform.asked) == 1
        assert await world.types() == ["verification.intended", "verification.decided"]

    async def test_an_outcome_that_cannot_be_recorded_is_not_delivered(self, world: World) -> None:
        consent = await world.consent()

        async def die(_question: Question) -> None:
            world.audit.dead = True

        world.platform.during = die
        with pytest.raises(AuditUnavailable):
            await world.ask(consent, wait_seconds=ENOUGH)
        (exchange,) = await world.store.exchanges(BANK, status=None, after=None, limit=2)
        assert (exchange.status, exchange.verdict, exchange.report) == (ExchangeStatus.PENDING, None, None)
        assert await world.uses(consent) == (1, 0)


class TestAcceptance:
    async def test_a_hundred_at_once_on_one_use_yield_exactly_one(self, world: World) -> None:
        consent = await world.consent(max_uses=1)
        results = await asyncio.gather(
            *(world.ask(consent, wait_seconds=ENOUGH) for _ in range(100)), return_exceptions=True
        )
        delivered = [item for item in results if not isinstance(item, BaseException)]
        assert [item.status for item in delivered] == [ExchangeStatus.SHARED]
        assert sum(isinstance(item, ConsentConsumed) for item in results) == 99
        assert len(world.platform.asked) == 1
        assert await world.uses(consent) == (0, 1)
        assert await world.types() == ["verification.intended", "verification.decided", "consent.consumed"]

    async def test_a_repeat_gets_the_same_exchange_and_asks_once(self, world: World) -> None:
        consent, key = await world.consent(), samples.idempotency()
        first = await world.ask(consent, key=key, wait_seconds=ENOUGH)
        again = await world.ask(consent, key=key, wait_seconds=ENOUGH)
        assert again == first
        assert len(world.platform.asked) == 1
        assert await world.uses(consent) == (0, 1)

    async def test_simultaneous_repeats_ask_once(self, world: World) -> None:
        consent, key = await world.consent(), samples.idempotency()
        results = await asyncio.gather(*(world.ask(consent, key=key, wait_seconds=ENOUGH) for _ in range(20)))
        assert len({item.exchange_id for item in results}) == 1
        assert {item.status for item in results} == {ExchangeStatus.SHARED}
        assert len(world.platform.asked) == 1

    async def test_the_same_key_with_another_body_is_a_conflict(self, world: World) -> None:
        consent, key = await world.consent(max_uses=2), samples.idempotency()
        await world.ask(consent, key=key, wait_seconds=ENOUGH)
        with pytest.raises(IdempotencyConflict):
            await world.ask(consent, key=replace(key, fingerprint="another"))
        assert await world.uses(consent) == (0, 1)

    async def test_an_approving_token_makes_the_submitted_consent_valid_with_the_request(self, world: World) -> None:
        consent = await world.consent(status=ConsentStatus.SUBMITTED, max_uses=2)
        exchange = await world.verifications.ask(
            world.caller(full_grant(consent)), request(consent), samples.idempotency(), wait_seconds=ENOUGH
        )
        assert exchange.status is ExchangeStatus.SHARED
        assert await world.types() == ["consent.validated", "verification.intended", "verification.decided"]
        assert [notice.type for notice in await world.told()] == ["CONSENT_VALID", "DATA_REQUEST_FINAL"]

    async def test_a_token_that_does_not_approve_leaves_the_consent_pending(self, world: World) -> None:
        consent = await world.consent(status=ConsentStatus.SUBMITTED)
        with pytest.raises(ConsentPending):
            await world.ask(consent)
        assert await world.uses(consent) == (0, 0)

    async def test_anothers_consent_does_not_exist_with_or_without_a_grant(self, world: World) -> None:
        consent = await world.consent()
        for grants in ((), (Grant(consent_id=consent.consent_id),)):
            with pytest.raises(ConsentNotFound):
                await world.verifications.ask(
                    world.caller(*grants, owner=OTHER_BANK), request(consent), samples.idempotency(), wait_seconds=0
                )
        assert world.platform.asked == []

    async def test_an_own_consent_that_the_token_does_not_name_is_beyond_it(self, world: World) -> None:
        consent = await world.consent()
        with pytest.raises(ConsentScopeExceeded):
            await world.verifications.ask(world.caller(), request(consent), samples.idempotency(), wait_seconds=0)

    async def test_the_consent_is_judged_when_the_request_is_accepted_not_when_it_arrived(self, world: World) -> None:
        consent = await world.consent()
        caller = world.caller(Grant(consent_id=consent.consent_id))
        world.clock.advance(consent.expire_time - NOW)  # while the body came
        with pytest.raises(ConsentExpired):
            await world.verifications.ask(caller, request(consent), samples.idempotency(), wait_seconds=0)

    async def test_a_source_without_platform_is_rejected_and_the_use_untouched(self, world: World) -> None:
        consent = await world.consent(provider_id=LONELY_SOURCE)
        exchange = await world.ask(consent)
        assert (exchange.status, exchange.reject_code) == (ExchangeStatus.REJECTED, steps.INVALID_SCOPE)
        assert await world.uses(consent) == (0, 0)
        assert world.platform.asked == []
        assert await world.types() == ["verification.refused"]


class TestNotFinal:
    async def test_silence_leaves_the_exchange_open(self, world: World) -> None:
        world.platform.answer = SILENCE
        consent = await world.consent()
        exchange = await world.settled(await world.ask(consent))
        assert exchange.status is ExchangeStatus.APPROVED
        assert exchange.verdict is not None
        assert (exchange.verdict.outcome, exchange.verdict.reason) == (Outcome.INDETERMINATE, Reason.TIMEOUT)
        assert await world.uses(consent) == (1, 0)
        assert await world.types() == ["verification.intended"]

    async def test_the_worker_asks_again_with_the_same_request_id_and_growing_pauses(self, world: World) -> None:
        world.platform.answer = PENDING_ON_CHAIN
        exchange = await world.settled(await world.ask(await world.consent()))
        pauses = []
        for _ in range(5):
            pauses.append(exchange.next_attempt_at - world.clock.now())
            assert await world.verifications.resume_due(10) == 0  # not before its time
            world.clock.advance(pauses[-1])
            assert await world.verifications.resume_due(10) == 1
            exchange = await world.settled(exchange)
        assert pauses == sorted(pauses)
        assert len(set(pauses)) == 5
        assert {question.request_id for question in world.platform.asked} == {exchange.request_id}
        assert (exchange.attempts, len(world.platform.asked)) == (6, 6)
        assert (await world.types()).count("verification.intended") == 1

    async def test_an_answer_at_a_later_try_is_delivered(self, world: World) -> None:
        world.platform.script.extend([SILENCE, PENDING_ON_CHAIN])
        consent = await world.consent()
        exchange = await world.settled(await world.ask(consent))
        for _ in range(2):
            world.clock.advance(exchange.next_attempt_at - world.clock.now())
            await world.verifications.resume_due(10)
            exchange = await world.settled(exchange)
        assert (exchange.status, exchange.attempts) == (ExchangeStatus.SHARED, 3)
        assert (await world.entries())[1]["attempts"] == 3
        assert await world.uses(consent) == (0, 1)

    async def test_at_the_deadline_it_gives_up_and_gives_the_use_back(self, world: World) -> None:
        world.platform.answer = SILENCE
        consent = await world.consent()
        exchange = await world.settled(await world.ask(consent))
        while exchange.status is ExchangeStatus.APPROVED:
            assert world.clock.now() < exchange.deadline_at
            world.clock.advance(exchange.next_attempt_at - world.clock.now())
            await world.verifications.resume_due(10)
            exchange = await world.settled(exchange)
        assert (exchange.status, exchange.reject_code) == (ExchangeStatus.REJECTED, steps.OTHERS)
        assert exchange.reject_detail == "TIMEOUT"
        assert exchange.attempts == len(world.platform.asked)
        assert world.clock.now() == exchange.deadline_at
        assert await world.uses(consent) == (0, 0)
        assert (await world.entries())[-1]["outcome"] == "INDETERMINATE"
        assert [notice.type for notice in await world.told()] == ["DATA_REQUEST_FINAL"]

    async def test_an_untrusted_answer_raises_the_alarm_and_says_nothing(self, world: World) -> None:
        world.platform.answer = Silence(reason=Reason.ANSWER_UNTRUSTED, alarm=True)
        exchange = await world.settled(await world.ask(await world.consent()))
        assert exchange.status is ExchangeStatus.APPROVED
        assert world.seen.alarms == ["ANSWER_UNTRUSTED"]

    async def test_a_source_that_is_suspended_meanwhile_ends_the_exchange(self, world: World) -> None:
        world.platform.answer = SILENCE
        consent = await world.consent()
        exchange = await world.settled(await world.ask(consent))
        source = world.roster.view.registry.by_id(SOURCE)
        assert source is not None
        world.roster.view = view(replace(source, active=False))
        world.clock.advance(5)
        await world.verifications.resume_due(10)
        assert (await world.settled(exchange)).reject_code == steps.INVALID_SCOPE
        assert await world.uses(consent) == (0, 0)


class TestEndedMeanwhile:
    async def test_a_consent_revoked_between_question_and_answer_lets_nothing_out(self, world: World) -> None:
        consent = await world.consent()

        async def revoke(_question: Question) -> None:
            await world.consents.revoke(world.caller(), consent.consent_id, "OTHER")

        world.platform.during = revoke
        exchange = await world.ask(consent, wait_seconds=ENOUGH)
        assert (exchange.status, exchange.reject_detail) == (ExchangeStatus.REJECTED, "CONSENT_REVOKED")
        assert (exchange.verdict, exchange.report) == (None, None)
        assert await world.uses(consent) == (0, 0)
        assert (await world.types())[-2:] == ["verification.decided", "verification.refused"]

    async def test_a_consent_that_expires_before_the_answer_lets_nothing_out(self, world: World) -> None:
        consent = await world.consent(expire_time=NOW + 10)

        async def linger(_question: Question) -> None:
            world.clock.advance(10)

        world.platform.during = linger
        exchange = await world.ask(consent, wait_seconds=ENOUGH)
        assert (exchange.status, exchange.reject_detail) == (ExchangeStatus.EXPIRED, "CONSENT_EXPIRED")
        assert (exchange.verdict, exchange.report) == (None, None)
        assert await world.uses(consent) == (0, 0)

    async def test_nothing_is_asked_again_once_the_consent_is_revoked(self, world: World) -> None:
        world.platform.answer = SILENCE
        consent = await world.consent()
        exchange = await world.settled(await world.ask(consent))
        await world.consents.revoke(world.caller(), consent.consent_id, "OTHER")
        world.clock.advance(5)
        await world.verifications.resume_due(10)
        exchange = await world.settled(exchange)
        assert (exchange.status, exchange.reject_detail) == (ExchangeStatus.REJECTED, "CONSENT_REVOKED")
        assert len(world.platform.asked) == 1

    async def test_a_cancellation_while_the_question_is_under_way_stands(self, world: World) -> None:
        consent = await world.consent()
        gate = Gate()
        world.platform.during = gate
        exchange = await world.ask(consent)
        await gate.reached.wait()
        await world.data_requests.cancel(world.caller(), exchange.exchange_id)
        gate.opened.set()
        exchange = await world.settled(exchange)
        assert (exchange.status, exchange.report) == (ExchangeStatus.CANCELLED, None)
        assert await world.uses(consent) == (0, 0)
        assert world.seen.failures == []


class TestWaiting:
    async def test_the_answer_waits_no_longer_than_it_was_told(self, world: World) -> None:
        gate = Gate()
        world.platform.during = gate
        exchange = await world.ask(await world.consent(), wait_seconds=0.01)
        assert exchange.status is ExchangeStatus.PENDING
        gate.opened.set()
        assert (await world.settled(exchange)).status is ExchangeStatus.SHARED

    async def test_time_that_the_question_took_is_not_waited_again(self, world: World) -> None:
        world.platform.answer = SILENCE

        async def linger(_question: Question) -> None:
            world.clock.advance(6)

        world.platform.during = linger
        assert (await world.ask(await world.consent(), wait_seconds=5)).status is ExchangeStatus.APPROVED

    async def test_a_client_that_goes_away_does_not_end_the_flow(self, world: World) -> None:
        gate = Gate()
        world.platform.during = gate
        consent = await world.consent()
        client = asyncio.create_task(world.ask(consent, wait_seconds=ENOUGH))
        await gate.reached.wait()
        client.cancel()
        gate.opened.set()
        assert await world.verifications.finish_running(ENOUGH)
        (exchange,) = await world.store.exchanges(BANK, status=None, after=None, limit=2)
        assert exchange.status is ExchangeStatus.SHARED
        assert await world.types() == ["verification.intended", "verification.decided", "consent.consumed"]

    async def test_draining_stops_what_does_not_end_and_leaves_it_to_the_next_process(self, world: World) -> None:
        world.platform.during = Gate()
        assert await world.verifications.finish_running(0.01)
        exchange = await world.ask(await world.consent())
        assert world.verifications.running == 1
        assert not await world.verifications.finish_running(0.01)
        assert await world.verifications.finish_running(ENOUGH)
        world.platform.during = None
        world.clock.advance(30)
        assert await world.verifications.resume_due(10) == 1
        assert (await world.settled(exchange)).status is ExchangeStatus.SHARED

    async def test_whoever_waits_when_draining_stops_it_gets_it_as_it_is(self, world: World) -> None:
        gate = Gate()
        world.platform.during = gate
        consent = await world.consent()
        async with asyncio.TaskGroup() as clients:
            waiting = clients.create_task(world.ask(consent, wait_seconds=ENOUGH))
            await gate.reached.wait()
            await world.verifications.finish_running(0.01)
        assert waiting.result().status is ExchangeStatus.PENDING


class TestLoad:
    async def test_too_many_at_once_are_refused_and_patient_ones_left_to_the_worker(self, tmp_path: Path) -> None:
        async with open_world(tmp_path, running_max=1) as world:
            gate = Gate()
            world.platform.during = gate
            consent = await world.consent(max_uses=5)
            first = await world.ask(consent)
            await gate.reached.wait()
            with pytest.raises(Overloaded) as refused:
                await world.ask(consent)
            assert refused.value.retry_after_seconds
            patient = await world.ask(consent, patient=True)
            assert patient.status is ExchangeStatus.PENDING
            assert await world.verifications.resume_due(10) == 0  # still full
            gate.opened.set()
            await world.settled(first)
            assert await world.verifications.resume_due(10) == 1
            assert (await world.settled(patient)).status is ExchangeStatus.SHARED
            assert await world.uses(consent) == (0, 2)

    async def test_an_exception_in_a_platform_leaves_the_exchange_open_and_the_others_alive(self, world: World) -> None:
        world.platform.script.append(RuntimeError("a bug"))
        consent = await world.consent(max_uses=2)
        with pytest.raises(Internal):
            await world.ask(consent, wait_seconds=ENOUGH)
        assert (await world.ask(consent, wait_seconds=ENOUGH)).status is ExchangeStatus.SHARED
        assert [type(error) for error in world.seen.failures] == [RuntimeError]
        (broken,) = await world.store.exchanges(BANK, status=ExchangeStatus.PENDING, after=None, limit=2)
        world.clock.advance(31)
        assert await world.verifications.resume_due(10) == 1
        assert (await world.settled(broken)).status is ExchangeStatus.SHARED
        assert [q.request_id for q in world.platform.asked].count(broken.request_id) == 2

    async def test_a_step_that_breaks_each_time_is_given_up_at_the_deadline(self, world: World) -> None:
        world.platform.answer = RuntimeError("a bug")
        consent = await world.consent()
        broken = await world.settled(await world.ask(consent))
        assert (broken.status, broken.attempts) == (ExchangeStatus.PENDING, 0)
        world.clock.advance(broken.deadline_at - world.clock.now())
        assert await world.verifications.resume_due(10) == 1
        ended = await world.settled(broken)
        assert (ended.status, ended.reject_code) == (ExchangeStatus.REJECTED, steps.OTHERS)
        assert ended.reject_detail == "TIMEOUT"
        assert await world.uses(consent) == (0, 0)
        assert await world.verifications.resume_due(10) == 0

    async def test_what_the_worker_has_started_is_not_started_again(self, world: World) -> None:
        gate = Gate()
        world.platform.during = gate

        async def the_lease_ends(records: Sequence[Record]) -> None:
            if records[0].type == "consent.validated":
                world.clock.advance(31)
                assert await world.verifications.resume_due(10) == 1

        world.audit.after = the_lease_ends
        consent = await world.consent(status=ConsentStatus.SUBMITTED)
        exchange = await world.verifications.ask(
            world.caller(full_grant(consent)), request(consent), samples.idempotency(), wait_seconds=0
        )
        await gate.reached.wait()
        gate.opened.set()
        assert (await world.settled(exchange)).status is ExchangeStatus.SHARED
        assert len(world.platform.asked) == 1

    async def test_a_dead_audit_log_takes_up_nothing(self, world: World) -> None:
        world.platform.answer = SILENCE
        await world.settled(await world.ask(await world.consent()))
        world.clock.advance(100)
        world.audit.dead = True
        assert await world.verifications.resume_due(10) == 0


class TestCrash:
    async def test_a_successor_asks_with_the_same_request_id_when_the_lease_has_ended(self, tmp_path: Path) -> None:
        async with open_world(tmp_path) as first:
            gate = Gate()
            first.platform.during = gate
            consent, key = await first.consent(), samples.idempotency()
            exchange = await first.ask(consent, key=key)
            await gate.reached.wait()
            raise Killed
        async with open_world(tmp_path, first.clock) as second:
            assert (await second.ask(consent, key=key)).exchange_id == exchange.exchange_id
            assert await second.verifications.resume_due(10) == 0  # the lease still holds
            second.clock.advance(30)
            assert await second.verifications.resume_due(10) == 1
            exchange = await second.settled(exchange)
            assert exchange.status is ExchangeStatus.SHARED
            asked = [*first.platform.asked, *second.platform.asked]
            assert [question.request_id for question in asked] == [exchange.request_id] * 2
            assert await second.uses(consent) == (0, 1)
            assert (await second.types())[:3] == ["verification.intended"] * 2 + ["verification.decided"]

    async def test_a_crash_behind_the_recorded_outcome_counts_the_use_once(self, tmp_path: Path) -> None:
        async with open_world(tmp_path) as first:
            gate = Gate()

            async def stop_behind_the_outcome(_records: object) -> None:
                if (await first.types())[-1] == "verification.decided":
                    await gate()

            first.audit.after = stop_behind_the_outcome
            consent = await first.consent()
            exchange = await first.ask(consent)
            await gate.reached.wait()
            raise Killed
        async with open_world(tmp_path, first.clock) as second:
            assert (await second.saved(exchange)).status is ExchangeStatus.PENDING
            assert await second.uses(consent) == (1, 0)
            second.clock.advance(30)
            await second.verifications.resume_due(10)
            assert (await second.settled(exchange)).status is ExchangeStatus.SHARED
            assert await second.uses(consent) == (0, 1)
            assert (await second.types()).count("verification.decided") == 2
            # The receipt names the record of the answer that was delivered, not the one that nobody got.
            receipt = (await second.saved(exchange)).receipt
            assert receipt is not None
            named = (await second.entries())[receipt.logged.index]
            assert (named["type"], named["id"]) == ("verification.decided", receipt.logged.record_id)
            assert "verification.decided" not in (await second.types())[receipt.logged.index + 1 :]
