"""The audit log as operations people see it: entries by type, time to durable, size."""

from __future__ import annotations

from collections.abc import Sequence

from gateway.audit.record import Record
from gateway.observe.metrics import Metrics
from gateway.ports import AuditLog, Clock, Position


class ObservedAuditLog:
    """`ports.AuditLog` around another one; adds nothing but metrics."""

    def __init__(self, log: AuditLog, *, metrics: Metrics, clock: Clock) -> None:
        self._log = log
        self._metrics = metrics
        self._clock = clock

    async def append(self, records: Sequence[Record]) -> Sequence[Position]:
        began = self._clock.monotonic()
        positions = await self._log.append(records)
        self._metrics.audit_append.observe(self._clock.monotonic() - began)
        for record in records:
            self._metrics.audit_entries(record.type).inc()
        if positions:
            self._metrics.audit_tree_size.set(positions[-1].index + 1)
        return positions

    def healthy(self) -> bool:
        return self._log.healthy()
