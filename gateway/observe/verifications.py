"""Verifications as operations people see them: outcomes as counts, alarms and failures as log lines."""

from __future__ import annotations

from gateway.core.model import Direction
from gateway.errors import GatewayError
from gateway.observe import waits
from gateway.observe.logs import Log
from gateway.observe.metrics import Metrics


class Observed:
    """`exchange.verification.Observer`."""

    def __init__(self, metrics: Metrics, log: Log) -> None:
        self._metrics = metrics
        self._log = log

    def asked(self, seconds: float) -> None:
        waits.add(seconds)

    def verified(self, document_type: str, outcome: str) -> None:
        self._metrics.verifications(Direction.SOUTHBOUND.value, document_type, outcome).inc()

    def alarm(self, reason: str, exchange_id: str) -> None:
        self._log.event("verification.alarm", level="error", exchange=exchange_id, reason=reason)

    def failed(self, error: BaseException, exchange_id: str) -> None:
        code = error.code if isinstance(error, GatewayError) else "INTERNAL"
        self._log.failure("verification.failed", error, exchange=exchange_id, code=code)
