"""The sandbox's DVP platform: one signed message in, one signed message out (`dvp/v1`), honest or as it is told.

Checks envelopes as strictly as the gateway does. No HTTP here: `platform_server` carries the bytes.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from adapters.sandbox.envelopes import Body, Envelopes, Reply
from adapters.sandbox.evidence import Asked, EvidenceBook, Finding, Refused, Registered
from adapters.sandbox.faults import Fault, Faults
from adapters.sandbox.journal import Journal
from gateway.core.model import Evidence, EvidenceStatus
from gateway.ports import Clock
from gateway.profiles.dvp_v1 import envelope, messages
from gateway.profiles.dvp_v1.signature import KeySet
from gateway.profiles.validation import Validators

_REMEMBERED_MAX = 200_000
_REPLAY_SECONDS = envelope.LIFETIME_SECONDS_MAX + 2 * envelope.SKEW_SECONDS  # after that the envelope itself is stale


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """An institution that may send messages, and the keys that sign them."""

    participant_id: str
    keys: KeySet


class DvpPlatform:
    """`changed` is called after a registration or a revocation, with nothing."""

    def __init__(
        self,
        *,
        envelopes: Envelopes,
        book: EvidenceBook,
        journal: Journal,
        faults: Faults,
        validators: Validators,
        clock: Clock,
        changed: Callable[[], None],
    ) -> None:
        self.book, self.journal, self.faults = book, journal, faults
        self._envelopes = envelopes
        self._validators, self._clock, self._changed = validators, clock, changed
        self._seen: dict[str, int] = {}  # messageId → its end, oldest first
        self._evidence_bodies: dict[tuple[str, EvidenceStatus], Body] = {}  # at most one per evidence and status
        self._handlers: Mapping[str, Callable[[envelope.Envelope, int], tuple[str, Body]]] = {
            "VerificationRequest": self._verify,
            "EvidenceRegistration": self._register,
            "EvidenceRevocation": self._revoke,
            "EvidenceStatusQuery": self._status,
        }

    async def answer(self, token: bytes, member: Member, *, traceparent: str | None) -> Reply:
        """The answer to one message of `member`, whom the connection has authenticated."""
        now = self._clock.now()
        try:
            received = envelope.unseal(
                token,
                keys=member.keys,
                sender=member.participant_id,
                receiver=self._envelopes.sender,
                now=now,
                validators=self._validators,
            )
        except envelope.EnvelopeError as refused:
            error = messages.error_body(f"ENVELOPE_{refused.reason}", retryable=False)
            _, sealed = self._envelopes.seal("ErrorResponse", error, receiver=member.participant_id, now=int(now))
            return Reply(token=sealed)
        fault = self.faults.take(received.message_type)
        message_type, body = self._handle(received, int(now))
        self._note(received, (message_type, body), fault, time=now, traceparent=traceparent)
        if fault.delay_seconds:
            await asyncio.sleep(fault.delay_seconds)
            now = self._clock.now()
        return self._envelopes.reply(fault.mode, received, message_type, body, now=int(now))

    def _handle(self, received: envelope.Envelope, now: int) -> tuple[str, Body]:
        if not self._first_time(received, now):
            return "ErrorResponse", messages.error_body("MESSAGE_REPLAYED", retryable=False)
        handler = self._handlers.get(received.message_type)
        if handler is None:
            return "ErrorResponse", messages.error_body("MESSAGE_NOT_SERVED", retryable=False)
        try:
            return handler(received, now)
        except Refused as refused:
            return "ErrorResponse", messages.error_body(str(refused), retryable=False)
        except envelope.EnvelopeError as refused:
            return "ErrorResponse", messages.error_body(f"BODY_{refused.reason}", retryable=False)

    def _verify(self, received: envelope.Envelope, now: int) -> tuple[str, Body]:
        question = messages.question_from(received.body)
        asked = Asked(
            issuer_id=question.issuer_id,
            document_type=question.document_type,
            digests=question.digests,
            voucher=question.voucher,
        )
        return "VerificationResult", self._result(question.request_id, self.book.find(asked, now=now), now)

    def _register(self, received: envelope.Envelope, now: int) -> tuple[str, Body]:
        if received.body["issuerId"] != received.sender:
            raise Refused("ISSUER_NOT_ENTITLED")
        known = self.book.register(received.body, now=now)
        self._changed()
        return "EvidenceReceipt", self.receipt(known.evidence_id)

    def _revoke(self, received: envelope.Envelope, now: int) -> tuple[str, Body]:
        evidence_id = received.body["evidenceId"]
        known = self.book.get(evidence_id)
        if known is None or known.issuer_id != received.sender:
            raise Refused("NOT_REGISTERED")  # whose it is does not show
        self.book.change_status(evidence_id, EvidenceStatus.REVOKED, reason=received.body["reason"], now=now)
        self._changed()
        return "Ack", messages.ack_body()

    def _status(self, received: envelope.Envelope, _now: int) -> tuple[str, Body]:
        known = self.book.get(received.body["evidenceId"])
        if known is None:
            raise Refused("NOT_REGISTERED")
        return "EvidenceStatus", _status_body(known)

    def receipt(self, evidence_id: str) -> Body:
        """The body of an EvidenceReceipt. Raises Refused for an unknown id."""
        known = self.book.get(evidence_id)
        if known is None:
            raise Refused("NOT_REGISTERED")
        body: Body = {
            **_status_body(known),
            "documentType": known.document_type,
            "issuerId": known.issuer_id,
            "digests": [{"algorithm": one.algorithm.value, "value": one.value} for one in known.digests],
            "voucher": self.book.voucher(evidence_id),
            "issuerSignature": known.issuer_signature,
        }
        if known.valid_until is not None:
            body["validUntil"] = known.valid_until
        return body

    def _result(self, request_id: str, finding: Finding, now: int) -> Body:
        body: Body = {"requestId": request_id, "outcome": finding.outcome.value, "checkedAt": now}
        if finding.reason is not None:
            body["reason"] = finding.reason.value
        if finding.evidence is not None:
            body["evidence"] = self._evidence_body(finding.evidence)
        return body

    def _evidence_body(self, evidence: Evidence) -> Body:
        key = (evidence.evidence_id, evidence.status)
        body = self._evidence_bodies.get(key)
        if body is None:
            body = self._evidence_bodies[key] = messages.evidence_body(evidence)
        return body

    def _first_time(self, received: envelope.Envelope, now: int) -> bool:
        while self._seen and (len(self._seen) >= _REMEMBERED_MAX or next(iter(self._seen.values())) < now):
            del self._seen[next(iter(self._seen))]
        if received.message_id in self._seen:
            return False
        self._seen[received.message_id] = now + _REPLAY_SECONDS
        return True

    def _note(self, received: envelope.Envelope, answer: tuple[str, Body], fault: Fault, **seen: Any) -> None:
        message_type, body = answer
        self.journal.add(
            {
                **seen,
                "messageId": received.message_id,
                "messageType": received.message_type,
                "requestId": received.body.get("requestId"),
                "sender": received.sender,
                "receiver": received.receiver,
                "claims": received.body,
                "answer": {
                    "messageType": message_type,
                    "outcome": body.get("outcome"),
                    "reason": body.get("reason"),
                    "code": body.get("code"),
                },
                "fault": fault.mode.value,
            }
        )


def _status_body(known: Registered) -> Body:
    return {"evidenceId": known.evidence_id, "status": known.status.value, "statusAt": known.status_at}
