"""What each step of an exchange makes of it, of its consent's uses, and of what is told."""

from __future__ import annotations

from dataclasses import replace

import pytest

from gateway.audit.record import Actor
from gateway.core.model import (
    Consent,
    ConsentStatus,
    Exchange,
    ExchangeStatus,
    Outcome,
    Reason,
    Report,
    Verdict,
)
from gateway.errors import ConsentExpired, ConsentRevoked, StateConflict
from gateway.exchange import steps
from gateway.ports import ExchangeStep
from tests import samples

NOW = float(samples.NOW)
CONSENT = samples.consent(max_uses=2, reserved=1, expire_time=int(NOW) + 1000)
EXCHANGE = samples.exchange(CONSENT, request_id="r-1", deadline_at=int(NOW) + 600, next_attempt_at=NOW)
MATCH = Verdict(outcome=Outcome.MATCH, checked_at=int(NOW))
PENDING = Verdict(outcome=Outcome.INDETERMINATE, reason=Reason.PENDING_ON_CHAIN, checked_at=int(NOW))
REPORT = Report(name="r.jws", jws="a.b.c", sha256="e" * 64, key_id="k")
RECEIPT = samples.receipt()


def deliver(consent: Consent | None, exchange: Exchange = EXCHANGE) -> ExchangeStep:
    return steps.deliver(exchange, consent, verdict=MATCH, report=REPORT, receipt=RECEIPT, response_id="d-1", now=NOW)


def test_a_delivered_outcome_commits_the_use_and_tells_the_bank() -> None:
    step = deliver(CONSENT)
    assert step.exchange.status is ExchangeStatus.SHARED
    assert (step.exchange.verdict, step.exchange.report, step.exchange.attempts) == (MATCH, REPORT, 1)
    assert step.exchange.receipt == RECEIPT
    assert step.consent is not None
    assert (step.consent.reserved, step.consent.used, step.consent.status) == (0, 1, ConsentStatus.VALID)
    assert [notice.type for notice in step.notices] == ["DATA_REQUEST_FINAL"]


def test_the_last_use_consumes_the_consent_with_notice_and_record() -> None:
    step = deliver(replace(CONSENT, used=1))
    assert step.consent is not None
    assert (step.consent.status, step.consent.used) == (ConsentStatus.CONSUMED, 2)
    assert [notice.type for notice in step.notices] == ["DATA_REQUEST_FINAL", "CONSENT_CONSUMED"]
    assert [record.type for record in step.records] == ["consent.consumed"]


@pytest.mark.parametrize(
    ("consent", "status", "detail"),
    [
        (replace(CONSENT, status=ConsentStatus.REVOKED), ExchangeStatus.REJECTED, "CONSENT_REVOKED"),
        (replace(CONSENT, expire_time=int(NOW)), ExchangeStatus.EXPIRED, "CONSENT_EXPIRED"),
    ],
)
def test_a_consent_that_ended_lets_no_outcome_out(consent: Consent, status: ExchangeStatus, detail: str) -> None:
    step = deliver(consent)
    assert (step.exchange.status, step.exchange.verdict, step.exchange.report) == (status, None, None)
    assert (step.exchange.reject_code, step.exchange.reject_detail) == (steps.INVALID_CONSENT, detail)
    assert step.consent is not None
    assert (step.consent.reserved, step.consent.used) == (0, 0)
    assert [record.type for record in step.records] == ["verification.refused"]


def test_an_answer_that_is_not_final_leaves_the_exchange_open_and_due_again() -> None:
    step = steps.ask_again(EXCHANGE, PENDING, pause_seconds=5, now=NOW)
    assert (step.exchange.status, step.exchange.next_attempt_at) == (ExchangeStatus.APPROVED, NOW + 5)
    assert (step.exchange.request_id, step.exchange.attempts, step.consent) == ("r-1", 1, None)


def test_the_next_try_is_not_after_the_deadline() -> None:
    step = steps.ask_again(EXCHANGE, PENDING, pause_seconds=10_000, now=NOW)
    assert step.exchange.next_attempt_at == EXCHANGE.deadline_at


def test_giving_up_returns_the_use_and_is_not_a_negative_outcome() -> None:
    step = steps.give_up(EXCHANGE, CONSENT, PENDING, NOW)
    assert (step.exchange.status, step.exchange.reject_code) == (ExchangeStatus.REJECTED, steps.OTHERS)
    assert step.exchange.reject_detail == "PENDING_ON_CHAIN"
    assert step.consent is not None
    assert (step.consent.reserved, step.consent.used) == (0, 0)
    assert step.records[0].outcome == "INDETERMINATE"


def test_cancelling_returns_the_use() -> None:
    who = Actor(participant="BANKA01DC", role="bank")
    step = steps.cancel(EXCHANGE, CONSENT, actor=who, now=NOW)
    assert step.exchange.status is ExchangeStatus.CANCELLED
    assert step.consent is not None
    assert step.consent.reserved == 0
    assert (step.records[0].type, step.records[0].reason) == ("verification.refused", "CANCELLED")


def test_a_final_exchange_takes_no_further_step() -> None:
    shared = deliver(CONSENT).exchange
    who = Actor(participant="BANKA01DC", role="bank")
    for step in (
        lambda: steps.cancel(shared, CONSENT, actor=who, now=NOW),
        lambda: deliver(CONSENT, shared),
        lambda: steps.refuse_consent(shared, CONSENT, ConsentRevoked(), NOW),
        lambda: steps.not_served(shared, CONSENT, NOW),
    ):
        with pytest.raises(StateConflict):
            step()


def test_reception_follows_sharing_alone() -> None:
    who = Actor(participant="BANKA01DC", role="bank")
    received = steps.receive(deliver(CONSENT).exchange, CONSENT, who, "i", NOW)
    assert received.exchange.status is ExchangeStatus.RECEIVED
    assert received.records[0].type == "verification.received"
    with pytest.raises(StateConflict):
        steps.receive(EXCHANGE, CONSENT, who, "i", NOW)


def test_a_source_that_is_not_served_rejects_with_the_scope_code() -> None:
    step = steps.not_served(EXCHANGE, CONSENT, NOW)
    assert (step.exchange.status, step.exchange.reject_code) == (ExchangeStatus.REJECTED, steps.INVALID_SCOPE)


def test_an_expired_consent_expires_the_exchange() -> None:
    step = steps.refuse_consent(EXCHANGE, CONSENT, ConsentExpired(), NOW)
    assert step.exchange.status is ExchangeStatus.EXPIRED
