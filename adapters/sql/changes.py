"""The unit of work of the store: what a batch of changes needs is loaded and locked at once, the decisions run on it
in memory, and all that they wrote is written at once.

A handful of statements serves a hundred callers. Locks are taken in one order (consents by id, exchanges by id, what
`authorization_changes` locks, the counters), so that replicas on one PostgreSQL never wait for each other in a circle.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from sqlalchemy import Connection, bindparam, select, update

from adapters.sql import outbox_rows, rows, tables
from adapters.sql.authorization_changes import ENDED_BY, AuthorizationWork, Needs
from adapters.sql.prepared import Prepared, PreparedLookup, insertion
from gateway.audit.record import Record
from gateway.core.model import Consent, Exchange
from gateway.errors import ConsentNotFound, IdempotencyConflict, StateConflict
from gateway.oauth.grant import AuthCode, OAuthGrant
from gateway.ports import (
    AcceptDecision,
    Accepted,
    AdvanceDecision,
    ConsentDecision,
    GrantDecision,
    GrantStep,
    Idempotency,
    NewNotice,
    Sealer,
    SubmitDecision,
)

REVOCATION_SECONDS = 7_200
"""How long an announcement is kept: longer than any token that is accepted lives."""

_Made = TypeVar("_Made", Consent, Exchange)

_consents, _exchanges, _counters = tables.consents.c, tables.exchanges.c, tables.counters.c
_CONSENT = [_consents[name] for name in rows.CONSENT_COLUMNS]
_EXCHANGE = [_exchanges[name] for name in rows.EXCHANGE_COLUMNS]

_LOCK_CONSENTS = PreparedLookup(
    select(*_CONSENT).order_by(_consents.consent_id).with_for_update(), _consents.consent_id
)
_LOCK_EXCHANGES = PreparedLookup(
    select(_exchanges.exchange_id, _exchanges.version).order_by(_exchanges.exchange_id).with_for_update(),
    _exchanges.exchange_id,
)
_SUBMITTED = PreparedLookup(
    select(_consents.idempotency_key, _consents.fingerprint, *_CONSENT), _consents.idempotency_key
)
_ACCEPTED = PreparedLookup(
    select(_exchanges.idempotency_key, _exchanges.fingerprint, *_EXCHANGE), _exchanges.idempotency_key
)
_INSERT_CONSENT = insertion(tables.consents)
_INSERT_EXCHANGE = insertion(tables.exchanges)
_INSERT_NOTICE = insertion(tables.notices)
_INSERT_RECORD = insertion(tables.outbox, "record")
_SAVE_CONSENT = Prepared(
    update(tables.consents)
    .where(_consents.consent_id == bindparam("row_id"))
    .values({name: bindparam(name) for name in rows.CONSENT_STATE_COLUMNS})
)
_SAVE_EXCHANGE = Prepared(
    update(tables.exchanges)
    .where(_exchanges.exchange_id == bindparam("row_id"))
    .values({name: bindparam(name) for name in rows.EXCHANGE_STATE_COLUMNS})
)
_COUNT = Prepared(
    update(tables.counters)
    .where(_counters.name == bindparam("counter"))
    .values(value=_counters.value + bindparam("added"))
    .returning(_counters.value)
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One change: what must be loaded for it, and the step itself.

    `apply` refuses (raises) before it changes anything in the work.
    """

    apply: Callable[[Work], Any]
    consent_id: str | None = None
    exchange_id: str | None = None
    consent_key: str | None = None  # idempotency keys
    exchange_key: str | None = None
    needs: Needs | None = None


Statement = Callable[[Connection], Any]
"""A job that is no change of the working set: statements that stand alone."""


class Work:
    """One transaction's working set."""

    def __init__(
        self,
        connection: Connection,
        sealer: Sealer,
        lease_owner: str,
        *,
        revocation_seconds: int = REVOCATION_SECONDS,
    ) -> None:
        self.authorization = AuthorizationWork(connection, revocation_seconds)
        self._connection = connection
        self._sealer = sealer
        self._lease_owner = lease_owner
        self._consents: dict[str, Consent] = {}
        self._versions: dict[str, int] = {}
        self._submitted: dict[str, tuple[str, Consent]] = {}
        self._accepted: dict[str, tuple[str, Exchange]] = {}
        self._new_consents: list[rows.Values] = []
        self._new_exchanges: list[rows.Values] = []
        self._changed_consents: set[str] = set()
        self._changed_exchanges: list[rows.Values] = []
        self._notices: list[NewNotice] = []
        self._records: list[Record] = []

    def load(self, changes: Sequence[Change]) -> None:
        needs = [change.needs for change in changes if change.needs is not None]
        owning = self.authorization.locate(needs)
        for row in self._rows(_LOCK_CONSENTS, (*(change.consent_id for change in changes), *owning)):
            self._consents[row[0]] = rows.consent(row, self._sealer)
        for row in self._rows(_LOCK_EXCHANGES, (change.exchange_id for change in changes)):
            self._versions[row[0]] = row[1]
        self.authorization.load(needs)
        # After the locks: another replica that held the consent may have accepted the same request meanwhile, and
        # its repetition must be answered rather than refused for the use that it took itself.
        for row in self._rows(_SUBMITTED, (change.consent_key for change in changes)):
            self._submitted[row[0]] = row[1], rows.consent(row[2:], self._sealer)
        for row in self._rows(_ACCEPTED, (change.exchange_key for change in changes)):
            self._accepted[row[0]] = row[1], rows.exchange(row[2:], self._sealer)

    def flush(self) -> None:
        """Two writers of one idempotency key on different replicas meet here: the second is undone by the unique
        column, and finds the first one's row when it runs again."""
        changed = [rows.consent_state(self._consents[consent_id]) for consent_id in sorted(self._changed_consents)]
        for statement, values in (
            (_INSERT_CONSENT, self._new_consents),
            (_SAVE_CONSENT, changed),
            (_INSERT_EXCHANGE, self._new_exchanges),
            (_SAVE_EXCHANGE, self._changed_exchanges),
            (_INSERT_RECORD, [{"record": outbox_rows.record_data(record)} for record in self._records]),
        ):
            if values:
                statement.run_many(self._connection, values)
        self.authorization.flush()
        if self._notices:
            first = self._count("notices", len(self._notices)) - len(self._notices) + 1
            _INSERT_NOTICE.run_many(
                self._connection,
                [rows.notice_row(number, notice) for number, notice in enumerate(self._notices, first)],
            )
        self.authorization.publish(lambda added: self._count("revocations", added))

    def submit(self, decide: SubmitDecision, idempotency: Idempotency, auth_code: str | None = None) -> Consent:
        earlier = self._submitted.get(idempotency.key)
        if earlier is not None:
            return _same(earlier, idempotency)
        step = decide(self.authorization.auth_code(auth_code))
        if step.spends is not None:
            if step.spends != auth_code or not self.authorization.spendable(step.spends):
                raise ValueError("a step spends the Auth Code that it was decided with, and once")
            self.authorization.spend(step.spends, spent_at=float(step.consent.updated_at))
        self._new_consents.append(rows.consent_row(step.consent, idempotency, self._sealer))
        self._submitted[idempotency.key] = idempotency.fingerprint, step.consent
        self.add(step.notices, step.records)
        return step.consent

    def change_consent(self, consent_id: str, decide: ConsentDecision) -> Consent:
        consent = self._consents.get(consent_id)
        if consent is None:
            raise ConsentNotFound()
        step = decide(consent)
        if step is None:
            return consent
        self._save_consent(step.consent)
        self.add(step.notices, step.records)
        return step.consent

    def accept(
        self, consent_id: str, idempotency: Idempotency, *, lease_until: float, decide: AcceptDecision
    ) -> Accepted:
        earlier = self._accepted.get(idempotency.key)
        if earlier is not None:
            return Accepted(exchange=_same(earlier, idempotency), replayed=True)
        step = decide(self._consents.get(consent_id))
        self._new_exchanges.append(
            rows.exchange_row(
                step.exchange,
                idempotency,
                lease_until=lease_until,
                lease_owner=self._lease_owner,
                sealer=self._sealer,
            )
        )
        self._accepted[idempotency.key] = idempotency.fingerprint, step.exchange
        if step.consent is not None:
            self._save_consent(step.consent)
        self.add(step.notices, step.records)
        return Accepted(exchange=step.exchange, replayed=False)

    def advance(self, exchange: Exchange, decide: AdvanceDecision, *, lease_until: float) -> Exchange:
        if self._versions.get(exchange.exchange_id) != exchange.version:
            raise StateConflict()
        step = decide(self._consents.get(exchange.consent_id))
        saved = replace(step.exchange, version=exchange.version + 1)
        self._changed_exchanges.append(
            rows.exchange_state(saved, lease_until=lease_until, lease_owner=self._lease_owner)
        )
        self._versions[exchange.exchange_id] = saved.version
        if step.consent is not None:
            self._save_consent(step.consent)
        self.add(step.notices, step.records)
        return saved

    def decide_grant(self, needs: Needs, decide: GrantDecision) -> OAuthGrant | None:
        grant = self.authorization.grant(needs)
        step = decide(grant, self._consents.get(grant.consent_id) if grant is not None else None)
        if step is None:
            return grant
        if grant is None:
            raise ValueError("there is no grant to decide on")
        self.authorization.save_grant(grant, step.grant)
        self.add((), step.records)
        return step.grant

    def add_grant(self, step: GrantStep) -> None:
        self.authorization.insert_grant(step.grant, self._consents.get(step.grant.consent_id))
        self.add((), step.records)

    def take(self, handle_hash: str, step: GrantStep | None, records: Sequence[Record]) -> bool:
        if not self.authorization.take(handle_hash):
            return False
        if step is not None:
            self.add_grant(step)
        self.add((), records)
        return True

    def add_auth_code(self, code: AuthCode, records: Sequence[Record]) -> None:
        self.authorization.add_auth_code(code)
        self.add((), records)

    def add(self, notices: Iterable[NewNotice], records: Iterable[Record]) -> None:
        self._notices.extend(notices)
        self._records.extend(records)

    def _save_consent(self, consent: Consent) -> None:
        before = self._consents.get(consent.consent_id)
        if before == consent:
            return
        self._consents[consent.consent_id] = consent
        self._changed_consents.add(consent.consent_id)
        reason = ENDED_BY.get(consent.status)
        if reason is not None and (before is None or before.status is not consent.status):
            self.authorization.end_consent(consent, reason)

    def _count(self, counter: str, added: int) -> int:
        """The counter's new value. Its row stays locked until the commit."""
        [(last,)] = _COUNT.rows(self._connection, {"counter": counter, "added": added})
        return int(last)

    def _rows(self, lookup: PreparedLookup, keys: Iterable[str | None]) -> Sequence[rows.Row]:
        return lookup.rows(self._connection, sorted({key for key in keys if key is not None}))


def _same(earlier: tuple[str, _Made], idempotency: Idempotency) -> _Made:
    fingerprint, made = earlier
    if fingerprint != idempotency.fingerprint:
        raise IdempotencyConflict()
    return made
