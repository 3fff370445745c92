"""Entries become files: full tiles and bundles as they fill, the incomplete ones when a tree is to be published.

The same entries always give the same bytes, however they came in. What is signed, and when, is the publisher's.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from gateway.audit.edge import Edge
from gateway.audit.tiles import WIDTH, Tile, bundle
from gateway.core.merkle import leaf_hash
from gateway.followers.threads import InThread
from gateway.ports import LogReader, StoredEntry, TileStore

PAGE_ENTRIES = 1_024
BUNDLES = -1  # their level


class EntriesDamaged(Exception):
    """The stored entries contradict themselves: bytes that are not those of their leaf hash, a gap, or no bytes."""


class Tiler:
    """Cuts the entries of one log into files, from where `edge` and `tail` stand: the entries of the incomplete bundle,
    None for what is pruned."""

    def __init__(
        self,
        reader: LogReader,
        store: TileStore,
        *,
        edge: Edge,
        tail: Sequence[bytes | None],
        in_thread: InThread = asyncio.to_thread,
    ) -> None:
        """Raises ValueError when edge and tail do not fit."""
        if len(tail) != edge.size % WIDTH:
            raise ValueError("the entries of the incomplete bundle do not fit the size")
        self._reader = reader
        self._store = store
        self._in_thread = in_thread
        self._tail = list(tail)
        self.edge = edge

    async def advance(self, size: int, *, pruned: int, progress: Callable[[int], None]) -> None:
        """Write the tiles and bundles that fill up on the way to `size`. Bundles below `pruned` are left out.
        `progress` is told the size after each page.

        A step that fails changes nothing here and can be repeated. kill -9 leaves whole files that no checkpoint
        mentions; the next start goes on from the checkpoint and writes the same bytes again. Raises EntriesDamaged.
        """
        while self.edge.size < size:
            page = await self._reader.entries(self.edge.size, min(PAGE_ENTRIES, size - self.edge.size))
            if any(stored.entry is None and stored.index >= pruned for stored in page):
                pruned = (await self._reader.head()).pruned  # somebody pruned since
            await self._in_thread(self._take, page, pruned)
            progress(self.edge.size)

    def finish(self) -> None:
        """Write the incomplete files of the tree as it is. In a thread."""
        self._store.write([(tile.path, data) for tile, data in self._incomplete()])

    def _take(self, page: Sequence[StoredEntry], pruned: int) -> None:
        if not page:
            raise EntriesDamaged(f"there is no entry {self.edge.size}")
        check_entries(page, self.edge.size)
        edge, full = self.edge.extended([stored.leaf_hash for stored in page])
        held = [*self._tail, *(stored.entry for stored in page)]
        first = self.edge.size - len(self._tail)
        whole = len(held) // WIDTH * WIDTH
        files = []
        for start in range(0, whole, WIDTH):
            if first + start >= pruned:
                data = bundle(present(held[start : start + WIDTH], first + start))
                files.append((Tile(level=BUNDLES, number=(first + start) // WIDTH).path, data))
        files += [(tile.path, data) for tile, data in full]
        if first + whole >= pruned:
            present(held[whole:], first + whole)
        self._store.write(files)
        self.edge, self._tail = edge, held[whole:]

    def _incomplete(self) -> list[tuple[Tile, bytes]]:
        files = self.edge.partial()
        tail = [entry for entry in self._tail if entry is not None]
        if tail and len(tail) == len(self._tail):  # else it is pruned, and the log has more entries than this tree
            tile = Tile(level=BUNDLES, number=self.edge.size // WIDTH, width=len(tail))
            files.insert(0, (tile, bundle(tail)))
        return files


def check_entries(page: Sequence[StoredEntry], start: int) -> None:
    """Whether these are the entries from `start` on, each with its own leaf hash. Raises EntriesDamaged."""
    for index, stored in enumerate(page, start):
        if stored.index != index:
            raise EntriesDamaged(f"there is no entry {index}")
        if stored.entry is not None and leaf_hash(stored.entry) != stored.leaf_hash:
            raise EntriesDamaged(f"the leaf hash of entry {index} is not that of its bytes")


def present(entries: Sequence[bytes | None], start: int) -> list[bytes]:
    """The entries from `start` on, none of which is pruned. Raises EntriesDamaged."""
    found = [entry for entry in entries if entry is not None]
    if len(found) != len(entries):
        raise EntriesDamaged(f"an entry from {start} on has no bytes, though it was not pruned")
    return found
