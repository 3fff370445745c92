"""What is read of the authorization server's state, and the statements that stand alone. Each function runs in an open
transaction."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import ColumnElement, Connection, Table, bindparam, delete, or_, select, tuple_

from adapters.sql import authorization_rows as rows
from adapters.sql import authorization_tables as tables
from adapters.sql import rows as store_rows
from adapters.sql import tables as store_tables
from adapters.sql.prepared import Prepared, insertion
from gateway.core.model import Consent
from gateway.oauth.grant import OAuthGrant, OwnerSession, PushedRequest
from gateway.ports import Announced, Sealer

ENDED_GRANT_SECONDS = 86_400
"""How long a grant that ended or expired is kept: what it was asked for is then refused for its reason."""
REPLAY_KEPT_SECONDS = 60
"""How long a replay id is kept behind its end: a sweeping replica's clock may be ahead of the one that judges."""

_requests, _grants, _sessions = tables.requests.c, tables.grants.c, tables.sessions.c
_revocations, _consents = tables.revocations.c, store_tables.consents.c
_counters = store_tables.counters.c

_INSERT_REQUEST = insertion(tables.requests)
_INSERT_SESSION = insertion(tables.sessions)
_PUSHED = Prepared(
    select(*(_requests[name] for name in rows.REQUEST_COLUMNS)).where(_requests.handle_hash == bindparam("id"))
)
_SESSION = Prepared(
    select(*(_sessions[name] for name in rows.SESSION_COLUMNS)).where(_sessions.session_hash == bindparam("id"))
)
_CLOSE = Prepared(delete(tables.sessions).where(_sessions.session_hash == bindparam("id")))
_LIVE_GRANT = Prepared(
    select(*(_grants[name] for name in rows.GRANT_COLUMNS))
    .where(
        _grants.client_id == bindparam("client"),
        _grants.consent_id == bindparam("consent"),
        _grants.code_hash.is_(None),  # the page's is redeemed by its code alone
        _grants.ended.is_(None),
    )
    .order_by(_grants.created_at.desc(), _grants.grant_id.desc())
    .limit(1)
)
_WITH_CONSENT = select(
    *(_grants[name] for name in rows.GRANT_COLUMNS), *(_consents[name] for name in store_rows.CONSENT_COLUMNS)
).where(_grants.consent_id == _consents.consent_id)
_GRANT = Prepared(_WITH_CONSENT.where(_grants.grant_id == bindparam("id")))
_GRANT_BY_REFRESH = Prepared(_WITH_CONSENT.where(_grants.refresh_hash == bindparam("id")))
_NEWEST = Prepared(select(_counters.value).where(_counters.name == bindparam("counter")))
_REVOCATIONS = Prepared(
    select(*(_revocations[name] for name in rows.REVOCATION_COLUMNS))
    .where(_revocations.sequence > bindparam("after"), _revocations.until > bindparam("now"))
    .order_by(_revocations.sequence)
)


def push(connection: Connection, request: PushedRequest, sealer: Sealer) -> None:
    _INSERT_REQUEST.run(connection, rows.request_row(request, sealer))


def pushed(connection: Connection, handle_hash: str, sealer: Sealer) -> PushedRequest | None:
    found = _PUSHED.rows(connection, {"id": handle_hash})
    return rows.pushed(found[0], sealer) if found else None


def live_grant(connection: Connection, client_id: str, consent_id: str) -> OAuthGrant | None:
    found = _LIVE_GRANT.rows(connection, {"client": client_id, "consent": consent_id})
    return rows.grant(found[0]) if found else None


def grant(connection: Connection, grant_id: str, sealer: Sealer) -> tuple[OAuthGrant, Consent] | None:
    return _with_consent(_GRANT.rows(connection, {"id": grant_id}), sealer)


def grant_by_refresh(connection: Connection, refresh_hash: str, sealer: Sealer) -> tuple[OAuthGrant, Consent] | None:
    return _with_consent(_GRANT_BY_REFRESH.rows(connection, {"id": refresh_hash}), sealer)


def open_session(connection: Connection, session: OwnerSession, sealer: Sealer) -> None:
    _INSERT_SESSION.run(connection, rows.session_row(session, sealer))


def session(connection: Connection, session_hash: str, sealer: Sealer) -> OwnerSession | None:
    found = _SESSION.rows(connection, {"id": session_hash})
    return rows.session(found[0], sealer) if found else None


def close_session(connection: Connection, session_hash: str) -> None:
    _CLOSE.run(connection, {"id": session_hash})


def consents_of(
    connection: Connection, subject: str, sealer: Sealer, *, after: str | None, limit: int
) -> Sequence[Consent]:
    """Behind an `after` that is not this owner's there is nothing."""
    query = select(*(_consents[name] for name in store_rows.CONSENT_COLUMNS)).where(_consents.subject == subject)
    if after is not None:
        behind = select(_consents.created_at).where(_consents.consent_id == after, _consents.subject == subject)
        created_at = connection.execute(behind).scalar_one_or_none()
        if created_at is None:
            return ()
        query = query.where(tuple_(_consents.created_at, _consents.consent_id) < (created_at, after))
    query = query.order_by(_consents.created_at.desc(), _consents.consent_id.desc()).limit(limit)
    return [store_rows.consent(row, sealer) for row in connection.execute(query)]


def revocations(connection: Connection, *, after: int, now: int) -> Announced:
    # The number first: of what is committed in between it may say less than the rows, and never more.
    [(newest,)] = _NEWEST.rows(connection, {"counter": "revocations"})
    found = _REVOCATIONS.rows(connection, {"after": after, "now": now})
    return Announced(rows=[rows.revocation(row) for row in found], newest=newest)


def sweep(connection: Connection, *, now: float, limit: int) -> int:
    day_ago = now - ENDED_GRANT_SECONDS
    useless = (
        (tables.requests, _requests.expires_at <= now),
        (tables.sessions, _sessions.expires_at <= now),
        (tables.auth_codes, tables.auth_codes.c.expires_at <= now),
        (tables.replays, tables.replays.c.expires_at <= now - REPLAY_KEPT_SECONDS),
        (tables.revocations, _revocations.until <= int(now)),
        (tables.grants, or_(_grants.expires_at <= int(day_ago), _grants.ended_at <= day_ago)),
    )
    return sum(_drop(connection, table, condition, limit) for table, condition in useless)


def _with_consent(found: Sequence[store_rows.Row], sealer: Sealer) -> tuple[OAuthGrant, Consent] | None:
    if not found:
        return None
    [row], width = found, len(rows.GRANT_COLUMNS)
    return rows.grant(row[:width]), store_rows.consent(row[width:], sealer)


def _drop(connection: Connection, table: Table, condition: ColumnElement[bool], limit: int) -> int:
    [key] = table.primary_key.columns
    # SKIP LOCKED: what another replica sweeps or works on is left to it; nobody waits, so nobody waits in a circle.
    chosen = select(key).where(condition).limit(limit).with_for_update(skip_locked=True)
    return connection.execute(delete(table).where(key.in_(chosen.scalar_subquery()))).rowcount
