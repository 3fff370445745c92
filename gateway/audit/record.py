"""One audit entry (`schemas/audit/v1`): typed, without identities, rendered as RFC 8785 bytes of at most 16 KiB.

What class of privacy each of its fields has is said in `privacy`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from gateway.audit.privacy import Seal, sealed
from gateway.audit.retention import retention_class
from gateway.core.canonical import canonical
from gateway.core.model import Consent, Direction, Document

ENTRY_BYTES_MAX = 16 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Actor:
    participant: str
    role: str
    certificate: str | None = None  # SHA-256, hex
    client: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """What happened. `record_id` is a UUIDv7; a record that is appended twice after a crash keeps its id."""

    record_id: str
    time: float
    type: str
    actor: Actor | None = None
    direction: Direction | None = None
    counterparty: str | None = None
    interaction: str | None = None
    request: str | None = None  # data request id
    consent: Consent | None = None
    document: Document | None = None
    document_type: str | None = None
    outcome: str | None = None
    reason: str | None = None  # a code, never free text
    evidence: str | None = None
    latency_ms: int | None = None
    attempts: int | None = None
    count: int | None = None  # of what one entry stands for: refusals of a minute, exchanges that relied on evidence
    subject: str | None = None  # pseudonym; only where there is no consent to take it from
    facts: Mapping[str, str | int] | None = None  # of the log's own events: sizes, counts, keys; never a person's data
    retention: str | None = None  # None: what its type has (`retention.CLASSES`)

    @property
    def about(self) -> str | None:
        """The pseudonym of the data owner whom this entry is about."""
        return self.consent.subject if self.consent else self.subject

    @property
    def seals_for(self) -> str | None:
        """The pseudonym of whose key the entry needs: of its subject, when it holds anything that is sealed."""
        return self.about if self.document is not None or self.evidence is not None else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """What is the same in every entry of this process: software and schema versions, configuration hash."""

    software: str
    schema: str
    config: str


def entry(record: Record, origin: Origin, seal: Seal) -> bytes:
    """The entry's bytes, as they are hashed and kept: what is a person's own is sealed under that person's key.

    Raises ValueError above ENTRY_BYTES_MAX, and for a document of nobody, which could never be erased.
    """
    subject = record.about
    if record.document is not None and subject is None:
        raise ValueError("an audit entry with a document needs its subject")
    body: dict[str, Any] = {
        "v": 1,
        "id": record.record_id,
        "time": _time(record.time),
        "type": record.type,
        "software": origin.software,
        "schema": origin.schema,
        "config": origin.config,
        "retention": record.retention or retention_class(record.type),
    }
    if record.actor is not None:
        body["actor"] = _actor(record.actor)
    if record.direction is not None:
        body["direction"] = record.direction.value
    if record.consent is not None:
        body["consent"] = _consent(record.consent)
    if record.document is not None:
        body["document"] = _document(record.document, record.document_type)
    if record.facts:
        body["facts"] = dict(record.facts)
    known = (
        ("subject", subject),
        ("counterparty", record.counterparty),
        ("interaction", record.interaction),
        ("request", record.request),
        ("outcome", record.outcome),
        ("reason", record.reason),
        ("evidence", record.evidence),
        ("latencyMs", record.latency_ms),
        ("attempts", record.attempts),
        ("count", record.count),
    )
    body |= {name: value for name, value in known if value is not None}
    data = canonical(sealed(body, seal))
    if len(data) > ENTRY_BYTES_MAX:
        raise ValueError("audit entry above its limit")
    return data


def _time(seconds: float) -> str:
    """RFC 3339, UTC, microseconds."""
    return f"{datetime.fromtimestamp(seconds, UTC).isoformat(timespec='microseconds')[:-6]}Z"


def _actor(actor: Actor) -> dict[str, Any]:
    body = {"participant": actor.participant, "role": actor.role}
    if actor.certificate is not None:
        body["certificate"] = actor.certificate
    if actor.client is not None:
        body["client"] = actor.client
    return body


def _consent(consent: Consent) -> dict[str, Any]:
    return {
        "id": consent.consent_id,
        "status": consent.status.value,
        "purpose": consent.purpose,
        "expireTime": consent.expire_time,
    }


def _document(document: Document, document_type: str | None) -> dict[str, Any]:
    body: dict[str, Any] = {
        "issuer": document.issuer_id,
        # Both digests of one document belong to one entry; the first is what most readers search by.
        "algorithm": document.digests[0].algorithm.value,
        "digest": document.digests[0].value,
    }
    if len(document.digests) > 1:
        body["digests"] = [{"algorithm": digest.algorithm.value, "value": digest.value} for digest in document.digests]
    if document_type is not None:
        body["type"] = document_type
    return body
