"""`ports.Store` on SQL: one group commit that writes, another that reads, and nothing in between.

A read that starts after a write was acknowledged sees it: it is in a later transaction.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

from sqlalchemy import Connection, Engine

from adapters.sql import engine as engines
from adapters.sql import queries
from adapters.sql.authorization import SqlAuthorizationStore
from adapters.sql.authorization_changes import Needs
from adapters.sql.changes import REVOCATION_SECONDS, Change, Statement, Work
from adapters.sql.commit import GroupCommit
from gateway.audit.record import Record
from gateway.core.model import Consent, ConsentStatus, Exchange, ExchangeStatus, Notice
from gateway.errors import Overloaded, UpstreamUnavailable
from gateway.ports import (
    AcceptDecision,
    Accepted,
    AdvanceDecision,
    ConsentDecision,
    Idempotency,
    NewNotice,
    Sealer,
    SubmitDecision,
)


@asynccontextmanager
async def open_store(
    url: str,
    *,
    sealer: Sealer,
    lease_owner: str,
    queue_max: int,
    batch_max: int,
    revocation_seconds: int = REVOCATION_SECONDS,
) -> AsyncIterator[SqlStore]:
    """The store, for as long as the block lasts; at its end, what waits is finished.

    `lease_owner` names this process in leases. `revocation_seconds`: how long the end of a consent or a grant is
    announced, which must be longer than any token that is accepted lives. The schema must be current
    (`migrations.check`). Raises UpstreamUnavailable when the database cannot be used.
    """
    writing, reading = engines.create(url), engines.create(url, reads_only=True)
    store = SqlStore(
        writing,
        reading,
        sealer=sealer,
        lease_owner=lease_owner,
        queue_max=queue_max,
        batch_max=batch_max,
        revocation_seconds=revocation_seconds,
    )
    checkpointer = engines.Checkpointer(writing)
    try:
        await store.count_open()
        checkpointer.start()
        yield store
    finally:
        await store.close()
        await asyncio.to_thread(checkpointer.close)


class SqlStore:
    """See `ports.Store`; used from one event loop. `authorization`: the `ports.AuthorizationStore` on the same
    database, through the same group commits."""

    def __init__(
        self,
        writing: Engine,
        reading: Engine,
        *,
        sealer: Sealer,
        lease_owner: str,
        queue_max: int,
        batch_max: int,
        revocation_seconds: int = REVOCATION_SECONDS,
    ) -> None:
        self._sealer = sealer
        self._lease_owner = lease_owner
        self._revocation_seconds = revocation_seconds
        self._writes: GroupCommit[Change | Statement, Any] = GroupCommit(
            writing,
            self._write_batch,
            name="store-writes",
            queue_max=queue_max,
            batch_max=batch_max,
            full=Overloaded,
            unavailable=UpstreamUnavailable,
        )
        self._reads: GroupCommit[Statement, Any] = GroupCommit(
            reading,
            _read_batch,
            name="store-reads",
            queue_max=queue_max,
            batch_max=batch_max,
            full=Overloaded,
            unavailable=UpstreamUnavailable,
        )

        self.authorization = SqlAuthorizationStore(self._writes, self._reads, sealer=sealer)

    def healthy(self) -> bool:
        """Whether the last write found the database. A worker that claims regularly keeps this up to date."""
        return self._writes.healthy()

    async def close(self) -> None:
        await self._writes.close()
        await self._reads.close()

    # --- consents -----------------------------------------------------------------------------------------------

    async def submit(
        self, decide: SubmitDecision, idempotency: Idempotency, *, auth_code: str | None = None
    ) -> Consent:
        consent: Consent = await self._writes.run(
            Change(
                apply=lambda work: work.submit(decide, idempotency, auth_code),
                consent_key=idempotency.key,
                needs=Needs(auth_code=auth_code) if auth_code is not None else None,
            )
        )
        return consent

    async def consent(self, consent_id: str) -> Consent | None:
        consent: Consent | None = await self._reads.run(
            lambda connection: queries.consent(connection, consent_id, self._sealer)
        )
        return consent

    async def consents(
        self, consumer_id: str, *, status: ConsentStatus | None, after: str | None, limit: int
    ) -> Sequence[Consent]:
        page: Sequence[Consent] = await self._reads.run(
            lambda connection: queries.consents(
                connection, consumer_id, self._sealer, status=status, after=after, limit=limit
            )
        )
        return page

    async def change_consent(self, consent_id: str, decide: ConsentDecision) -> Consent:
        consent: Consent = await self._writes.run(
            Change(apply=lambda work: work.change_consent(consent_id, decide), consent_id=consent_id)
        )
        return consent

    async def expired_consents(self, *, now: int, limit: int) -> Sequence[str]:
        ids: Sequence[str] = await self._reads.run(
            lambda connection: queries.expired_consents(connection, now=now, limit=limit)
        )
        return ids

    async def count_consents(self) -> dict[ConsentStatus, int]:
        counts: dict[ConsentStatus, int] = await self._reads.run(queries.count_consents)
        return counts

    # --- exchanges ----------------------------------------------------------------------------------------------

    async def accept(
        self, consent_id: str, idempotency: Idempotency, *, lease_until: float, decide: AcceptDecision
    ) -> Accepted:
        accepted: Accepted = await self._writes.run(
            Change(
                apply=lambda work: work.accept(consent_id, idempotency, lease_until=lease_until, decide=decide),
                consent_id=consent_id,
                exchange_key=idempotency.key,
            )
        )
        return accepted

    async def advance(self, exchange: Exchange, decide: AdvanceDecision, *, lease_until: float = 0.0) -> Exchange:
        saved: Exchange = await self._writes.run(
            Change(
                apply=lambda work: work.advance(exchange, decide, lease_until=lease_until),
                consent_id=exchange.consent_id,
                exchange_id=exchange.exchange_id,
            )
        )
        return saved

    async def exchange(self, exchange_id: str) -> Exchange | None:
        exchange: Exchange | None = await self._reads.run(
            lambda connection: queries.exchange(connection, exchange_id, self._sealer)
        )
        return exchange

    async def exchanges(
        self, consumer_id: str, *, status: ExchangeStatus | None, after: str | None, limit: int
    ) -> Sequence[Exchange]:
        page: Sequence[Exchange] = await self._reads.run(
            lambda connection: queries.exchanges(
                connection, consumer_id, self._sealer, status=status, after=after, limit=limit
            )
        )
        return page

    async def claim_due(self, *, now: float, lease_until: float, limit: int) -> Sequence[Exchange]:
        claimed: Sequence[Exchange] = await self._writes.run(
            lambda connection: queries.claim_due(
                connection,
                self._sealer,
                now=now,
                lease_until=lease_until,
                lease_owner=self._lease_owner,
                limit=limit,
            )
        )
        return claimed

    async def relying_on(self, evidence_id: str, *, after: str | None, limit: int) -> Sequence[Exchange]:
        page: Sequence[Exchange] = await self._reads.run(
            lambda connection: queries.relying_on(connection, evidence_id, self._sealer, after=after, limit=limit)
        )
        return page

    async def count_open(self) -> dict[ExchangeStatus, int]:
        counts: dict[ExchangeStatus, int] = await self._reads.run(queries.count_open)
        return counts

    # --- notices and outbox -------------------------------------------------------------------------------------

    async def notices(self, participant_id: str, *, after: int, limit: int) -> Sequence[Notice]:
        page: Sequence[Notice] = await self._reads.run(
            lambda connection: queries.notices(connection, participant_id, after=after, limit=limit)
        )
        return page

    async def add_notices(self, notices: Sequence[NewNotice], records: Sequence[Record] = ()) -> None:
        await self._writes.run(Change(apply=lambda work: work.add(notices, records)))

    async def waiting(self, *, limit: int) -> Sequence[tuple[int, Record]]:
        records: Sequence[tuple[int, Record]] = await self._reads.run(
            lambda connection: queries.waiting(connection, limit=limit)
        )
        return records

    async def remove(self, rows: Sequence[int]) -> None:
        await self._writes.run(lambda connection: queries.remove(connection, rows))

    # --- in the writing thread ----------------------------------------------------------------------------------

    def _write_batch(self, connection: Connection, jobs: Sequence[Change | Statement]) -> Sequence[Any]:
        changes = [job for job in jobs if isinstance(job, Change)]
        work = Work(connection, self._sealer, self._lease_owner, revocation_seconds=self._revocation_seconds)
        work.load(changes)
        outcomes = {id(change): _outcome(change, work) for change in changes}
        work.flush()
        # Statements that stand alone take their locks last.
        return [outcomes[id(job)] if isinstance(job, Change) else job(connection) for job in jobs]


def _outcome(change: Change, work: Work) -> Any:
    """The result, or what the decision raised: it raised before it changed anything, so its neighbours go on."""
    try:
        return change.apply(work)
    except Exception as error:
        return error


def _read_batch(connection: Connection, jobs: Sequence[Statement]) -> Sequence[Any]:
    return [job(connection) for job in jobs]
