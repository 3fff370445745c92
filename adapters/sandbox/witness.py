"""A C2SP witness such as somebody else runs: cosigns what is consistent with all that it has cosigned before.

https://c2sp.org/tlog-witness. Its memory is a database that is synced before it signs. No HTTP here.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from gateway.audit import tree, witnessing
from gateway.audit.note import Checkpoint, NoteInvalid, NoteSigner, VerifierKey, checkpoint, open_checkpoint, parse
from gateway.ports import Clock


class WitnessRefused(Exception):
    """`status` and `body` of the answer; `size` when the body is the witness's size."""

    def __init__(self, status: int, reason: str, *, size: int | None = None) -> None:
        super().__init__(reason)
        self.status = status
        self.size = size


class Witness:
    def __init__(self, signer: NoteSigner, logs: Sequence[VerifierKey], *, state_file: Path, clock: Clock) -> None:
        """`logs`: the keys of the logs that it knows; a log is known by its name. Raises sqlite3.Error."""
        self._signer, self._logs, self._clock = signer, tuple(logs), clock
        state_file.parent.mkdir(parents=True, exist_ok=True)
        # One connection, no transaction of its own: `_exclusive` says where one begins and ends.
        self._database = sqlite3.connect(state_file, isolation_level=None)
        self._database.execute("PRAGMA journal_mode = WAL")
        self._database.execute("PRAGMA synchronous = FULL")
        self._database.execute(
            "CREATE TABLE IF NOT EXISTS cosigned (origin TEXT PRIMARY KEY, size INTEGER NOT NULL, root BLOB NOT NULL)"
        )

    def close(self) -> None:
        self._database.close()

    def add_checkpoint(self, body: bytes) -> str:
        """The cosignature lines. Raises WitnessRefused."""
        try:
            request = witnessing.parse(body)
            head = checkpoint(parse(request.note).text)
        except (witnessing.RequestInvalid, NoteInvalid) as error:
            raise WitnessRefused(400, str(error)) from error
        self._check_log(request.note, head)
        if request.old > head.size:
            raise WitnessRefused(400, "the old size is larger than the checkpoint's")
        # Compared and set in one: of two requests at the same time, one sees what the other has made of it.
        with self._exclusive():
            size, root = self._latest(head.origin)
            if request.old != size:
                raise WitnessRefused(409, "another old size", size=size)
            self._check_consistent(size, root, head, request.proof)
            self._database.execute(
                "INSERT OR REPLACE INTO cosigned (origin, size, root) VALUES (?, ?, ?)",
                (head.origin, head.size, head.root),
            )
        # Durable from here on. A crash before the answer: the log asks again, and is told this size.
        return self._signer.line(parse(request.note).text, time=int(self._clock.now()))

    def _check_log(self, note: bytes, head: Checkpoint) -> None:
        keys = [key for key in self._logs if key.name == head.origin]
        if not keys:
            raise WitnessRefused(404, "unknown log")
        try:
            open_checkpoint(note, origin=head.origin, keys=keys)
        except NoteInvalid as error:
            raise WitnessRefused(403, str(error)) from error

    @staticmethod
    def _check_consistent(size: int, root: bytes, head: Checkpoint, proof: Sequence[bytes]) -> None:
        if size == head.size and root != head.root and size:
            raise WitnessRefused(409, "another root at this size", size=size)
        if not (tree.consistent(size, root, head.size, head.root, proof) if size else not proof):
            raise WitnessRefused(422, "the consistency proof does not hold")

    def _latest(self, origin: str) -> tuple[int, bytes]:
        row = self._database.execute("SELECT size, root FROM cosigned WHERE origin = ?", (origin,)).fetchone()
        return (int(row[0]), bytes(row[1])) if row else (0, b"")

    @contextmanager
    def _exclusive(self) -> Iterator[None]:
        self._database.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self._database.execute("ROLLBACK")
            raise
        self._database.execute("COMMIT")
