"""What is said about a verification: its intent and its outcome to the audit log, its report to the bank."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any

from gateway.audit.record import Record
from gateway.core.consent import Consented
from gateway.core.model import Direction, Exchange, Report, Verdict
from gateway.exchange.recording import record
from gateway.exchange.steps import asker
from gateway.ports import Signer

REPORT_NAME = "verification-report.jws"
REPORT_TYPE = "cdi-report+jws"

ReportPayload = Callable[[Exchange, Verdict, float], bytes]
"""The RFC 8785 bytes of the report, of the wire profile."""


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


def report(exchange: Exchange, verdict: Verdict, now: float, *, payload: ReportPayload, signer: Signer) -> Report:
    """The file that the bank fetches: signed by this gateway, named by its SHA-256."""
    jws = signer.sign_jws({"typ": REPORT_TYPE}, payload(exchange, verdict, now))
    return Report(
        name=REPORT_NAME,
        jws=jws,
        sha256=hashlib.sha256(jws.encode()).hexdigest(),
        key_id=signer.key_id,
    )


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
