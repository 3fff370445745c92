"""Publication as operations people see it: size as a metric, failures as counts, the first of a row as a log line."""

from __future__ import annotations

from gateway.errors import GatewayError
from gateway.followers.history import HistoryRefused
from gateway.followers.tiling import EntriesDamaged
from gateway.observe.logs import Log
from gateway.observe.metrics import Metrics

REBUILT_STEP = 131_072  # entries between two lines about a rebuild


class ObservedPublication:
    """`followers.publisher.Observer`."""

    def __init__(self, metrics: Metrics, log: Log) -> None:
        self._metrics = metrics
        self._log = log
        self._step = 0
        self._failing = ""

    def published(self, size: int) -> None:
        self._metrics.audit_published_size.set(size)
        if self._failing:
            self._failing = ""
            self._log.event("audit.publication_recovered", index=size)

    def publication_failed(self, error: Exception) -> None:
        self._metrics.audit_publication_failures.inc()
        reason = _reason(error)
        if reason != self._failing:
            self._failing = reason
            self._log.failure("audit.publication_failed", error, reason=reason)

    def rebuilding(self, done: int, size: int) -> None:
        step = done // REBUILT_STEP
        if step != self._step:
            self._step = step
            self._log.event("audit.rebuilding", index=done, count=size)


def _reason(error: Exception) -> str:
    """Of errors whose texts are made of names, sizes and advice; other texts may hold anything."""
    if isinstance(error, GatewayError):
        return error.private or error.code
    return str(error) if isinstance(error, HistoryRefused | EntriesDamaged) else type(error).__name__
