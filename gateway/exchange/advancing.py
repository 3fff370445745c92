"""Saving a step of an exchange by compare-and-swap, with its record in the log before anyone is answered."""

from __future__ import annotations

from collections.abc import Callable

from gateway.core.model import Consent, Exchange
from gateway.errors import StateConflict
from gateway.exchange.recording import Recorder
from gateway.ports import ExchangeStep, ExchangeStore


class Advancing:
    def __init__(self, store: ExchangeStore, recorder: Recorder) -> None:
        self._store = store
        self._recorder = recorder

    async def save(self, exchange: Exchange, decide: Callable[[Consent | None], ExchangeStep]) -> Exchange:
        """What is committed. Whoever was first (a cancellation, another process) has decided; then theirs stands."""
        flush = False

        def noting(consent: Consent | None) -> ExchangeStep:
            nonlocal flush
            step = decide(consent)
            flush = bool(step.records)
            return step

        try:
            saved = await self._store.advance(exchange, noting)
        except StateConflict:
            current = await self._store.exchange(exchange.exchange_id)
            if current is None or current.version == exchange.version:
                raise
            return current
        if flush:
            await self._recorder.flush()
        return saved
