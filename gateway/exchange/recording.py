"""Making audit records, and bringing those that were committed with a state change into the log.

A state change and its record are one transaction in the store (outbox); the log follows, before anyone is
answered. kill -9 between the two leaves the record in the outbox, and the next flush appends it; between append
and removal it is appended twice, with the same id.
"""

from __future__ import annotations

import asyncio
from typing import Any

from gateway.audit.record import Actor, Record
from gateway.core.model import Certificate, Participant
from gateway.exchange.identifiers import new_id
from gateway.ports import AuditLog, Outbox

_FLUSH_ROWS = 500


def actor(participant: Participant, certificate: Certificate | None = None, client: str | None = None) -> Actor:
    return Actor(
        participant=participant.participant_id,
        role=participant.role.value,
        certificate=certificate.sha256 if certificate else None,
        client=client,
    )


def record(now: float, record_type: str, **fields: Any) -> Record:
    """A record with a fresh time-ordered id."""
    return Record(record_id=new_id(now), time=now, type=record_type, **fields)


class Recorder:
    def __init__(self, outbox: Outbox, audit: AuditLog) -> None:
        self._outbox = outbox
        self._audit = audit
        self._flushing = asyncio.Lock()

    async def flush(self) -> int:
        """Append all that waits; the number of records. Raises AuditUnavailable: they stay where they are."""
        flushed = 0
        async with self._flushing:
            while waiting := await self._outbox.waiting(limit=_FLUSH_ROWS):
                await self._audit.append([item for _, item in waiting])
                await self._outbox.remove([row for row, _ in waiting])
                flushed += len(waiting)
        return flushed
