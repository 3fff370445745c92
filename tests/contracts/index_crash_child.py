"""Fills the search index of a log in small batches until it is killed. Prints one line for each batch."""

from __future__ import annotations

import asyncio
import sys
from functools import partial

from adapters.clock import SystemClock
from adapters.sql.audit import open_audit_log
from adapters.sql.search_index import open_search_index
from gateway.core.pseudonym import pseudonym
from gateway.followers.indexer import Indexer
from tests import samples
from tests.fakes import FakeSealer

BATCH = 7


class Silent:
    def lag(self, entries: int, seconds: float) -> None: ...

    def unreadable(self, index: int) -> None: ...

    def started_over(self) -> None:
        raise AssertionError("the index was of this log")

    def failed(self, error: Exception) -> None:
        raise error


async def fill(url: str) -> None:
    opening = open_audit_log(
        url, name="crash/audit", origin=samples.ORIGIN, sealer=FakeSealer(), queue_max=99, batch_max=64
    )
    async with opening as log, open_search_index(url) as index:
        keyed = partial(pseudonym, b"k" * 32)
        indexer = Indexer(
            log=log, keys=log, index=index, keyed=keyed, clock=SystemClock(), observer=Silent(), batch_max=BATCH
        )
        while lag := await indexer.round():
            sys.stdout.write(f"{lag}\n")
            sys.stdout.flush()


if __name__ == "__main__":
    asyncio.run(fill(sys.argv[1]))
