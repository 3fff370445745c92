"""Publishes the log beside its commit path: files, then cosignatures, then the checkpoint that covers them.

Entries are the truth. Whatever goes wrong here is an alarm and is tried again; no append waits for it or fails by it.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Sequence
from typing import Protocol

from gateway.audit.note import Checkpoint, NoteSigner, SignatureLine, SignedNote, parse, signed
from gateway.audit.record import Record
from gateway.audit.tiles import CHECKPOINT, HEIGHT, WIDTH, Tile, TileHashes
from gateway.core.ids import uuid7
from gateway.errors import AuditUnavailable
from gateway.followers.coverage import Coverage
from gateway.followers.history import HistoryRefused, LogDiffers, check_not_behind, resumed, signed_head
from gateway.followers.proving import Prover
from gateway.followers.threads import InThread
from gateway.followers.tiling import BUNDLES, EntriesDamaged, Tiler
from gateway.pausing import pause
from gateway.ports import AuditLog, Clock, Cosigners, Head, LogReader, TileStore

AT_START_ENTRIES_MAX = 65_536  # a second's work; a folder that is made anew must not hold up the service
PAUSE_SECONDS_MAX = 30.0  # between tries that fail
REFUSED_PAUSE_SECONDS_MAX = 300.0  # between those that may hash all entries each time
PAUSE_SHARE_MIN = 0.2  # of the interval, however long a round took: commits get their turn
_REMOVED_AT_ONCE = 1_024


class Observer(Protocol):
    def published(self, size: int) -> None: ...

    def publication_failed(self, error: Exception) -> None: ...

    def rebuilding(self, done: int, size: int) -> None:
        """Files are made anew from the entries."""


class Nobody:
    """`ports.Cosigners` of a log without witnesses."""

    async def cosign(self, note: str, head: Checkpoint, node: object) -> Sequence[str]:  # noqa: ARG002
        return ()

    async def seen(self, checkpoint: bytes) -> None:
        """Nobody is missing."""

    def incomplete(self) -> bool:
        return False


class Publisher:
    """See `ports.Publication`. One process publishes into a folder; the others look at what it did, ready to go on."""

    def __init__(
        self,
        *,
        reader: LogReader,
        store: TileStore,
        log: AuditLog,
        signers: Sequence[NoteSigner],
        cosigners: Cosigners,
        clock: Clock,
        interval_seconds: float,
        observer: Observer,
        in_thread: InThread = asyncio.to_thread,
        reading: InThread = asyncio.to_thread,
    ) -> None:
        """`signers`: the log's own keys, the current one first. `in_thread` is for publication, `reading` for proofs:
        however many ask for those, checkpoints do not wait for them."""
        self._reader, self._store, self._log = reader, store, log
        self._signers = tuple(signers)
        self._keys = tuple(signer.verifier for signer in signers)
        self._key_ids = frozenset(key.key_id for key in self._keys)
        self._origin = self._keys[0].name
        self._cosigners = cosigners
        self._clock = clock
        self._interval = interval_seconds
        self._observer = observer
        self._in_thread, self._reading = in_thread, reading
        self._prover = Prover(store)
        self._tiler: Tiler | None = None  # none while another process publishes
        self._published: bytes | None = None  # the newest checkpoint in the folder, as far as we know
        self._partial: set[Tile] = set()  # the full tiles of which there are partial ones
        self._removed = 0  # bundles below this index are gone
        self._unnoted: frozenset[bytes] | None = None  # the keys before ours, when `key.rotated` is due
        self._noted: frozenset[bytes] | None = None  # those of which it tells, until a checkpoint by ours is there
        self._failures = 0
        self._pause_seconds_max = PAUSE_SECONDS_MAX
        self.coverage = Coverage(clock)

    # --- ports.Publication --------------------------------------------------------------------------------------

    def covered(self) -> int:
        return self.coverage.size

    async def wait_covered(self, index: int, *, timeout_seconds: float) -> bool:
        return await self.coverage.wait(index, timeout_seconds=timeout_seconds)

    async def proof(self, index: int) -> str | None:
        return await self._reading(self._prover.proof, index)

    # --- the follower -------------------------------------------------------------------------------------------

    def publishes(self) -> bool:
        """Whether it is this process that writes into the folder."""
        return self._tiler is not None

    async def start(self) -> None:
        """Before anything is appended: whether the log is the one that was published. Publishes what is new, or leaves
        it to `run` when that is much.

        Raises HistoryRefused, EntriesDamaged, and AuditUnavailable for a folder or database that cannot be used.
        """
        await self._take_up()
        head = await self._reader.head()
        if self._tiler is not None and head.size - self.coverage.size <= AT_START_ENTRIES_MAX:
            try:
                await self._round(self._tiler)
            except AuditUnavailable as error:  # a full disk stops no appends; what has been checked is right
                self._failed(error)

    async def run(self, stop: asyncio.Event) -> None:
        """Rounds until `stop`, and one more: what was appended before it is published."""
        last, took = False, 0.0
        while not last:
            await pause(stop, self.pause_seconds(took))
            last = stop.is_set()
            began = self._clock.monotonic()
            await self.attempt()
            took = self._clock.monotonic() - began

    async def attempt(self) -> None:
        """One round. Never raises for what goes wrong in it: that is an alarm, and the next round tries again."""
        try:
            if self._tiler is not None and not await self._in_thread(self._store.locked):
                self._tiler = None  # it is another folder by now, which lacks what was written into the first
            if self._tiler is None:
                await self._take_up()
            if self._tiler is not None:
                await self._round(self._tiler)
            self._failures = 0
        except Exception as error:  # the boundary of the loop
            if not isinstance(error, AuditUnavailable):
                self._tiler = None  # what it holds may be wrong: begin again from what is signed
            self._failed(error)

    def _failed(self, error: Exception) -> None:
        self._failures += 1
        refused = isinstance(error, HistoryRefused | EntriesDamaged)
        self._pause_seconds_max = REFUSED_PAUSE_SECONDS_MAX if refused else PAUSE_SECONDS_MAX
        self._observer.publication_failed(error)

    async def _take_up(self) -> None:
        """Become the one who publishes, if nobody else does; else see what they published."""
        at = self._clock.monotonic()
        owner = await self._in_thread(self._store.lock)
        data = await self._in_thread(self._store.read, CHECKPOINT)
        head = await self._reader.head()  # after the checkpoint: it cannot be behind it unless the log went back
        self.coverage.looked(head.size, at)
        newest: Checkpoint | None = None
        note: SignedNote | None = None
        if data is None:
            self._published = None
        else:
            newest, note = signed_head(data, origin=self._origin, keys=self._keys)
            check_not_behind(head, newest)
        if owner:
            tiler = await resumed(
                self._reader,
                self._store,
                head=head,
                signed=newest,
                progress=self._observer.rebuilding,
                in_thread=self._in_thread,
            )
            before = self._key_ids if note is None else self._signed_by(note)
            self._unnoted = before if before not in {self._key_ids, self._noted} else None
            self._tiler = tiler
            self._partial |= _incomplete(tiler.edge.size)
            try:
                if newest is not None:
                    await self._in_thread(tiler.finish)  # few files: written rather than looked for
            except AuditUnavailable as error:  # as in `start`
                self._failed(error)
            if newest is not None and newest.size == head.size:  # else the round that follows does it
                await self._in_thread(self._tidy, head)
        if data is not None and newest is not None and data != self._published:
            await self._cosigners.seen(data)
            self._done(data, newest.size, at)

    def _signed_by(self, note: SignedNote) -> frozenset[bytes]:
        return frozenset(line.key_id for line in note.signatures if line.name == self._origin)

    async def _note_new_keys(self, before: frozenset[bytes]) -> None:
        """On record before the first checkpoint with them. A crash between the two records them twice."""
        facts = {"vkey": str(self._keys[0]), "previous": " ".join(sorted(key.hex() for key in before))}
        if self._keys[1:]:
            facts["also"] = " ".join(map(str, self._keys[1:]))
        now = self._clock.now()
        await self._log.append(
            [Record(record_id=uuid7(now, os.urandom(10)), time=now, type="key.rotated", facts=facts)]
        )
        self._noted, self._unnoted = before, None

    # --- one publication ----------------------------------------------------------------------------------------

    async def _round(self, tiler: Tiler) -> None:
        """Files, cosignatures, checkpoint, in this order.

        kill -9 before the checkpoint: whole files that no checkpoint mentions, and which the next start writes again
        with the same bytes; witnesses that saw more than was published, which is still the same tree. After it:
        superseded files, which the next start removes.
        """
        at = self._clock.monotonic()
        head = await self._reader.head()
        self.coverage.looked(head.size, at)
        check_not_behind(head, Checkpoint(origin=self._origin, size=self.coverage.size, root=head.root))
        grown = head.size > self.coverage.size or (self._published is None and head.size > 0)
        due = grown or self._unnoted is not None or (head.size > 0 and self._cosigners.incomplete())
        if not due:
            return
        far = head.size - tiler.edge.size > AT_START_ENTRIES_MAX
        await tiler.advance(
            head.size,
            pruned=head.pruned,
            progress=lambda size: self._observer.rebuilding(size, head.size) if far else None,
        )
        newest = Checkpoint(origin=self._origin, size=head.size, root=await self._in_thread(tiler.edge.root))
        if newest.root != head.root:
            raise LogDiffers("the entries do not lead to the root that was committed with them; nothing is signed")
        if self._unnoted is not None:  # only now: on record once, however often a log is tried that cannot be signed
            await self._note_new_keys(self._unnoted)
            await self._round(tiler)
            return
        if grown:
            self._partial |= _incomplete(newest.size)
            await self._in_thread(tiler.finish)
        data = await self._signed(newest)
        if data != self._published:
            await self._in_thread(self._store.write, [(CHECKPOINT, data)])
        self._noted = None
        self._done(data, newest.size, at)
        await self._in_thread(self._tidy, head)

    async def _signed(self, newest: Checkpoint) -> bytes:
        own = [signer.line(newest.text) for signer in self._signers]
        note = signed(newest.text, own)
        lines = list(await self._cosigners.cosign(note, newest, TileHashes(newest.size, self._prover.tile)))
        return signed(newest.text, [*own, *self._kept(newest, lines), *lines]).encode()

    def _kept(self, newest: Checkpoint, lines: Sequence[str]) -> list[str]:
        """Cosignatures on this same checkpoint from before: who did not answer this time has still cosigned it."""
        if self._published is None:
            return []
        note = parse(self._published)
        if note.text != newest.text:
            return []
        again = {_signatory(line) for one in lines for line in parse(signed(newest.text, [one])).signatures}
        own = {(key.name, key.key_id) for key in self._keys}
        return [line.text for line in note.signatures if _signatory(line) not in again | own]

    def _done(self, data: bytes, size: int, at: float) -> None:
        self._published = data
        self.coverage.published(size, at)
        self._observer.published(size)

    def _tidy(self, head: Head) -> None:
        """What the new checkpoint does not need: partial tiles that have become full, bundles of pruned entries."""
        for tile in [one for one in self._partial if _has(head.size, one)]:
            self._store.remove_partial(tile)
            self._partial.discard(tile)
        last = Tile(level=BUNDLES, number=head.pruned // WIDTH - 1)
        if head.pruned > self._removed and self._store.read(last.path) is not None:
            # Upwards: while the last one is there, a removal that was cut short is noticed and goes on.
            paths = [Tile(level=BUNDLES, number=number).path for number in range(head.pruned // WIDTH)]
            for start in range(0, len(paths), _REMOVED_AT_ONCE):
                self._store.remove(paths[start : start + _REMOVED_AT_ONCE])
        self._removed = head.pruned

    def pause_seconds(self, took: float) -> float:
        """From the beginning of one round to that of the next: the interval; longer after rounds that failed."""
        if self._failures:
            return min(self._interval * 2.0 ** min(self._failures, 10), max(self._pause_seconds_max, self._interval))
        return max(self._interval - took, self._interval * PAUSE_SHARE_MIN)


def _signatory(line: SignatureLine) -> tuple[str, bytes]:
    return line.name, line.key_id


def _incomplete(size: int) -> set[Tile]:
    """The full tiles that the incomplete ones of this tree will become."""
    counts = {level: size >> HEIGHT * max(level, 0) for level in range(BUNDLES, HEIGHT)}
    return {Tile(level=level, number=has // WIDTH) for level, has in counts.items() if has % WIDTH}


def _has(size: int, tile: Tile) -> bool:
    """Whether a tree of this size has this full tile."""
    return size >> HEIGHT * max(tile.level, 0) >= (tile.number + 1) * WIDTH
