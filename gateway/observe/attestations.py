"""Witnesses and time-stamps as operations people see them: lags and failures as metrics, changes as log lines.

A failure that goes on is one line when it begins; the counter tells how long. A conflict is one each time: somebody
signed another history of this log, or the log was put back to an earlier state.
"""

from __future__ import annotations

from gateway.observe.logs import Log
from gateway.observe.metrics import Metrics


class ObservedCosigning:
    """`followers.cosigning.Observer`."""

    def __init__(self, metrics: Metrics, log: Log) -> None:
        self._metrics = metrics
        self._log = log

    def witness_failed(self, witness: str, reason: str, *, conflict: bool, first: bool) -> None:
        self._metrics.audit_witness_failures(witness).inc()
        if conflict:
            self._log.event("audit.witness_conflict", level="error", name=witness, reason=reason)
        elif first:
            self._log.event("audit.witness_failed", level="warning", name=witness, reason=reason)

    def witness_broke(self, witness: str, error: Exception) -> None:
        self._log.failure("audit.witness_failed", error, name=witness)

    def witness_recovered(self, witness: str) -> None:
        self._log.event("audit.witness_recovered", name=witness)

    def quorum_missed(self) -> None:
        self._log.event("audit.quorum_missed", level="error")

    def quorum_reached(self) -> None:
        self._log.event("audit.quorum_reached")

    def witnesses_forgotten(self, error: Exception) -> None:
        self._log.failure("audit.witnessed_unkept", error, level="warning")


class ObservedTimestamping:
    """`followers.timestamping.Observer`."""

    def __init__(self, log: Log) -> None:
        self._log = log

    def stamped(self, size: int) -> None:
        self._log.event("audit.timestamped", index=size)

    def stamp_failed(self, error: Exception, reason: str, *, first: bool) -> None:
        if first:
            self._log.failure("audit.timestamp_failed", error, reason=reason)
