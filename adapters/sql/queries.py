"""What is read from the store, and the few statements that stand alone. Each function runs in an open transaction."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection, bindparam, delete, func, select, text, tuple_, update

from adapters.sql import outbox_rows, rows, tables
from adapters.sql.prepared import Prepared
from gateway.audit.record import Record
from gateway.core.lifecycle import OPEN_CONSENT, OPEN_EXCHANGE
from gateway.core.model import EVIDENCE_REVOKED, Consent, ConsentStatus, Exchange, ExchangeStatus, Notice
from gateway.ports import Sealer

_consents, _exchanges = tables.consents.c, tables.exchanges.c
_CONSENT = [_consents[name] for name in rows.CONSENT_COLUMNS]
_EXCHANGE = [_exchanges[name] for name in rows.EXCHANGE_COLUMNS]
_OPEN_EXCHANGE = text(tables.OPEN_SQL)  # word for word, so that the planner sees that the partial index serves
_OPEN_CONSENT = sorted(status.value for status in OPEN_CONSENT)

_ONE_CONSENT = Prepared(select(*_CONSENT).where(_consents.consent_id == bindparam("id")))
_ONE_EXCHANGE = Prepared(select(*_EXCHANGE).where(_exchanges.exchange_id == bindparam("id")))
# SKIP LOCKED: on PostgreSQL two replicas that claim at once share the due ones and do not wait. SQLite has one writer
# at a time anyway, and SQLAlchemy leaves the clause out.
_DUE = (
    select(_exchanges.exchange_id)
    .where(_OPEN_EXCHANGE, _exchanges.next_attempt_at <= bindparam("now"), _exchanges.lease_until <= bindparam("now"))
    .order_by(_exchanges.next_attempt_at)
    .limit(bindparam("limit"))
    .with_for_update(skip_locked=True)
)
_CLAIM = Prepared(
    update(tables.exchanges)
    .where(_exchanges.exchange_id.in_(_DUE.scalar_subquery()))
    .values(lease_until=bindparam("until"), lease_owner=bindparam("owner"))
    .returning(*_EXCHANGE)
)


def consent(connection: Connection, consent_id: str, sealer: Sealer) -> Consent | None:
    found = _ONE_CONSENT.rows(connection, {"id": consent_id})
    return rows.consent(found[0], sealer) if found else None


def consents(
    connection: Connection,
    consumer_id: str,
    sealer: Sealer,
    *,
    status: ConsentStatus | None,
    after: str | None,
    limit: int,
) -> Sequence[Consent]:
    """Behind an `after` that is not this consumer's there is nothing."""
    query = select(*_CONSENT).where(_consents.consumer_id == consumer_id)
    if status is not None:
        query = query.where(_consents.status == status.value)
    if after is not None:
        behind = select(_consents.created_at).where(_consents.consent_id == after, _consents.consumer_id == consumer_id)
        created_at = connection.execute(behind).scalar_one_or_none()
        if created_at is None:
            return ()
        query = query.where(tuple_(_consents.created_at, _consents.consent_id) > (created_at, after))
    query = query.order_by(_consents.created_at, _consents.consent_id).limit(limit)
    return [rows.consent(row, sealer) for row in connection.execute(query)]


def expired_consents(connection: Connection, *, now: int, limit: int) -> Sequence[str]:
    query = (
        select(_consents.consent_id)
        .where(_consents.status.in_(_OPEN_CONSENT), _consents.expire_time <= now)
        .order_by(_consents.expire_time, _consents.consent_id)
        .limit(limit)
    )
    return connection.execute(query).scalars().all()


def exchange(connection: Connection, exchange_id: str, sealer: Sealer) -> Exchange | None:
    found = _ONE_EXCHANGE.rows(connection, {"id": exchange_id})
    return rows.exchange(found[0], sealer) if found else None


def exchanges(
    connection: Connection,
    consumer_id: str,
    sealer: Sealer,
    *,
    status: ExchangeStatus | None,
    after: str | None,
    limit: int,
) -> Sequence[Exchange]:
    query = select(*_EXCHANGE).where(_exchanges.consumer_id == consumer_id)
    if status is not None:
        query = query.where(_exchanges.status == status.value)
    if after is not None:
        query = query.where(_exchanges.exchange_id > after)
    query = query.order_by(_exchanges.exchange_id).limit(limit)
    return [rows.exchange(row, sealer) for row in connection.execute(query)]


def relying_on(
    connection: Connection, evidence_id: str, sealer: Sealer, *, after: str | None, limit: int
) -> Sequence[Exchange]:
    told = select(tables.notices.c.sequence).where(
        tables.notices.c.exchange_id == _exchanges.exchange_id,
        tables.notices.c.type == EVIDENCE_REVOKED,
        tables.notices.c.evidence_id == evidence_id,
    )
    query = select(*_EXCHANGE).where(_exchanges.evidence_id == evidence_id, ~told.exists())
    if after is not None:
        query = query.where(_exchanges.exchange_id > after)
    query = query.order_by(_exchanges.exchange_id).limit(limit)
    return [rows.exchange(row, sealer) for row in connection.execute(query)]


def claim_due(
    connection: Connection, sealer: Sealer, *, now: float, lease_until: float, lease_owner: str, limit: int
) -> Sequence[Exchange]:
    values = {"now": now, "until": lease_until, "owner": lease_owner, "limit": limit}
    claimed = [rows.exchange(row, sealer) for row in _CLAIM.rows(connection, values)]
    return sorted(claimed, key=lambda exchange: exchange.next_attempt_at)


def count_open(connection: Connection) -> dict[ExchangeStatus, int]:
    query = select(_exchanges.status, func.count()).where(_OPEN_EXCHANGE).group_by(_exchanges.status)
    counts: dict[str, int] = {row[0]: row[1] for row in connection.execute(query)}
    return {status: counts.get(status.value, 0) for status in sorted(OPEN_EXCHANGE)}


def count_consents(connection: Connection) -> dict[ConsentStatus, int]:
    query = select(_consents.status, func.count()).group_by(_consents.status)
    counts: dict[str, int] = {row[0]: row[1] for row in connection.execute(query)}
    return {status: counts.get(status.value, 0) for status in ConsentStatus}


def notices(connection: Connection, participant_id: str, *, after: int, limit: int) -> Sequence[Notice]:
    query = (
        select(*(tables.notices.c[name] for name in rows.NOTICE_COLUMNS))
        .where(tables.notices.c.participant_id == participant_id, tables.notices.c.sequence > after)
        .order_by(tables.notices.c.sequence)
        .limit(limit)
    )
    return [rows.notice(row) for row in connection.execute(query)]


def waiting(connection: Connection, *, limit: int) -> Sequence[tuple[int, Record]]:
    query = select(tables.outbox.c.row_number, tables.outbox.c.record).order_by(tables.outbox.c.row_number).limit(limit)
    return [(number, outbox_rows.record(data)) for number, data in connection.execute(query)]


def remove(connection: Connection, numbers: Sequence[int]) -> None:
    connection.execute(delete(tables.outbox).where(tables.outbox.c.row_number.in_(numbers)))
