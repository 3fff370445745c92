"""Rows of the authorization server's tables and the values they stand for, in both directions. No SQL, no decisions."""

from __future__ import annotations

import hashlib
from dataclasses import asdict, replace
from typing import Any

import orjson

from adapters.sql.rows import Row, Values
from gateway.oauth.grant import (
    AuthCode,
    AuthorizationRequest,
    Ended,
    OAuthGrant,
    OwnerSession,
    PushedRequest,
    Revocation,
)
from gateway.ports import Sealer

REQUEST_COLUMNS = ("handle_hash", "expires_at", "request")
GRANT_COLUMNS = (
    "grant_id",
    "client_id",
    "consent_id",
    "created_at",
    "expires_at",
    "code_hash",
    "refresh_hash",
    "redeemed_at",
    "ended",
    "ended_at",
    "terms",
)
GRANT_STATE_COLUMNS = ("refresh_hash", "redeemed_at", "ended", "ended_at")  # what may change later
SESSION_COLUMNS = ("session_hash", "subject", "name", "auth_time", "acr", "expires_at")
AUTH_CODE_COLUMNS = ("code_hash", "subject", "provider_id", "document_type", "expires_at", "spent_at")
REVOCATION_COLUMNS = ("sequence", "kind", "value", "reason", "until")


def request_row(pushed: PushedRequest, sealer: Sealer) -> Values:
    # A client writes what it likes into `state`.
    request = orjson.dumps(pushed.request, default=_sorted).decode()
    return {
        "handle_hash": pushed.handle_hash,
        "expires_at": pushed.expires_at,
        "request": sealer.seal(request, context=pushed.handle_hash),
    }


def pushed(row: Row, sealer: Sealer) -> PushedRequest:
    """From REQUEST_COLUMNS. Raises ValueError when the request cannot be opened."""
    handle_hash, expires_at, sealed = row
    value = orjson.loads(sealer.open(sealed, context=handle_hash))
    for name in ("scopes", "acr_values", "ui_locales"):
        value[name] = tuple(value[name])
    value["prompts"] = frozenset(value["prompts"])
    return PushedRequest(handle_hash=handle_hash, request=AuthorizationRequest(**value), expires_at=expires_at)


def grant_row(grant: OAuthGrant) -> Values:
    terms = {
        "consumer_id": grant.consumer_id,
        "subject": grant.subject,
        "scopes": grant.scopes,
        "auth_time": grant.auth_time,
        "acr": grant.acr,
        "redirect_uri": grant.redirect_uri,
        "code_challenge": grant.code_challenge,
        "dpop_jkt": grant.dpop_jkt,
        "code_expires_at": grant.code_expires_at,
    }
    state = grant_state(grant)
    del state["row_id"]
    return state | {
        "grant_id": grant.grant_id,
        "client_id": grant.client_id,
        "consent_id": grant.consent_id,
        "created_at": grant.created_at,
        "expires_at": grant.expires_at,
        "code_hash": grant.code_hash,
        "terms": orjson.dumps(terms),
    }


def grant_state(grant: OAuthGrant) -> Values:
    """GRANT_STATE_COLUMNS; `row_id` is the grant's."""
    return {
        "row_id": grant.grant_id,
        "refresh_hash": grant.refresh_hash,
        "redeemed_at": grant.redeemed_at,
        "ended": grant.ended.value if grant.ended is not None else None,
        "ended_at": grant.ended_at,
    }


def only_state_differs(before: OAuthGrant, after: OAuthGrant) -> bool:
    """Whether GRANT_STATE_COLUMNS hold all that changed."""
    return replace(after, **{name: getattr(before, name) for name in GRANT_STATE_COLUMNS}) == before


def grant(row: Row) -> OAuthGrant:
    """From GRANT_COLUMNS."""
    columns: dict[str, Any] = dict(zip(GRANT_COLUMNS, row, strict=True))
    terms = orjson.loads(columns.pop("terms"))
    terms["scopes"] = tuple(terms["scopes"])
    ended = columns.pop("ended")
    return OAuthGrant(**columns, **terms, ended=Ended(ended) if ended is not None else None)


def session_row(session: OwnerSession, sealer: Sealer) -> Values:
    return asdict(session) | {"name": sealer.seal(session.name, context=session.session_hash)}


def session(row: Row, sealer: Sealer) -> OwnerSession:
    """From SESSION_COLUMNS. Raises ValueError when the name cannot be opened."""
    columns: dict[str, Any] = dict(zip(SESSION_COLUMNS, row, strict=True))
    columns["name"] = sealer.open(columns["name"], context=columns["session_hash"])
    return OwnerSession(**columns)


def auth_code_row(code: AuthCode) -> Values:
    return asdict(code)


def auth_code(row: Row) -> AuthCode:
    """From AUTH_CODE_COLUMNS."""
    return AuthCode(**dict(zip(AUTH_CODE_COLUMNS, row, strict=True)))


def replay_key(scope: str, message_id: str) -> str:
    """One key for the two; what a client chose is of any length and stays outside."""
    return hashlib.sha256(orjson.dumps([scope, message_id])).hexdigest()


def revocation(row: Row) -> Revocation:
    """From REVOCATION_COLUMNS."""
    sequence, kind, value, reason, until = row
    return Revocation(sequence=sequence, kind=kind, value=value, reason=Ended(reason), until=until)


def _sorted(value: Any) -> Any:
    if isinstance(value, frozenset):
        return sorted(value)
    raise TypeError(type(value).__name__)
