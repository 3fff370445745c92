"""The database of consents and exchanges. Decisions are pure functions that it calls inside its transactions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from gateway.audit.record import Record
from gateway.core.model import (
    Consent,
    ConsentStatus,
    Exchange,
    ExchangeStatus,
    Notice,
)
from gateway.oauth.grant import AuthCode


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
    spends: str | None = None  # hash of the Auth Code that made the consent valid


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


SubmitDecision = Callable[[AuthCode | None], ConsentStep]

ConsentDecision = Callable[[Consent], ConsentStep | None]

AcceptDecision = Callable[[Consent | None], ExchangeStep]

AdvanceDecision = Callable[[Consent | None], ExchangeStep]


class ConsentStore(Protocol):
    """Decisions are pure functions that the store calls inside its transaction with the locked row. They raise a
    GatewayError to refuse (nothing is written then), and may be called more than once."""

    async def submit(
        self, decide: SubmitDecision, idempotency: Idempotency, *, auth_code: str | None = None
    ) -> Consent:
        """Insert what `decide` makes; or the consent that the same key and body made before, and nothing is decided
        then. Raises IdempotencyConflict, and what `decide` raises.

        `auth_code`: hash of the code that was presented; `decide` gets its locked row, None where there is none. A code
        that the step `spends` is marked in the same transaction, so that it counts once."""

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
