"""Waiting for an exchange to become final: woken by steps of this process, looking for those of others."""

from __future__ import annotations

import asyncio

from gateway.core.lifecycle import OPEN_EXCHANGE
from gateway.core.model import Exchange
from gateway.ports import Clock, ExchangeStore

LOOK_SECONDS = 1.0  # the longest time in which another process's step goes unseen


class Waiting:
    """Who waits for which exchange. Bounded by the requests in flight, which are its waiters."""

    def __init__(self, *, store: ExchangeStore, clock: Clock, look_seconds: float = LOOK_SECONDS) -> None:
        self._store = store
        self._clock = clock
        self._look = look_seconds
        self._waiters: dict[str, set[asyncio.Future[None]]] = {}
        self._ending = False

    async def final(self, exchange: Exchange, wait_seconds: float) -> Exchange:
        """The exchange once it is final, or as it is when time is up or the process ends. Sees steps of other processes
        within a second."""
        until = self._clock.monotonic() + wait_seconds
        while exchange.status in OPEN_EXCHANGE and not self._ending:
            left = until - self._clock.monotonic()
            if left <= 0:
                break
            await self._woken(exchange.exchange_id, min(left, self._look))
            exchange = await self._store.exchange(exchange.exchange_id) or exchange
        return exchange

    def wake(self, exchange_id: str) -> None:
        """A step of this exchange has ended: whoever waits for it looks again."""
        for waiter in self._waiters.pop(exchange_id, ()):
            if not waiter.done():
                waiter.set_result(None)

    def end(self) -> None:
        """The process ends: who waits, or comes to wait, gets what there is instead of a cut connection."""
        self._ending = True
        for exchange_id in list(self._waiters):
            self.wake(exchange_id)

    async def _woken(self, exchange_id: str, seconds: float) -> None:
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        waiters = self._waiters.setdefault(exchange_id, set())
        waiters.add(waiter)
        try:
            await asyncio.wait({waiter}, timeout=seconds)
        finally:
            waiters.discard(waiter)
            if not waiters and self._waiters.get(exchange_id) is waiters:
                del self._waiters[exchange_id]
