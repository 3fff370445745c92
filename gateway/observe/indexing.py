"""The search index as operations people see it: how far it is behind the log, and what holds it up."""

from __future__ import annotations

from gateway.errors import GatewayError
from gateway.observe.logs import Log
from gateway.observe.metrics import Metrics


class ObservedIndexing:
    """`followers.indexer.Observer`."""

    def __init__(self, metrics: Metrics, log: Log) -> None:
        self._metrics = metrics
        self._log = log
        self._failing = False

    def lag(self, entries: int, seconds: float) -> None:
        self._metrics.audit_index_lag_entries.set(entries)
        self._metrics.audit_index_lag.set(seconds)
        if self._failing:
            self._failing = False
            self._log.event("audit.index_recovered")

    def unreadable(self, index: int) -> None:
        self._log.event("audit.entry_unreadable", level="error", index=index)

    def started_over(self) -> None:
        self._log.event("audit.index_started_over", level="warning")

    def failed(self, error: Exception) -> None:
        self._metrics.audit_index_failures.inc()
        if not self._failing:  # it is tried twice a second: one line tells all of them
            self._failing = True
            reason = error.private if isinstance(error, GatewayError) else ""
            self._log.failure("audit.index_failed", error, reason=reason)
