"""The steps of an exchange as pure functions: from the saved state and what was learnt to the next state.

The store calls them inside its transaction with the consent's locked row, so uses add up exactly and a consent
that ended in the meantime lets nothing out.
"""

from __future__ import annotations

from dataclasses import replace

from gateway.audit.record import Actor, Record
from gateway.core import lifecycle
from gateway.core.consent import recheck
from gateway.core.model import Consent, ConsentStatus, Exchange, ExchangeStatus, Receipt, Report, Verdict
from gateway.errors import ConsentExpired, GatewayError
from gateway.exchange.consents import RECORD_OF, notice
from gateway.exchange.recording import record
from gateway.ports import ExchangeStep, NewNotice

# CDI's reject codes (`schemas/codelists`).
INVALID_CONSENT = "DataRequestRejectReasonInvalidConsent"
INVALID_SCOPE = "DataRequestRejectReasonInvalidScope"
OTHERS = "DataRequestRejectReasonOthers"


def reserved(consent: Consent) -> Consent:
    return replace(consent, reserved=consent.reserved + 1)


def released(consent: Consent | None, now: int) -> Consent | None:
    return replace(consent, reserved=consent.reserved - 1, updated_at=now) if consent is not None else None


def consumed(consent: Consent, now: int) -> Consent:
    """One reserved use committed; the last one ends the consent."""
    used = consent.used + 1
    status = consent.status
    if used >= consent.max_uses and status is ConsentStatus.VALID:
        status = lifecycle.step(lifecycle.CONSENT, status, ConsentStatus.CONSUMED)
    return replace(consent, reserved=consent.reserved - 1, used=used, status=status, updated_at=now)


def deliver(
    exchange: Exchange,
    consent: Consent | None,
    *,
    verdict: Verdict,
    report: Report,
    receipt: Receipt,
    response_id: str,
    now: float,
) -> ExchangeStep:
    """A final outcome becomes readable, if the consent still permits it; else the exchange is refused."""
    try:
        live = recheck(consent, exchange, now=int(now)).consent
    except GatewayError as ended:
        return refuse_consent(exchange, consent, ended, now)
    after = consumed(live, int(now))
    notices: tuple[NewNotice, ...] = (_final(exchange, int(now), verdict.outcome.value),)
    records: tuple[Record, ...] = ()
    if after.status is not live.status:
        notices = (*notices, notice(after, int(now)))
        records = (
            record(
                now,
                RECORD_OF[after.status],
                actor=asker(exchange),
                counterparty=after.provider_id,
                request=exchange.exchange_id,
                consent=after,
            ),
        )
    path: tuple[ExchangeStatus, ...] = (ExchangeStatus.SHARED,)
    if exchange.status is ExchangeStatus.PENDING:
        path = (ExchangeStatus.APPROVED, ExchangeStatus.SHARED)
    return ExchangeStep(
        exchange=replace(
            exchange,
            status=lifecycle.step(lifecycle.EXCHANGE, exchange.status, *path),
            attempts=exchange.attempts + 1,
            verdict=verdict,
            report=report,
            receipt=receipt,
            response_id=response_id,
            updated_at=int(now),
        ),
        consent=after,
        notices=notices,
        records=records,
    )


def ask_again(exchange: Exchange, verdict: Verdict, *, pause_seconds: float, now: float) -> ExchangeStep:
    """No final answer yet: approved, and due again after the pause, at the deadline at the latest."""
    status = exchange.status
    if status is ExchangeStatus.PENDING:
        status = lifecycle.step(lifecycle.EXCHANGE, status, ExchangeStatus.APPROVED)
    return ExchangeStep(
        exchange=replace(
            exchange,
            status=status,
            attempts=exchange.attempts + 1,
            verdict=verdict,
            next_attempt_at=min(now + pause_seconds, float(exchange.deadline_at)),
            updated_at=int(now),
        )
    )


def give_up(exchange: Exchange, consent: Consent | None, verdict: Verdict, now: float) -> ExchangeStep:
    """The deadline passed without a final outcome: rejected, the use given back; it may be asked again."""
    return _end(
        replace(exchange, verdict=verdict),
        consent,
        ExchangeStatus.REJECTED,
        now=now,
        code=OTHERS,
        detail=verdict.reason.value if verdict.reason else None,
        outcome=verdict.outcome.value,
    )


def refuse_consent(exchange: Exchange, consent: Consent | None, ended: GatewayError, now: float) -> ExchangeStep:
    """The consent ended before an outcome could leave."""
    status = ExchangeStatus.EXPIRED if isinstance(ended, ConsentExpired) else ExchangeStatus.REJECTED
    return _end(replace(exchange, verdict=None), consent, status, now=now, code=INVALID_CONSENT, detail=ended.code)


def not_served(exchange: Exchange, consent: Consent | None, now: float) -> ExchangeStep:
    """The source is not, or no longer, served by any platform of this gateway."""
    return _end(exchange, consent, ExchangeStatus.REJECTED, now=now, code=INVALID_SCOPE, detail="INVALID_INFO")


def cancel(exchange: Exchange, consent: Consent | None, *, actor: Actor, now: float) -> ExchangeStep:
    """The bank takes its question back; the use is given back."""
    return _end(exchange, consent, ExchangeStatus.CANCELLED, now=now, actor=actor)


def receive(exchange: Exchange, consent: Consent | None, actor: Actor, interaction: str, now: float) -> ExchangeStep:
    """The bank has the file."""
    return ExchangeStep(
        exchange=replace(
            exchange,
            status=lifecycle.step(lifecycle.EXCHANGE, exchange.status, ExchangeStatus.RECEIVED),
            updated_at=int(now),
        ),
        records=(
            record(
                now,
                "verification.received",
                actor=actor,
                interaction=interaction,
                request=exchange.exchange_id,
                consent=consent,
                # The log seals a document under its owner's key, and only the consent says who that is.
                document=exchange.document if consent is not None else None,
                document_type=exchange.scope.document_type,
                outcome=exchange.verdict.outcome.value if exchange.verdict else None,
            ),
        ),
    )


def _end(
    exchange: Exchange,
    consent: Consent | None,
    status: ExchangeStatus,
    *,
    now: float,
    code: str | None = None,
    detail: str | None = None,
    outcome: str | None = None,
    actor: Actor | None = None,
) -> ExchangeStep:
    ended = replace(
        exchange,
        status=lifecycle.step(lifecycle.EXCHANGE, exchange.status, status),
        reject_code=code,
        reject_detail=detail,
        updated_at=int(now),
    )
    return ExchangeStep(
        exchange=ended,
        consent=released(consent, int(now)),
        notices=(_final(ended, int(now), detail),),
        records=(
            record(
                now,
                "verification.refused",
                actor=actor or asker(exchange),
                interaction=exchange.interaction,
                request=exchange.exchange_id,
                counterparty=exchange.document.issuer_id,
                consent=consent,
                document=exchange.document if consent is not None else None,
                document_type=exchange.scope.document_type,
                outcome=outcome,
                reason=detail or status.name,
                attempts=ended.attempts,
            ),
        ),
    )


def _final(exchange: Exchange, now: int, detail: str | None) -> NewNotice:
    return NewNotice(
        participant_id=exchange.consumer_id,
        type="DATA_REQUEST_FINAL",
        time=now,
        consent_id=exchange.consent_id,
        exchange_id=exchange.exchange_id,
        detail=detail,
    )


def asker(exchange: Exchange) -> Actor:
    """Who asked, as it was when they asked."""
    return Actor(
        participant=exchange.consumer_id,
        role="bank",
        certificate=exchange.certificate,
        client=exchange.client_id,
    )
