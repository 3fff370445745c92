"""What publishing the log needs: its files, witnesses, a time-stamping authority, and those who want copies."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from gateway.audit.note import Checkpoint
from gateway.audit.tiles import Tile
from gateway.audit.tree import Node


class EventTarget(Protocol):
    """A receiver of copies of the log, for security monitoring."""

    async def deliver(self, events: Sequence[bytes]) -> None:
        """All of them, in order; accepted by the other side on return. Raises UpstreamUnavailable: then any number of
        them may have arrived, and the caller sends all again."""

    async def close(self) -> None:
        """Give its connection back."""


class Publication(Protocol):
    """What outsiders can verify by now."""

    def covered(self) -> int:
        """The size of the newest published checkpoint."""

    async def wait_covered(self, index: int, *, timeout_seconds: float) -> bool:
        """Whether a published checkpoint covers the entry, at the latest when the time is up."""

    async def proof(self, index: int) -> str | None:
        """The tlog-proof of the entry under the newest checkpoint; None while none covers it. Raises AuditUnavailable
        when the published files cannot be read or do not hold together."""


class TileStore(Protocol):
    """The folder of the published log. Blocking: called in threads. Paths are below it, as `audit.published` knows
    them; another one is a ValueError. Raises AuditUnavailable when the disk does not do what it is told."""

    def lock(self) -> bool:
        """Become the one who publishes here, in whatever process; made when it is not there. False when another is.
        Kept until `unlock`, or the end of the process."""

    def unlock(self) -> None: ...

    def locked(self) -> bool:
        """Whether this one publishes into the folder that is there now."""

    def read(self, path: str) -> bytes | None:
        """The whole file; None when there is none."""

    def write(self, files: Sequence[tuple[str, bytes]]) -> None:
        """Each file replaced at once and durable on return, in the given order; a reader finds the old or the new."""

    def remove(self, paths: Sequence[str]) -> None:
        """In the given order; those that are not there are as well."""

    def remove_partial(self, tile: Tile) -> None:
        """All partial tiles of which this one has become the full one."""

    def tiles(self) -> Iterator[Tile]:
        """All tiles and bundles that are there, in any order."""

    def sweep(self) -> None:
        """Remove what a killed publisher left unfinished. Only for who has the lock."""

    def stamped(self) -> Sequence[int]:
        """Sizes of the checkpoints that have a time-stamp, in order."""


class Cosigners(Protocol):
    """Others who attest that the log has only grown (C2SP witnesses)."""

    async def cosign(self, note: str, head: Checkpoint, node: Node) -> Sequence[str]:
        """The cosignature lines that came in time for the log's signed note, verified, each with its newline. Never
        raises for trouble on the way, which is an alarm and no line.

        `node`: the complete subtrees of the tree of `head`; it may read files, and is called in threads.
        """

    async def seen(self, checkpoint: bytes) -> None:
        """The signed note in the publication's folder when this process did not publish it: found at the start, or
        another process's. From it follows how long checkpoints have been without their witnesses."""

    def incomplete(self) -> bool:
        """Whether the newest checkpoint lacks witnesses and they may be asked now: it is to be published again with
        theirs, though the log did not grow. Else a log at rest would never recover from their outage."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cosigned:
    """`lines`: verified cosignatures of this one witness, each with its newline. `time`: Unix seconds, by its clock."""

    lines: tuple[str, ...]
    time: int


@dataclass(frozen=True, slots=True, kw_only=True)
class NotCosigned:
    """`reason`: a code. `conflict`: the witness knows another history of this log, or a longer one."""

    reason: str
    conflict: bool = False


class Witness(Protocol):
    """One witness. `name` is that of its key: bounded, since it is configured."""

    name: str
    public: bytes  # its key: a witness that is listed twice is still one

    async def cosign(self, note: str, head: Checkpoint, node: Node) -> Cosigned | NotCosigned:
        """As `Cosigners.cosign`; may be cancelled at any time."""

    def attested(self, checkpoint: bytes) -> int | None:
        """The time in its cosignature on this signed note, Unix seconds; None when there is none that holds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Timestamp:
    """`response`: the authority's RFC 3161 TimeStampResp, DER. `time`: Unix seconds, by the authority's clock."""

    response: bytes
    time: float


class TimestampAuthority(Protocol):
    async def stamp(self, data: bytes) -> Timestamp:
        """A token over the SHA-256 of these bytes, fully verified. Raises UpstreamUnavailable."""
