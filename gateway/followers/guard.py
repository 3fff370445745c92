"""The log as the flows see it: healthy only while publication, witnesses and time-stamps are within their limits.

What was accepted may finish: an append passes whatever the limits say, and only new questions are refused.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from gateway.audit.record import Record
from gateway.ports import AuditLog, Position

Limit = Callable[[], bool]
"""Whether something is within its limit. Never blocks."""


class GuardedAuditLog:
    """See `ports.AuditLog`. `acknowledged` is told the size of the log after each append."""

    def __init__(self, log: AuditLog, *, limits: Sequence[Limit], acknowledged: Callable[[int], None]) -> None:
        self._log = log
        self._limits = tuple(limits)
        self._acknowledged = acknowledged

    async def append(self, records: Sequence[Record]) -> Sequence[Position]:
        positions = await self._log.append(records)
        if positions:
            self._acknowledged(positions[-1].index + 1)
        return positions

    def healthy(self) -> bool:
        return self._log.healthy() and all(within() for within in self._limits)


def patience(lag_seconds: Callable[[], float], refuse_after_seconds: float) -> Limit:
    """Within it while the lag is not larger; 0 is never too late."""
    return lambda: not refuse_after_seconds or lag_seconds() <= refuse_after_seconds
