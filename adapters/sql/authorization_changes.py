"""The authorization server's side of the unit of work (`changes.Work`): grants, pushed requests, Auth Codes, replay
ids and what is announced, locked and loaded at once, and written at once.

A grant is only ever locked behind its consent, so that the order of the consents' locks is the order of all of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from operator import attrgetter

from sqlalchemy import Connection, bindparam, delete, select, update

from adapters.sql import authorization_rows as rows
from adapters.sql import authorization_tables as tables
from adapters.sql.prepared import Prepared, PreparedLookup, insertion
from adapters.sql.rows import Row, Values
from gateway.core.model import Consent, ConsentStatus
from gateway.oauth.grant import AuthCode, Ended, OAuthGrant

ENDED_BY = {ConsentStatus.REVOKED: Ended.CONSENT_REVOKED, ConsentStatus.EXPIRED: Ended.CONSENT_EXPIRED}
"""Statuses of a consent with which everything under it ends."""

_requests, _grants, _codes, _replays = tables.requests.c, tables.grants.c, tables.auth_codes.c, tables.replays.c

_LOCATED = (_grants.grant_id, _grants.consent_id)
_BY_CODE = PreparedLookup(select(_grants.code_hash, *_LOCATED), _grants.code_hash)
_BY_REFRESH = PreparedLookup(select(_grants.refresh_hash, *_LOCATED), _grants.refresh_hash)
_BY_ID = PreparedLookup(select(_grants.grant_id, *_LOCATED), _grants.grant_id)
_LOOKUPS: tuple[tuple[PreparedLookup, Callable[[Needs], str | None]], ...] = (
    (_BY_CODE, attrgetter("code")),
    (_BY_REFRESH, attrgetter("refresh")),
    (_BY_ID, attrgetter("grant_id")),
)
_LOCK_GRANTS = PreparedLookup(
    select(*(_grants[name] for name in rows.GRANT_COLUMNS)).order_by(_grants.grant_id).with_for_update(),
    _grants.grant_id,
)
_LOCK_REQUESTS = PreparedLookup(
    select(_requests.handle_hash).order_by(_requests.handle_hash).with_for_update(), _requests.handle_hash
)
_LOCK_AUTH_CODES = PreparedLookup(
    select(*(_codes[name] for name in rows.AUTH_CODE_COLUMNS)).order_by(_codes.code_hash).with_for_update(),
    _codes.code_hash,
)
_SEEN = PreparedLookup(select(_replays.key), _replays.key)
_INSERT_GRANT = insertion(tables.grants)
_SAVE_GRANT = Prepared(
    update(tables.grants)
    .where(_grants.grant_id == bindparam("row_id"))
    .values({name: bindparam(name) for name in rows.GRANT_STATE_COLUMNS})
)
_END_GRANTS = Prepared(
    update(tables.grants)
    .where(_grants.consent_id == bindparam("row_id"), _grants.ended.is_(None))
    .values({name: bindparam(name) for name in ("ended", "ended_at")})
)
_TAKE = Prepared(delete(tables.requests).where(_requests.handle_hash == bindparam("row_id")))
_SPEND = Prepared(
    update(tables.auth_codes).where(_codes.code_hash == bindparam("row_id")).values({"spent_at": bindparam("spent_at")})
)
_INSERT_AUTH_CODE = insertion(tables.auth_codes)
_INSERT_REPLAY = insertion(tables.replays)
_INSERT_REVOCATION = insertion(tables.revocations)


@dataclass(frozen=True, slots=True, kw_only=True)
class Needs:
    """What must be loaded for a change, by its id or hash. Of `code`, `refresh` and `grant_id`, one at most."""

    code: str | None = None
    refresh: str | None = None
    grant_id: str | None = None
    request: str | None = None
    auth_code: str | None = None
    replay: str | None = None


class AuthorizationWork:
    """One transaction's working set. `revocation_seconds`: how long an announcement is kept, counted from its cause."""

    def __init__(self, connection: Connection, revocation_seconds: int) -> None:
        self._connection = connection
        self._revocation_seconds = revocation_seconds
        self._located: dict[Needs, str] = {}
        self._grants: dict[str, OAuthGrant] = {}
        self._requests: set[str] = set()
        self._auth_codes: dict[str, AuthCode] = {}
        self._seen: set[str] = set()
        self._new_grants: dict[str, OAuthGrant] = {}
        self._changed_grants: set[str] = set()
        self._ended_consents: list[Values] = []
        self._taken: list[Values] = []
        self._new_auth_codes: list[Values] = []
        self._spent: list[Values] = []
        self._new_replays: dict[str, float] = {}
        self._announced: list[Values] = []

    # --- loading ------------------------------------------------------------------------------------------------

    def locate(self, needs: Sequence[Needs]) -> set[str]:
        """The consents of the grants that are needed. Nothing is locked: where a grant belongs never changes."""
        consents: set[str] = set()
        for lookup, key_of in _LOOKUPS:
            found = {row[0]: row for row in self._rows(lookup, map(key_of, needs))}
            for need in needs:
                if (key := key_of(need)) in found:
                    _, self._located[need], consent_id = found[key]
                    consents.add(consent_id)
        return consents

    def load(self, needs: Sequence[Needs]) -> None:
        """Behind the locks of the consents."""
        self._requests.update(row[0] for row in self._rows(_LOCK_REQUESTS, (need.request for need in needs)))
        for row in self._rows(_LOCK_AUTH_CODES, (need.auth_code for need in needs)):
            self._auth_codes[row[0]] = rows.auth_code(row)
        for row in self._rows(_LOCK_GRANTS, self._located.values()):
            self._grants[row[0]] = rows.grant(row)
        self._seen.update(row[0] for row in self._rows(_SEEN, (need.replay for need in needs)))

    def grant(self, needs: Needs) -> OAuthGrant | None:
        return self._grants.get(self._located.get(needs, ""))

    def auth_code(self, code_hash: str | None) -> AuthCode | None:
        return self._auth_codes.get(code_hash) if code_hash is not None else None

    # --- changing -----------------------------------------------------------------------------------------------

    def insert_grant(self, grant: OAuthGrant, consent: Consent | None) -> None:
        """Under a consent that has ended since it was looked at, the grant begins ended."""
        reason = ENDED_BY.get(consent.status) if consent is not None else None
        if consent is not None and reason is not None and grant.ended is None:
            grant = replace(grant, ended=reason, ended_at=float(consent.updated_at))
        self._new_grants[grant.grant_id] = grant

    def save_grant(self, before: OAuthGrant, grant: OAuthGrant) -> None:
        if grant == before:
            return
        if not rows.only_state_differs(before, grant):
            raise ValueError("of a grant, only its state may change")
        if grant.ended is not None and before.ended is None:
            if grant.ended_at is None:
                raise ValueError("a grant that ends has a time of its end")
            self.announce("grant", grant.grant_id, grant.ended, until=self._until(grant.ended_at))
        self._grants[grant.grant_id] = grant
        self._changed_grants.add(grant.grant_id)

    def end_consent(self, consent: Consent, reason: Ended) -> None:
        """The consent ended, and every grant under it with it. What was issued of them is announced by the consent."""
        ended_at = float(consent.updated_at)
        self.announce("consent", consent.consent_id, reason, until=self._until(ended_at))
        self._ended_consents.append({"row_id": consent.consent_id, "ended": reason.value, "ended_at": ended_at})
        for grants in (self._grants, self._new_grants):
            for grant_id, grant in grants.items():
                if grant.consent_id == consent.consent_id and grant.ended is None:
                    grants[grant_id] = replace(grant, ended=reason, ended_at=ended_at)

    def take(self, handle_hash: str) -> bool:
        if handle_hash not in self._requests:
            return False
        self._requests.remove(handle_hash)
        self._taken.append({"row_id": handle_hash})
        return True

    def add_auth_code(self, code: AuthCode) -> None:
        self._new_auth_codes.append(rows.auth_code_row(code))

    def spendable(self, code_hash: str) -> bool:
        code = self._auth_codes.get(code_hash)
        return code is not None and code.spent_at is None

    def spend(self, code_hash: str, *, spent_at: float) -> None:
        self._auth_codes[code_hash] = replace(self._auth_codes[code_hash], spent_at=spent_at)
        self._spent.append({"row_id": code_hash, "spent_at": spent_at})

    def first_time(self, key: str, *, expires_at: float) -> bool:
        if key in self._seen or key in self._new_replays:
            return False
        self._new_replays[key] = expires_at
        return True

    def announce(self, kind: str, value: str, reason: Ended, *, until: int) -> None:
        self._announced.append({"kind": kind, "value": value, "reason": reason.value, "until": until})

    # --- writing ------------------------------------------------------------------------------------------------

    def flush(self) -> None:
        """Two replicas with one replay id meet here: the second is undone by the primary key, and finds the first one's
        row when it runs again."""
        changed = [rows.grant_state(self._grants[grant_id]) for grant_id in sorted(self._changed_grants)]
        replays = [{"key": key, "expires_at": end} for key, end in sorted(self._new_replays.items())]
        for statement, values in (
            (_TAKE, self._taken),
            (_INSERT_AUTH_CODE, self._new_auth_codes),
            (_SPEND, self._spent),
            (_SAVE_GRANT, changed),
            (_INSERT_GRANT, [rows.grant_row(grant) for grant in self._new_grants.values()]),
            (_END_GRANTS, self._ended_consents),
            (_INSERT_REPLAY, replays),
        ):
            if values:
                statement.run_many(self._connection, values)

    def publish(self, count: Callable[[int], int]) -> None:
        """`count` adds to the number of announcements and gives the last of it."""
        if self._announced:
            first = count(len(self._announced)) - len(self._announced) + 1
            numbered = [{"sequence": number} | values for number, values in enumerate(self._announced, first)]
            _INSERT_REVOCATION.run_many(self._connection, numbered)

    def _until(self, cause: float) -> int:
        return int(cause) + self._revocation_seconds

    def _rows(self, lookup: PreparedLookup, keys: Iterable[str | None]) -> Sequence[Row]:
        return lookup.rows(self._connection, sorted({key for key in keys if key is not None}))
