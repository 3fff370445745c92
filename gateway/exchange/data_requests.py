"""What a bank does with its data requests after asking: read, list, fetch the report, acknowledge, cancel."""

from __future__ import annotations

import hmac
from collections.abc import Sequence
from functools import partial

from gateway.core import lifecycle
from gateway.core.model import Exchange, ExchangeStatus, Report
from gateway.errors import AuditUnavailable, NotFound, StateConflict
from gateway.exchange import steps
from gateway.exchange.admission import Caller
from gateway.exchange.recording import Recorder, actor
from gateway.exchange.verification import Verifications
from gateway.ports import AuditLog, Clock, ExchangeStore

_TRIES = 3


class DataRequests:
    def __init__(
        self,
        *,
        store: ExchangeStore,
        audit: AuditLog,
        recorder: Recorder,
        verifications: Verifications,
        clock: Clock,
    ) -> None:
        self._store = store
        self._audit = audit
        self._recorder = recorder
        self._verifications = verifications
        self._clock = clock

    async def read(self, caller: Caller, exchange_id: str, *, wait_seconds: float = 0) -> Exchange:
        """Own data request, after at most `wait_seconds` for a final status. Others' do not exist (NotFound)."""
        exchange = await self._own(caller, exchange_id)
        if wait_seconds > 0 and exchange.status in lifecycle.OPEN_EXCHANGE:
            exchange = await self._verifications.await_final(exchange, wait_seconds)
        return exchange

    async def page(
        self, caller: Caller, *, status: ExchangeStatus | None, after: str | None, limit: int
    ) -> Sequence[Exchange]:
        """Own data requests, oldest first."""
        return await self._store.exchanges(caller.participant.participant_id, status=status, after=after, limit=limit)

    async def file(self, caller: Caller, exchange_id: str, name: str) -> Report:
        """The signed report of a shared outcome."""
        exchange = await self._own(caller, exchange_id)
        if exchange.report is None or exchange.report.name != name:
            raise NotFound()
        return exchange.report

    async def receive(self, caller: Caller, exchange_id: str, *, file_hash: str, response_id: str | None) -> Exchange:
        """The bank acknowledges the file by its hash. Repeating it changes nothing. Raises StateConflict for another
        hash, and where nothing was shared."""
        exchange = await self._own(caller, exchange_id)
        if exchange.report is None:
            raise StateConflict(f"Not possible in status {exchange.status.value}")
        if not hmac.compare_digest(file_hash, exchange.report.sha256):
            raise StateConflict("fileHash is not the hash of the file that was shared")
        if response_id not in {None, exchange.response_id}:
            raise StateConflict("dataResponseId is not the one that was shared")
        if exchange.status is ExchangeStatus.RECEIVED:
            return exchange
        self._require_audit()
        now = self._clock.now()
        who = actor(caller.participant, caller.certificate, caller.token.client_id)
        try:
            saved = await self._store.advance(
                exchange, lambda consent: steps.receive(exchange, consent, who, caller.interaction, now)
            )
        except StateConflict:  # the same acknowledgement, twice at once
            saved = await self._own(caller, exchange_id)
            if saved.status is not ExchangeStatus.RECEIVED:
                raise
        await self._recorder.flush()
        return saved

    async def cancel(self, caller: Caller, exchange_id: str) -> Exchange:
        """Take back an open data request; its use is given back. Repeating it changes nothing. A question that is under
        way is not interrupted; its answer is not delivered."""
        self._require_audit()
        who = actor(caller.participant, caller.certificate, caller.token.client_id)
        for left in reversed(range(_TRIES)):
            exchange = await self._own(caller, exchange_id)
            if exchange.status is ExchangeStatus.CANCELLED:
                return exchange
            lifecycle.step(lifecycle.EXCHANGE, exchange.status, ExchangeStatus.CANCELLED)
            decide = partial(steps.cancel, exchange, actor=who, now=self._clock.now())
            try:
                saved = await self._store.advance(exchange, decide)
            except StateConflict:  # a step of the worker was first: look at what it left
                if not left:
                    raise
            else:
                await self._recorder.flush()
                return saved
        raise AssertionError("unreachable: the last try returns or raises")

    async def _own(self, caller: Caller, exchange_id: str) -> Exchange:
        exchange = await self._store.exchange(exchange_id)
        if exchange is None or exchange.consumer_id != caller.participant.participant_id:
            raise NotFound()
        return exchange

    def _require_audit(self) -> None:
        if not self._audit.healthy():
            raise AuditUnavailable()
