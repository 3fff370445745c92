"""What is said about a verification: its intent and its outcome to the audit log, report and receipt to the bank."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any, Protocol

from gateway.audit.record import Record
from gateway.core.consent import Consented
from gateway.core.model import Consent, Direction, Exchange, Logged, Notice, Receipt, Report, Verdict
from gateway.exchange.recording import record
from gateway.exchange.steps import asker
from gateway.ports import Position, Signer

REPORT_NAME = "verification-report.jws"
REPORT_TYPE = "cdi-report+jws"
RECEIPT_TYPE = "cdi-receipt+jwt"
EVENT_TYPE = "secevent+jwt"  # RFC 8417 §2.3


class Payloads(Protocol):
    """What is signed, as RFC 8785 bytes of the wire profile."""

    def report_payload(self, exchange: Exchange, verdict: Verdict, now: float) -> bytes: ...
    def receipt_payload(
        self, exchange: Exchange, consent: Consent, verdict: Verdict, logged: Logged, now: float
    ) -> bytes: ...
    def consent_event_payload(self, notice: Notice, now: float) -> bytes | None: ...


def intended(exchange: Exchange, consented: Consented, now: float) -> Record:
    """The platform is about to be asked, under this consent."""
    return record(now, "verification.intended", **_subject(exchange, consented))


def decided(exchange: Exchange, consented: Consented, verdict: Verdict, now: float, *, took_seconds: float) -> Record:
    """The platform's answer was judged, and the judgement is final."""
    return record(
        now,
        "verification.decided",
        **_subject(exchange, consented),
        outcome=verdict.outcome.value,
        evidence=verdict.evidence.evidence_id if verdict.evidence else None,
        latency_ms=int(took_seconds * 1000),
        attempts=exchange.attempts + 1,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Signatory:
    """Signs what the bank gets, in this gateway's name."""

    signer: Signer
    payloads: Payloads

    def report(self, exchange: Exchange, verdict: Verdict, now: float) -> Report:
        """The file that the bank fetches, named by its SHA-256."""
        jws = self.signer.sign_jws({"typ": REPORT_TYPE}, self.payloads.report_payload(exchange, verdict, now))
        return Report(
            name=REPORT_NAME,
            jws=jws,
            sha256=hashlib.sha256(jws.encode()).hexdigest(),
            key_id=self.signer.key_id,
        )

    def receipt(
        self, exchange: Exchange, consent: Consent, verdict: Verdict, now: float, *, recorded: Record, at: Position
    ) -> Receipt:
        """The outcome and the record of it, which stands `at` its place in the log."""
        logged = Logged(record_id=recorded.record_id, index=at.index, leaf_hash=at.leaf_hash)
        payload = self.payloads.receipt_payload(exchange, consent, verdict, logged, now)
        return Receipt(jws=self.signer.sign_jws({"typ": RECEIPT_TYPE}, payload), logged=logged)

    def event(self, notice: Notice, now: float) -> str | None:
        """The signed form of a notice about a consent's status; None for other notices."""
        payload = self.payloads.consent_event_payload(notice, now)
        return self.signer.sign_jws({"typ": EVENT_TYPE}, payload) if payload is not None else None


def _subject(exchange: Exchange, consented: Consented) -> dict[str, Any]:
    return {
        "actor": asker(exchange),
        "direction": Direction.SOUTHBOUND,
        "counterparty": exchange.document.issuer_id,
        "interaction": exchange.interaction,
        "request": exchange.exchange_id,
        "consent": consented.consent,
        "document": exchange.document,
        "document_type": exchange.scope.document_type,
    }
