"""What follows the audit log beside its commit path, and the log as the flows see it: guarded by how far that is.

A new follower gets its place in `followers`, and its limit in `limits`.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Protocol

from adapters.keys.log_key import log_signers
from adapters.sql.audit import SqlAuditLog
from adapters.sql.search_index import open_search_index
from adapters.tiles.directory import TileDirectory
from gateway.app.attestation import open_attestation
from gateway.app.forwarding import forwarders
from gateway.audit.searchable import Keyed
from gateway.followers.guard import GuardedAuditLog, patience
from gateway.followers.indexer import Indexer
from gateway.followers.publisher import Publisher
from gateway.followers.threads import InThread, Threads
from gateway.observe.audit import ObservedAuditLog
from gateway.observe.indexing import ObservedIndexing
from gateway.observe.logs import Log
from gateway.observe.metrics import Metrics
from gateway.observe.publication import ObservedPublication
from gateway.ports import AuditLog, Clock, Publication, TileStore
from gateway.settings import Audit

READING_THREADS = 4  # for proofs and the published files, which all the world may ask for


class Follower(Protocol):
    async def run(self, stop: asyncio.Event) -> None:
        """Rounds until `stop`, and what must still be done then. Never raises for what goes wrong in a round."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trail:
    log: AuditLog  # without its guard: dead, it ends the process
    audit: AuditLog  # with it
    publication: Publication
    files: TileStore
    reading: InThread  # for `files`
    followers: tuple[Follower, ...]
    stop: asyncio.Event = field(default_factory=asyncio.Event)

    def follow(self, tasks: asyncio.TaskGroup) -> list[asyncio.Task[None]]:
        """Until `stop` is set, which is for the time when the last record is durable."""
        return [tasks.create_task(follower.run(self.stop)) for follower in self.followers]


@contextlib.asynccontextmanager
async def open_trail(
    settings: Audit, entries: SqlAuditLog, *, keyed: Keyed, clock: Clock, metrics: Metrics, log: Log
) -> AsyncIterator[Trail]:
    """Before anything is appended: what was published is compared with the log. Raises HistoryRefused, EntriesDamaged,
    KeyFileRefused, AuditUnavailable, and what `open_attestation` raises."""
    observed = ObservedAuditLog(entries, metrics=metrics, clock=clock)
    files = TileDirectory(settings.publish.dir)
    async with (
        Threads("publication", count=1) as publishing,
        Threads("published-reads", count=READING_THREADS) as reading,
        open_attestation(settings, entries, files, clock=clock, metrics=metrics, log=log) as attestation,
        open_search_index(settings.index_url) as index,
    ):
        publisher = Publisher(
            reader=entries,
            store=files,
            log=observed,
            signers=log_signers(settings.origin, [settings.signing_key_file, *settings.also_signing_key_files]),
            cosigners=attestation.cosigners,
            clock=clock,
            interval_seconds=settings.publish.interval_seconds,
            observer=ObservedPublication(metrics, log),
            in_thread=publishing,
            reading=reading,
        )
        indexer = Indexer(
            log=entries,
            keys=entries,
            index=index,
            keyed=keyed,
            clock=clock,
            observer=ObservedIndexing(metrics, log),
        )
        metrics.audit_published_lag.set_function(publisher.coverage.lag_seconds)
        limits = [
            patience(publisher.coverage.lag_seconds, settings.publish.refuse_after_seconds),
            *attestation.limits,
        ]
        copies = forwarders(settings.forward, entries, clock=clock, metrics=metrics, log=log)
        try:
            await publisher.start()
            yield Trail(
                log=observed,
                audit=GuardedAuditLog(observed, limits=limits, acknowledged=publisher.coverage.acknowledged),
                publication=publisher,
                files=files,
                reading=reading,
                followers=(publisher, indexer, *attestation.followers, *copies),
            )
        finally:
            files.unlock()
