"""All published files made anew from the entries, byte for byte. Nothing is signed here.

For a folder that was lost or damaged, and for who wants to compare one.
"""

from __future__ import annotations

import asyncio

from gateway.audit.edge import Edge
from gateway.audit.note import Checkpoint
from gateway.audit.tiles import CHECKPOINT
from gateway.followers.history import Progress, check_not_behind, check_signed
from gateway.followers.tiling import Tiler
from gateway.ports import LogReader, TileStore


async def rebuild(
    reader: LogReader, store: TileStore, *, signed: Checkpoint | None, note: bytes | None, progress: Progress
) -> int:
    """Write all tiles and bundles of the tree of `signed`, or without one of the whole log, and then `note`, its
    checkpoint, if given. The number of entries.

    Wrong entries overwrite no file: they are compared with what was signed first. kill -9 leaves whole files and no
    new checkpoint; run it again. Raises HistoryRefused, EntriesDamaged, AuditUnavailable.
    """
    head = await reader.head()
    if signed is not None:
        check_not_behind(head, signed)
        await check_signed(reader, signed)
    size = signed.size if signed is not None else head.size
    tiler = Tiler(reader, store, edge=Edge(), tail=())
    await tiler.advance(size, pruned=head.pruned, progress=lambda done: progress(done, size))
    await asyncio.to_thread(tiler.finish)
    if note is not None:
        await asyncio.to_thread(store.write, [(CHECKPOINT, note)])
    return size
