"""The followers of an audit log, put together for tests and measurements as `gateway/app/trail.py` does."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence
from functools import partial
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from adapters.clock import SystemClock
from adapters.logreading.directory import DirectorySource
from adapters.sql.audit import SqlAuditLog
from adapters.sql.search_index import open_search_index
from adapters.tiles.directory import TileDirectory
from gateway.audit.note import NoteSigner
from gateway.audit.verifying import Earlier, Report, Trust, verify_log
from gateway.core.pseudonym import pseudonym
from gateway.followers.indexer import Indexer
from gateway.followers.publisher import Nobody, Publisher

KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))


class Failures:
    """Observer of all followers; keeps what went wrong."""

    def __init__(self) -> None:
        self.errors: list[Exception] = []

    def published(self, size: int) -> None:
        """The publisher's own coverage says it."""

    def publication_failed(self, error: Exception) -> None:
        self.errors.append(error)

    def rebuilding(self, done: int, size: int) -> None:
        """Nobody watches."""

    def lag(self, entries: int, seconds: float) -> None:
        """Nobody watches."""

    def unreadable(self, index: int) -> None:
        self.errors.append(ValueError(f"entry {index} is unreadable"))

    def started_over(self) -> None:
        """Nobody watches."""

    def failed(self, error: Exception) -> None:
        self.errors.append(error)


@contextlib.asynccontextmanager
async def publishing(
    log: SqlAuditLog, folder: Path, *, origin: str, interval_seconds: float = 0.5
) -> AsyncIterator[Publisher]:
    """Publishes until the block ends, and once more then."""
    files = TileDirectory(folder)
    publisher = Publisher(
        reader=log,
        store=files,
        log=log,
        signers=[NoteSigner(origin, KEY)],
        cosigners=Nobody(),
        clock=SystemClock(),
        interval_seconds=interval_seconds,
        observer=Failures(),
    )
    stop = asyncio.Event()
    try:
        await publisher.start()
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(publisher.run(stop))
            try:
                yield publisher
            finally:
                stop.set()
    finally:
        files.unlock()


@contextlib.asynccontextmanager
async def indexing(log: SqlAuditLog, url: str) -> AsyncIterator[Indexer]:
    """Fills the search index until the block ends."""
    stop = asyncio.Event()
    async with open_search_index(url) as index, asyncio.TaskGroup() as tasks:
        indexer = Indexer(
            log=log,
            keys=log,
            index=index,
            keyed=partial(pseudonym, b"p" * 32),
            clock=SystemClock(),
            observer=Failures(),
        )
        tasks.create_task(indexer.run(stop))
        try:
            yield indexer
        finally:
            stop.set()


def verified(folder: Path, *, origin: str, earlier: Sequence[str] = ()) -> Report:
    """What the verifier says of the folder, knowing these earlier checkpoints."""
    kept = [Earlier(name=f"checkpoint {number}", data=one.encode()) for number, one in enumerate(earlier)]
    return verify_log(DirectorySource(folder), Trust(keys=(NoteSigner(origin, KEY).verifier,)), earlier=kept)
