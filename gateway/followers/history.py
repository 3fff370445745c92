"""Whether the entries are those over which the folder's checkpoint was signed: asked before anything new is signed.

One name never signs two trees. What can be made again from the entries is; what cannot be explained refuses.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from gateway.audit.edge import Edge, edge_at
from gateway.audit.note import Checkpoint, NoteInvalid, SignedNote, VerifierKey, checkpoint, parse, verify
from gateway.audit.tiles import HEIGHT, WIDTH, Tile
from gateway.audit.tree import HASH_BYTES, Frontier
from gateway.followers.threads import InThread
from gateway.followers.tiling import BUNDLES, PAGE_ENTRIES, Tiler, check_entries, present
from gateway.ports import Head, LogReader, StoredEntry, TileStore

COMPARED_ENTRIES = 65_536  # newest; `audit verify` compares all of them

Progress = Callable[[int, int], None]
"""Entries done, of how many."""


class HistoryRefused(Exception):
    """Entries and published checkpoint do not belong together; the text says what to do."""


class LogRolledBack(HistoryRefused):
    """The log's entries went back behind its signed checkpoint."""


class LogDiffers(HistoryRefused):
    """The log's entries are not those that were signed."""


class CheckpointUnusable(HistoryRefused):
    """The folder's checkpoint is none of this log."""


def signed_head(data: bytes, *, origin: str, keys: Sequence[VerifierKey]) -> tuple[Checkpoint, SignedNote]:
    """The folder's checkpoint. Signatures by `keys` hold; there may be none, when all keys are new. Raises
    CheckpointUnusable."""
    try:
        note = parse(data)
        head = checkpoint(note.text)
        verify(note, keys)
    except NoteInvalid as error:
        raise CheckpointUnusable(
            f"the published checkpoint cannot be used ({error}): put back the file, or move the folder away to have it "
            "made anew from the entries"
        ) from error
    if head.origin != origin:
        raise CheckpointUnusable(
            f"the folder holds the log {head.origin}, not {origin}: give each log a folder of its own "
            "(audit.publish.dir)"
        )
    return head, note


def check_not_behind(head: Head, signed: Checkpoint) -> None:
    """Raises LogRolledBack, or LogDiffers when the log got another name."""
    if head.origin != signed.origin:
        raise LogDiffers(f"the database holds the log {head.origin} by now, not {signed.origin}")
    if head.size < signed.size:
        raise LogRolledBack(
            f"the database of the audit log has {head.size} entries, but {signed.size} were signed and published: "
            "restore the newest backup of the database; if those entries are lost for good, give the log a new name "
            "and folder (audit.origin, audit.publish.dir) and run `cdi-gateway audit recover`"
        )


async def resumed(
    reader: LogReader,
    store: TileStore,
    *,
    head: Head,
    signed: Checkpoint | None,
    progress: Progress,
    in_thread: InThread = asyncio.to_thread,
) -> Tiler:
    """The tiler where the published checkpoint stands, its full files there; the incomplete ones are to be written
    (`Tiler.finish`). Raises HistoryRefused, EntriesDamaged.

    Usually reads the tail and the newest entries. Missing or damaged files are made anew, once all entries were hashed.
    """
    if signed is None or signed.size == 0:
        return Tiler(reader, store, edge=Edge(), tail=(), in_thread=in_thread)
    check_not_behind(head, signed)
    await in_thread(store.sweep)
    if await in_thread(_complete, store, signed.size, head.pruned):
        tiler = await _from_files(reader, store, signed, head.pruned, in_thread)
        if tiler is not None and await _newest_agree(reader, store, signed.size, in_thread):
            return tiler
    await check_signed(reader, signed, in_thread=in_thread)
    tiler = Tiler(reader, store, edge=Edge(), tail=(), in_thread=in_thread)
    await tiler.advance(signed.size, pruned=head.pruned, progress=lambda size: progress(size, signed.size))
    return tiler


def _complete(store: TileStore, size: int, pruned: int) -> bool:
    """Whether no full tile or bundle is missing; removes what a kill left of superseded partial ones."""
    missing: dict[int, bytearray] = {}
    for level in range(BUNDLES, HEIGHT):
        missing[level] = bytearray(b"\x01") * ((size >> HEIGHT * max(level, 0)) // WIDTH)
    gone = min(pruned // WIDTH, len(missing[BUNDLES]))
    missing[BUNDLES][:gone] = bytes(gone)
    superseded = set()
    for tile in store.tiles():
        expected = missing.get(tile.level, bytearray())
        if tile.number < len(expected):
            if tile.width == WIDTH:
                expected[tile.number] = 0
            else:
                superseded.add(tile.full)
    if any(any(expected) for expected in missing.values()):
        return False
    for tile in superseded:
        store.remove_partial(tile)
    return True


async def _from_files(
    reader: LogReader, store: TileStore, signed: Checkpoint, pruned: int, in_thread: InThread
) -> Tiler | None:
    """Lowest level and bundle from the entries, the levels above from files. None when that is not what was signed."""
    width = signed.size % WIDTH
    page = await reader.entries(signed.size - width, width) if width else ()
    check_entries(page, signed.size - width)
    leaves = b"".join(stored.leaf_hash for stored in page)
    tail = [stored.entry for stored in page]
    if signed.size - width >= pruned:
        present(tail, signed.size - width)

    def hashes(tile: Tile) -> bytes:
        return leaves if tile.level == 0 else _prefix(store, tile)

    try:
        edge = await in_thread(edge_at, signed.size, hashes)
    except ValueError:
        return None
    if edge.root() != signed.root:
        return None
    return Tiler(reader, store, edge=edge, tail=tail, in_thread=in_thread)


async def _newest_agree(reader: LogReader, store: TileStore, size: int, in_thread: InThread) -> bool:
    end = size // WIDTH * WIDTH
    at = max(end - COMPARED_ENTRIES, 0)
    while at < end:
        page = await reader.entries(at, min(PAGE_ENTRIES, end - at))
        if not page or not await in_thread(_agree, store, page):
            return False
        at += len(page)
    return True


def _agree(store: TileStore, page: Sequence[StoredEntry]) -> bool:
    """Whether the lowest tiles hold the leaf hashes of these entries, whose number is one of whole tiles."""
    first = page[0].index // WIDTH
    tiles = [store.read(Tile(level=0, number=number).path) for number in range(first, first + len(page) // WIDTH)]
    return b"".join(tile or b"" for tile in tiles) == b"".join(stored.leaf_hash for stored in page)


async def check_signed(reader: LogReader, signed: Checkpoint, *, in_thread: InThread = asyncio.to_thread) -> None:
    """The long way, over all entries that were signed. Raises LogDiffers, EntriesDamaged."""
    if not await begins_with(reader, signed, in_thread=in_thread):
        raise LogDiffers(
            f"the first {signed.size} entries of the database are not those that were signed and published: keep both "
            "as evidence, and restore the newest backup of the database"
        )


async def begins_with(reader: LogReader, signed: Checkpoint, *, in_thread: InThread = asyncio.to_thread) -> bool:
    """Whether the log's first entries are the tree that was signed. Raises EntriesDamaged."""
    frontier = Frontier()
    while frontier.size < signed.size:
        page = await reader.entries(frontier.size, min(PAGE_ENTRIES, signed.size - frontier.size))
        if not page:
            return False
        await in_thread(check_entries, page, frontier.size)
        await in_thread(frontier.extend, [stored.leaf_hash for stored in page])
    return frontier.root() == signed.root


def _prefix(store: TileStore, tile: Tile) -> bytes:
    """The partial tile, or as much of the full one that has taken its place. Raises ValueError for none."""
    data = store.read(tile.path)
    if data is None:
        data = (store.read(tile.full.path) or b"")[: tile.width * HASH_BYTES]
    if len(data) != tile.width * HASH_BYTES:
        raise ValueError(f"{tile.path} is missing or cut short")
    return data
