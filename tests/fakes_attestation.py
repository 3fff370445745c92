"""A log that grows and signs, and witnesses and authorities that answer as they are told. Each obeys its port."""

from __future__ import annotations

import asyncio

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from gateway.audit import note
from gateway.audit.note import COSIGNATURE_V1, Checkpoint, NoteInvalid, NoteSigner
from gateway.audit.tree import Node
from gateway.core import merkle
from gateway.errors import UpstreamUnavailable
from gateway.ports import Cosigned, NotCosigned, Timestamp

ORIGIN = "gateway.example/log"


class GrowingLog:
    """Leaves, and signed notes over the first of them. `salt` makes another history of the same name."""

    def __init__(self, size: int = 0, *, salt: str = "", key: Ed25519PrivateKey | None = None) -> None:
        self.key = key or Ed25519PrivateKey.generate()
        self.signer = NoteSigner(ORIGIN, self.key)
        self._salt = salt
        self.leaves: list[bytes] = []
        self.grow(size)

    def grow(self, count: int) -> None:
        start = len(self.leaves)
        self.leaves += [merkle.leaf_hash(f"{self._salt}{index}".encode()) for index in range(start, start + count)]

    def head(self, size: int | None = None) -> Checkpoint:
        size = len(self.leaves) if size is None else size
        return Checkpoint(origin=ORIGIN, size=size, root=merkle.root(self.leaves[:size]))

    def note(self, size: int | None = None) -> str:
        text = self.head(size).text
        return note.signed(text, [self.signer.line(text)])

    def node(self, level: int, place: int) -> bytes:
        """`tree.Node`."""
        leaves = self.leaves[place << level : (place + 1) << level]
        if len(leaves) != 1 << level:
            raise LookupError("no such subtree")
        return merkle.root(leaves)


class FakeWitness:
    """`ports.Witness`. Cosigns unless `says` is set; waits for ever while `hangs`."""

    def __init__(self, name: str, *, time: int = 1_800_000_000) -> None:
        self.signer = NoteSigner(name, Ed25519PrivateKey.generate(), type=COSIGNATURE_V1)
        self.name, self.public = name, self.signer.verifier.public
        self.time = time
        self.says: NotCosigned | Exception | None = None
        self.hangs = False
        self.asked: list[int] = []  # sizes

    async def cosign(self, note: str, head: Checkpoint, node: Node) -> Cosigned | NotCosigned:
        self.asked.append(head.size)
        if self.hangs:
            await asyncio.Event().wait()
        if isinstance(self.says, Exception):
            raise self.says
        return self.says or Cosigned(lines=(self.signer.line(head.text, time=self.time),), time=self.time)

    def attested(self, checkpoint: bytes) -> int | None:
        try:
            found = note.verify(note.parse(checkpoint), [self.signer.verifier])
        except NoteInvalid:
            return None
        return max((one.time or 0 for one in found), default=None)


class SpyCosigning:
    """`followers.cosigning.Observer`; `seen` is what was told, in order."""

    def __init__(self) -> None:
        self.seen: list[str] = []

    def witness_failed(self, witness: str, reason: str, *, conflict: bool, first: bool) -> None:
        self.seen.append(f"{witness} {'conflict' if conflict else 'failed'} {reason}{'' if first else ' again'}")

    def witness_broke(self, witness: str, error: Exception) -> None:
        self.seen.append(f"{witness} broke {type(error).__name__}")

    def witness_recovered(self, witness: str) -> None:
        self.seen.append(f"{witness} recovered")

    def quorum_missed(self) -> None:
        self.seen.append("quorum missed")

    def quorum_reached(self) -> None:
        self.seen.append("quorum reached")

    def witnesses_forgotten(self, error: Exception) -> None:
        self.seen.append("forgotten")


class FakeAuthority:
    """`ports.TimestampAuthority`. Stamps unless `fails`."""

    def __init__(self) -> None:
        self.fails: Exception | None = None
        self.asked: list[bytes] = []

    async def stamp(self, data: bytes) -> Timestamp:
        self.asked.append(data)
        if self.fails is not None:
            raise self.fails
        return Timestamp(response=b"token over " + data, time=0.0)


class SpyTimestamping:
    """`followers.timestamping.Observer`."""

    def __init__(self) -> None:
        self.seen: list[str] = []

    def stamped(self, size: int) -> None:
        self.seen.append(f"stamped {size}")

    def stamp_failed(self, error: Exception, reason: str, *, first: bool) -> None:
        self.seen.append(f"failed {reason}{'' if first else ' again'}")


UNREACHABLE = UpstreamUnavailable(private="timestamp_unreachable")
