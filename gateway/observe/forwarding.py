"""Forwarding as operations people see it: lags and failures as metrics, changes as log lines."""

from __future__ import annotations

from gateway.errors import GatewayError
from gateway.observe.logs import Log
from gateway.observe.metrics import Metrics


class ObservedForwarding:
    """`followers.forwarder.Observer`. A failure that goes on is one line when it begins; the counter tells how long."""

    def __init__(self, metrics: Metrics, log: Log) -> None:
        self._metrics = metrics
        self._log = log
        self._failing: set[str] = set()

    def lag(self, target: str, entries: int) -> None:
        self._metrics.audit_forward_lag(target).set(entries)

    def failed(self, target: str, error: Exception) -> None:
        self._metrics.audit_forward_failures(target).inc()
        if target not in self._failing:
            self._failing.add(target)
            reason = error.private if isinstance(error, GatewayError) else None
            self._log.failure("audit.forward_failed", error, level="warning", name=target, reason=reason)

    def recovered(self, target: str) -> None:
        self._failing.discard(target)
        self._log.event("audit.forward_recovered", name=target)

    def unreadable(self, target: str, index: int) -> None:
        self._log.event("audit.entry_unreadable", level="error", name=target, index=index)
