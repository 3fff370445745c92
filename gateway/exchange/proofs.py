"""What a bank can show others of an outcome: that a published checkpoint covers its record, and the proof of it.

Publication itself runs beside the flows; here one waits for it and reads what it has.
"""

from __future__ import annotations

from dataclasses import dataclass

from gateway.audit import proof
from gateway.core.model import Exchange, Logged
from gateway.errors import StateConflict
from gateway.exchange.admission import Caller
from gateway.exchange.data_requests import DataRequests
from gateway.ports import Publication

LOOK_SECONDS = 1.0  # the longest time for which a wait does not see that the process ends


@dataclass(frozen=True, slots=True, kw_only=True)
class Pending:
    """The outcome is recorded, and no checkpoint covers its record yet. `covered`: size of the newest one."""

    exchange: Exchange
    logged: Logged
    covered: int


class Proofs:
    def __init__(self, *, data_requests: DataRequests, publication: Publication) -> None:
        self._data_requests = data_requests
        self._publication = publication
        self._ending = False

    async def of(self, caller: Caller, exchange_id: str, *, wait_seconds: float) -> str | Pending:
        """The tlog-proof of an own outcome's record, after at most `wait_seconds` for a checkpoint that covers it.

        Raises NotFound for others', StateConflict where no outcome was delivered, and where the published log does not
        hold the record that the receipt names, as after a recovery from an older copy.
        """
        exchange = await self._data_requests.read(caller, exchange_id)
        if exchange.receipt is None:
            raise StateConflict(f"No outcome was delivered: status {exchange.status.value}")
        logged = exchange.receipt.logged
        await self._wait(logged, wait_seconds)
        found = await self._publication.proof(logged.index)
        if found is None:
            return Pending(exchange=exchange, logged=logged, covered=self._publication.covered())
        if not proof.leads(found, logged.index, logged.leaf_hash):
            raise StateConflict("The published log does not hold the record that the receipt names")
        return found

    async def covered(self, exchange: Exchange, wait_seconds: float) -> bool:
        """Whether a published checkpoint covers this outcome's record, after at most `wait_seconds`. True where no
        outcome was delivered: there is nothing to wait for."""
        return exchange.receipt is None or await self._wait(exchange.receipt.logged, wait_seconds)

    def end_waits(self) -> None:
        """The process ends: who waits, or comes to wait, is told how it stands."""
        self._ending = True

    async def _wait(self, logged: Logged, wait_seconds: float) -> bool:
        if self._publication.covered() > logged.index:
            return True
        left = wait_seconds
        while left > 0 and not self._ending:
            if await self._publication.wait_covered(logged.index, timeout_seconds=min(left, LOOK_SECONDS)):
                return True
            left -= LOOK_SECONDS
        return False
