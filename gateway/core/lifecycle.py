"""The lifecycles as tables: which status may follow which. Data that one can print."""

from __future__ import annotations

from typing import TypeVar

from gateway.core.model import ConsentStatus, ExchangeStatus
from gateway.errors import StateConflict

CONSENT: dict[ConsentStatus, frozenset[ConsentStatus]] = {
    ConsentStatus.SUBMITTED: frozenset(
        {ConsentStatus.VALID, ConsentStatus.REJECTED, ConsentStatus.REVOKED, ConsentStatus.EXPIRED}
    ),
    ConsentStatus.VALID: frozenset({ConsentStatus.REVOKED, ConsentStatus.EXPIRED, ConsentStatus.CONSUMED}),
    ConsentStatus.REVOKED: frozenset(),
    ConsentStatus.REJECTED: frozenset(),
    ConsentStatus.EXPIRED: frozenset(),
    ConsentStatus.CONSUMED: frozenset(),
}

EXCHANGE: dict[ExchangeStatus, frozenset[ExchangeStatus]] = {
    ExchangeStatus.PENDING: frozenset(
        {
            ExchangeStatus.APPROVED,
            ExchangeStatus.REJECTED,
            ExchangeStatus.EXPIRED,
            ExchangeStatus.CANCELLED,
        }
    ),
    ExchangeStatus.APPROVED: frozenset(
        {
            ExchangeStatus.SHARED,
            ExchangeStatus.REJECTED,
            ExchangeStatus.EXPIRED,
            ExchangeStatus.CANCELLED,
        }
    ),
    ExchangeStatus.SHARED: frozenset({ExchangeStatus.RECEIVED}),
    ExchangeStatus.RECEIVED: frozenset(),
    ExchangeStatus.REJECTED: frozenset(),
    ExchangeStatus.EXPIRED: frozenset(),
    ExchangeStatus.CANCELLED: frozenset(),
}

OPEN_EXCHANGE = frozenset({ExchangeStatus.PENDING, ExchangeStatus.APPROVED})
OPEN_CONSENT = frozenset({ConsentStatus.SUBMITTED, ConsentStatus.VALID})

Status = TypeVar("Status", ConsentStatus, ExchangeStatus)


def step(table: dict[Status, frozenset[Status]], current: Status, *following: Status) -> Status:
    """Walk the statuses in order and return the last. Raises StateConflict where the table has no such step."""
    for status in following:
        if status not in table[current]:
            raise StateConflict(f"Not possible in status {current.value}")
        current = status
    return current
