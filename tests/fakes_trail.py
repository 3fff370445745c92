"""An audit log in memory for what follows it, and a real folder beside it. Each can break on demand."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from adapters.tiles.directory import TileDirectory
from gateway.audit.note import Checkpoint, NoteSigner
from gateway.audit.record import Record, entry
from gateway.audit.tree import Frontier, Node
from gateway.core.merkle import leaf_hash
from gateway.errors import AuditUnavailable
from gateway.followers.publisher import Nobody, Publisher
from gateway.ports import Head, Position, StoredEntry
from tests.fakes import FakeClock
from tests.samples import ORIGIN

LOG = "test.example/log"


def log_key(number: int = 1) -> Ed25519PrivateKey:
    return Ed25519PrivateKey.from_private_bytes(bytes([number]) * 32)


def signer(number: int = 1, origin: str = LOG) -> NoteSigner:
    return NoteSigner(origin, log_key(number))


class MemoryLog:
    """`ports.AuditLog` and `ports.LogReader`."""

    def __init__(self, count: int = 0, *, origin: str = LOG) -> None:
        self.origin = origin
        self.rows: list[StoredEntry] = []
        self.records: list[Record] = []
        self.pruned = 0
        self.dead = False
        self.broken = False
        self.grow(count)

    def grow(self, count: int) -> None:
        for index in range(len(self.rows), len(self.rows) + count):
            self._add(b'{"entry":%d}' % index)

    def cut(self, size: int) -> None:
        """Put back to an earlier state behind everybody's back."""
        del self.rows[size:]

    def change(self, index: int, data: bytes) -> None:
        self.rows[index] = StoredEntry(index=index, entry=data, leaf_hash=leaf_hash(data))

    def prune(self, below: int) -> None:
        self.pruned = below
        self.rows[:below] = [
            StoredEntry(index=one.index, entry=None, leaf_hash=one.leaf_hash) for one in self.rows[:below]
        ]

    def signed(self, size: int | None = None) -> Checkpoint:
        frontier = Frontier()
        frontier.extend(one.leaf_hash for one in self.rows[:size])
        return Checkpoint(origin=self.origin, size=frontier.size, root=frontier.root())

    async def append(self, records: Sequence[Record]) -> Sequence[Position]:
        if self.broken or self.dead:
            raise AuditUnavailable()
        self.records += records
        return [self._add(entry(record, ORIGIN, _never)) for record in records]

    def healthy(self) -> bool:
        return not self.dead

    async def head(self) -> Head:
        if self.broken:
            raise AuditUnavailable()
        now = self.signed()
        return Head(origin=self.origin, size=now.size, root=now.root, pruned=self.pruned)

    async def entries(self, start: int, count: int) -> Sequence[StoredEntry]:
        if self.broken:
            raise AuditUnavailable()
        return self.rows[start : start + count]

    def _add(self, data: bytes) -> Position:
        stored = StoredEntry(index=len(self.rows), entry=data, leaf_hash=leaf_hash(data))
        self.rows.append(stored)
        return Position(index=stored.index, leaf_hash=stored.leaf_hash)


def _never(*_: Any) -> Any:
    raise AssertionError("nothing of these records is private")


class BreakingDirectory(TileDirectory):
    """A real folder whose writes can be refused, after some of them."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.writes_left: int | None = None

    def write(self, files: Sequence[tuple[str, bytes]]) -> None:
        if self.writes_left == 0:
            raise AuditUnavailable(private="No space left on device")
        if self.writes_left is not None:
            self.writes_left -= 1
        super().write(files)


class Witnesses:
    """`ports.Cosigners` that answer with these lines."""

    def __init__(self, *lines: str) -> None:
        self.lines = lines
        self.lacking = False
        self.found: list[bytes] = []
        self.asked: list[Checkpoint] = []
        self.nodes: list[bytes] = []

    async def cosign(self, note: str, head: Checkpoint, node: Node) -> Sequence[str]:
        self.asked.append(head)
        self.nodes.append(node(0, head.size - 1))
        return self.lines

    async def seen(self, checkpoint: bytes) -> None:
        self.found.append(checkpoint)

    def incomplete(self) -> bool:
        return self.lacking


class Watcher:
    """`publisher.Observer`."""

    def __init__(self) -> None:
        self.sizes: list[int] = []
        self.errors: list[Exception] = []
        self.rebuilt: list[tuple[int, int]] = []

    def published(self, size: int) -> None:
        self.sizes.append(size)

    def publication_failed(self, error: Exception) -> None:
        self.errors.append(error)

    def rebuilding(self, done: int, size: int) -> None:
        self.rebuilt.append((done, size))


def publisher(log: MemoryLog, store: TileDirectory, **changes: Any) -> tuple[Publisher, Watcher]:
    watcher = Watcher()
    values: dict[str, Any] = {
        "reader": log,
        "store": store,
        "log": log,
        "signers": [signer(origin=log.origin)],
        "cosigners": Nobody(),
        "clock": FakeClock(),
        "interval_seconds": 0.01,
        "observer": watcher,
    }
    return Publisher(**(values | changes)), watcher


def files_of(folder: Path) -> dict[str, bytes]:
    """Every file of a published log, by its path; the lock is none."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and path.name != ".lock"
    }
