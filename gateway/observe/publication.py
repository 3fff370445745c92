"""Publication as operations people see it: size and lag as metrics, failures as counts and log lines."""

from __future__ import annotations

from gateway.errors import GatewayError
from gateway.observe.logs import Log
from gateway.observe.metrics import Metrics

REBUILT_STEP = 131_072  # entries between two lines about a rebuild


class ObservedPublication:
    """`followers.publisher.Observer`."""

    def __init__(self, metrics: Metrics, log: Log) -> None:
        self._metrics = metrics
        self._log = log
        self._step = 0

    def published(self, size: int) -> None:
        self._metrics.audit_published_size.set(size)

    def publication_failed(self, error: Exception) -> None:
        self._metrics.audit_publication_failures.inc()
        reason = error.private if isinstance(error, GatewayError) else str(error)
        self._log.failure("audit.publication_failed", error, reason=reason)

    def rebuilding(self, done: int, size: int) -> None:
        step = done // REBUILT_STEP
        if step != self._step:
            self._step = step
            self._log.event("audit.rebuilding", index=done, count=size)
