"""What the flows need of the outside, as small Protocols. Each comment is the contract its adapter is tested on.

Every port method may raise the gateway's errors only; an adapter translates the foreign ones (`raise … from`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from gateway.audit.note import Checkpoint
from gateway.audit.privacy import Open
from gateway.audit.query import Query
from gateway.audit.record import Record
from gateway.audit.searchable import Searchable
from gateway.audit.tiles import Tile
from gateway.audit.tree import Node
from gateway.core.model import (
    Consent,
    ConsentStatus,
    Exchange,
    ExchangeStatus,
    Notice,
)
from gateway.core.quota import Allowance, Tier
from gateway.core.verification import Answer, Question, Silence
from gateway.oauth.access_token import AccessToken as AccessToken  # noqa: PLC0414 - part of this port


class Clock(Protocol):
    """The only source of time."""

    def now(self) -> float:
        """Unix seconds, UTC."""

    def monotonic(self) -> float:
        """Seconds that never go back; for durations only."""


# --- audit ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Position:
    """Where a record stands in the log: its index from 0 and its RFC 6962 leaf hash (32 bytes)."""

    index: int
    leaf_hash: bytes


class AuditLog(Protocol):
    async def append(self, records: Sequence[Record]) -> Sequence[Position]:
        """Durable (synced) on return, in order, all or none.

        Raises AuditUnavailable at once when the queue is full, or when any write has ever failed in this process:
        a failed sync is never retried in place.
        """

    def healthy(self) -> bool:
        """Whether an append could succeed now, and is to be answered for: publication, witnesses and time-stamps are
        within their limits. Never blocks."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredEntry:
    """A committed entry. `entry`: its RFC 8785 bytes, None once pruned. `leaf_hash`: RFC 6962, 32 bytes."""

    index: int
    entry: bytes | None
    leaf_hash: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """What the log says of itself: number of entries, root over them, lowest index that is not pruned."""

    origin: str
    size: int
    root: bytes
    pruned: int


class LogReader(Protocol):
    """The committed entries, for those that follow the log beside its commit path. Raises AuditUnavailable."""

    async def head(self) -> Head:
        """As last committed, also by other processes."""

    async def entries(self, start: int, count: int) -> Sequence[StoredEntry]:
        """Up to `count` entries from index `start`, in order, without gaps."""


class SubjectKeys(Protocol):
    """The keys of the data owners, who are known by their pseudonyms. Raises AuditUnavailable."""

    async def open_for(self, subjects: Sequence[str]) -> Open:
        """For `privacy.opened`, with the keys of these subjects as they are now."""

    async def erase(self, subject: str, record: Record) -> bool:
        """Destroy the subject's keys and append `record`, in one transaction. False, and nothing is written, when there
        is none. From then on no process can open, in whatever it had in memory, what was sealed under them; new entries
        about the subject get a new key. Raises StateConflict while a hold is on the subject."""

    async def hold(self, hold: Hold, record: Record) -> None:
        """Set the hold and append `record`, in one transaction. Raises StateConflict when its id is taken."""

    async def release(self, hold_id: str, record: Record) -> bool:
        """Lift it and append `record`, in one transaction. False when there is no such hold."""

    async def holds(self) -> Sequence[Hold]:
        """All that are set, oldest first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Hold:
    """A legal hold: the subject's key stays, and no entry from `from_index` on is pruned. `subject` None: everybody."""

    hold_id: str
    subject: str | None
    from_index: int
    reason: str  # a case number or code, never a person's data
    since: float


class Recovery(Protocol):
    async def recover(self, new_name: str, record: Record) -> None:
        """The way on after a rollback: give the log a new name and append `record`, in one transaction. Every other
        process that has it open can append no more."""


class Cursors(Protocol):
    """Where those stand that follow the log and must not lose their place. Raises AuditUnavailable."""

    async def cursor(self, name: str) -> int:
        """The index of the next entry for the follower of this name; 0 for a new one."""

    async def set_cursor(self, name: str, following: int) -> None:
        """Durable on return."""


class EventTarget(Protocol):
    """A receiver of copies of the log, for security monitoring."""

    async def deliver(self, events: Sequence[bytes]) -> None:
        """All of them, in order; accepted by the other side on return. Raises UpstreamUnavailable: then any number of
        them may have arrived, and the caller sends all again."""

    async def close(self) -> None:
        """Give its connection back."""


class Pruning(Protocol):
    async def prune(self, below: int, record: Record) -> int:
        """Drop the bytes of the entries below the index (a multiple of 256; leaf hashes stay). The number of entries
        that lost them; 0, and nothing is written, when they had lost them before.

        The decision and `record` are one transaction; the bytes are gone on return, or after a crash when the log is
        opened next. Raises StateConflict when a hold covers one of them, ValueError for an index of no bundle's end.
        """


class Approvals(Protocol):
    async def spend(self, approval_id: str, *, now: float) -> bool:
        """Whether this approval was not used before; from now on it is, on every process, durably. Spent before the
        act: a crash between loses an approval, and never uses one twice. Raises AuditUnavailable."""


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Indexed:
    """How far the search index follows which log. `last_leaf`: leaf hash of entry `next - 1`, by which a log that is
    another one behind the same name is noticed; empty at the start."""

    origin: str
    next: int
    last_leaf: bytes
    pruned: int  # rows below this index were dropped


@dataclass(frozen=True, slots=True, kw_only=True)
class Erasure:
    """The subject's key was destroyed by the entry at `index`."""

    subject: str
    index: int


class SearchIndex(Protocol):
    """Made from the log, and made anew from it at any time. Several processes may fill it. Raises AuditUnavailable."""

    async def position(self) -> Indexed:
        """As last committed; origin "" before the first `add`."""

    async def add(self, rows: Sequence[Searchable], *, erasures: Sequence[Erasure], done: Indexed, to: Indexed) -> bool:
        """Put in the rows of the entries from `done.next` to below `to.next`, drop what erasures among them concern
        (digests of the subject in entries before each), and move the position from `done` to `to`, in one transaction.
        False, and nothing is written, when the position is not `done` any more: another process was there first."""

    async def find(self, query: Query, *, after: int | None, newest_first: bool, limit: int) -> Sequence[int]:
        """Indices of up to `limit` entries below the position that match, by index, behind `after` in that order."""

    async def forget_digests(self, subject: str) -> None:
        """Drop the digests of all entries about the subject."""

    async def prune(self, below: int) -> None:
        """Drop the rows below the index. Bounded transactions; a crash leaves some, and the next call goes on."""

    async def start_over(self, origin: str, *, instead_of: Indexed) -> None:
        """Empty it, for the log of this name. Nothing happens when the position is not `instead_of` any more: another
        process was there first."""


class Draft(Protocol):
    """A file that nobody sees under its name before `publish`. Blocking: called in threads. Raises OSError for trouble
    with the disk."""

    def finish(self) -> tuple[str, int]:
        """No more is written: hex SHA-256 and length of the file, synced."""

    def publish(self) -> None:
        """It has its name, durably, and all of it at once. Raises FileExistsError, and keeps the other file."""


class Archive(Protocol):
    """Many files in one (`Draft`), the same bytes for the same files. Blocking. Raises OSError."""

    def start(self, path: str) -> None:
        """The next file. Raises ValueError for a name that was there before."""

    def write(self, data: bytes) -> None:
        """More of the file that was started last."""

    def digests(self) -> Mapping[str, str]:
        """Hex SHA-256 of every file by its path. The last one is ended by it."""

    def close(self) -> None:
        """No more files."""


class RecordTable(Protocol):
    """Rows of `audit.columns`, as a table for other programs. Blocking. Raises OSError."""

    def add(self, rows: Sequence[ExportedRow]) -> None: ...

    def close(self) -> None:
        """No more rows. Again: nothing."""


class SpooledTable(RecordTable, Protocol):
    """A table that is kept aside, to be put into an `Archive` later."""

    def chunks(self) -> Iterator[bytes]:
        """Its bytes, after `close`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportedRow:
    """`condition`: of the private fields, see `compliance.opening`. `body`: the opened entry; None: nothing of it can
    be read."""

    index: int
    leaf_hash: bytes
    condition: str
    body: Mapping[str, Any] | None


# --- store ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Idempotency:
    """`key`: keyed hash of participant, route and Idempotency-Key. `fingerprint`: hash of the request body."""

    key: str
    fingerprint: str


@dataclass(frozen=True, slots=True, kw_only=True)
class NewNotice:
    """A notice before the store gave it a sequence number. Same fields as `model.Notice`."""

    participant_id: str
    type: str
    time: int
    consent_id: str | None = None
    exchange_id: str | None = None
    evidence_id: str | None = None
    detail: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsentStep:
    """A consent's new state and what is written with it, in one transaction."""

    consent: Consent
    notices: tuple[NewNotice, ...] = ()
    records: tuple[Record, ...] = ()  # into the outbox; see `Outbox`


@dataclass(frozen=True, slots=True, kw_only=True)
class ExchangeStep:
    """An exchange's new state, its consent's new state (None: unchanged), and what is written with them."""

    exchange: Exchange
    consent: Consent | None = None
    notices: tuple[NewNotice, ...] = ()
    records: tuple[Record, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Accepted:
    exchange: Exchange
    replayed: bool  # an earlier request with the same key and body made it


ConsentDecision = Callable[[Consent], ConsentStep | None]
AcceptDecision = Callable[[Consent | None], ExchangeStep]
AdvanceDecision = Callable[[Consent | None], ExchangeStep]


class ConsentStore(Protocol):
    """Decisions are pure functions that the store calls inside its transaction with the locked row. They raise a
    GatewayError to refuse (nothing is written then), and may be called more than once."""

    async def submit(self, step: ConsentStep, idempotency: Idempotency) -> Consent:
        """Insert; or the consent that the same key and body made before. Raises IdempotencyConflict."""

    async def consent(self, consent_id: str) -> Consent | None:
        """The consent as last committed."""

    async def consents(
        self, consumer_id: str, *, status: ConsentStatus | None, after: str | None, limit: int
    ) -> Sequence[Consent]:
        """Own consents in order of (created_at, consent_id), behind the consent id `after`."""

    async def change_consent(self, consent_id: str, decide: ConsentDecision) -> Consent:
        """Apply `decide` to the locked row; None keeps it. Returns what is committed. Raises ConsentNotFound."""

    async def expired_consents(self, *, now: int, limit: int) -> Sequence[str]:
        """Ids of open consents (submitted, valid) whose expire_time has passed, oldest first."""


class ExchangeStore(Protocol):
    async def accept(
        self, consent_id: str, idempotency: Idempotency, *, lease_until: float, decide: AcceptDecision
    ) -> Accepted:
        """Check idempotency, lock the consent, call `decide`, and insert the exchange with the consent's new state,
        all in one transaction. The exchange is leased by this process until `lease_until`.

        A replay returns the exchange as it is now and calls nothing. Raises IdempotencyConflict, and what `decide`
        raises.
        """

    async def exchange(self, exchange_id: str) -> Exchange | None:
        """The exchange as last committed."""

    async def exchanges(
        self, consumer_id: str, *, status: ExchangeStatus | None, after: str | None, limit: int
    ) -> Sequence[Exchange]:
        """Own exchanges in order of their id (time-ordered), behind the id `after`."""

    async def advance(self, exchange: Exchange, decide: AdvanceDecision, *, lease_until: float = 0.0) -> Exchange:
        """Lock the exchange's consent, call `decide` with it, and save, if the saved version is still
        `exchange.version`; the saved one has version + 1. Raises StateConflict when another step was first."""

    async def claim_due(self, *, now: float, lease_until: float, limit: int) -> Sequence[Exchange]:
        """Open exchanges whose `next_attempt_at` and lease have passed, now leased by this process, most overdue
        first. Two claimers never get the same exchange."""

    async def relying_on(self, evidence_id: str, *, after: str | None, limit: int) -> Sequence[Exchange]:
        """Exchanges with a delivered MATCH on this evidence whose revocation they were not told of yet, by id."""

    async def count_open(self) -> dict[ExchangeStatus, int]:
        """For the metric `cdi_exchanges_open`."""

    async def count_consents(self) -> dict[ConsentStatus, int]:
        """For the metric `cdi_consents`."""


class NoticeStore(Protocol):
    async def notices(self, participant_id: str, *, after: int, limit: int) -> Sequence[Notice]:
        """Notices with a sequence above `after`, in order. A reader that continues behind the last sequence it saw
        misses none."""

    async def add_notices(self, notices: Sequence[NewNotice], records: Sequence[Record] = ()) -> None:
        """Durable on return."""


class Outbox(Protocol):
    """Records that were committed with a state change and still have to reach the audit log.

    At least once: a crash between append and removal appends the record again, with the same id.
    """

    async def waiting(self, *, limit: int) -> Sequence[tuple[int, Record]]:
        """Oldest first, with the row number for `remove`."""

    async def remove(self, rows: Sequence[int]) -> None:
        """Durable on return."""


class Store(ConsentStore, ExchangeStore, NoticeStore, Outbox, Protocol):
    """One database behind all of them. Raises UpstreamUnavailable when it cannot be used."""

    def healthy(self) -> bool:
        """Whether a write could succeed now. Never blocks."""


# --- outside -------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class TraceContext:
    """W3C Trace Context: the fields that are continued."""

    traceparent: str


class Platform(Protocol):
    """DVP, or another platform with its own profile."""

    platform_id: str

    async def ask(self, question: Question, *, trace: TraceContext | None, deadline_seconds: float) -> Answer | Silence:
        """One question, with bounded safe repeats inside. Never raises for trouble on the way: that is a `Silence`.

        An `Answer` is authentic: signature, receiver, freshness, `inReplyTo` and `requestId` were checked.
        """

    def breaker_open(self) -> bool:
        """Whether questions are held back now."""


class RateLimits(Protocol):
    async def take(self, tiers: Sequence[Tier]) -> Sequence[Allowance]:
        """All tiers or none, atomically. The answer has one allowance per tier."""


class Replays(Protocol):
    async def first_time(self, scope: str, message_id: str, *, expires_at: float) -> bool:
        """False when this id was seen in this scope and has not expired. Bounded: when full, raises Overloaded."""


class TokenVerifier(Protocol):
    async def verify(self, token: str) -> AccessToken:
        """Signature, issuer, audience, times, type and algorithm are checked; the certificate binding is not: the
        caller compares `thumbprint` on every request. Raises TokenInvalid, or UpstreamUnavailable when the issuer's
        keys cannot be had."""


class Sealer(Protocol):
    """Authenticated encryption at rest of the few values that must come back (vouchers)."""

    def seal(self, text: str, *, context: str) -> bytes:
        """`context` is bound as associated data."""

    def open(self, sealed: bytes, *, context: str) -> str:
        """Raises ValueError when the bytes or the context are not what was sealed."""


class Signer(Protocol):
    """A signing key of ours. ES256."""

    key_id: str

    def sign_jws(self, header: dict[str, str], payload: bytes) -> str:
        """Compact JWS (RFC 7515); `alg` and `kid` are added to the header."""
