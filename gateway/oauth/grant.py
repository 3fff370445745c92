"""What a data owner has granted to a client, and how far its code and tokens got. Values; no IO.

Codes, refresh tokens, handles and session ids are secrets of 256 bits: what is kept of each is its hex SHA-256
(`*_hash`).
"""

from __future__ import annotations

import hmac
from dataclasses import dataclass
from enum import StrEnum

from gateway.core.model import Consent


class Ended(StrEnum):
    """Why a grant, or everything under a consent, is no longer good. A code that goes into log and audit."""

    CONSENT_REVOKED = "CONSENT_REVOKED"
    CONSENT_EXPIRED = "CONSENT_EXPIRED"
    GRANT_REVOKED = "GRANT_REVOKED"  # by its client: grant management, or its refresh token (RFC 7009)
    CODE_REUSED = "CODE_REUSED"  # RFC 6749 §4.1.2
    TOKEN_REVOKED = "TOKEN_REVOKED"  # noqa: S105  one access token (RFC 7009)


@dataclass(frozen=True, slots=True, kw_only=True)
class AuthorizationRequest:
    """A checked authorization request, as it was pushed (RFC 9126). `scopes`: in the client's order."""

    client_id: str
    redirect_uri: str
    scopes: tuple[str, ...]
    consent_id: str  # of its one `cdi_consent` detail (RFC 9396)
    code_challenge: str  # S256
    state: str | None = None
    response_mode: str = "query"  # or "query.jwt" (JARM)
    dpop_jkt: str | None = None  # RFC 9449 §10: the code is bound to this key
    max_age: int | None = None  # seconds since the owner signed in, at most
    acr_values: tuple[str, ...] = ()
    prompts: frozenset[str] = frozenset()  # of "login", "consent"
    ui_locales: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class PushedRequest:
    """`handle_hash`: of what follows `urn:ietf:params:oauth:request_uri:`. Taken once: by the decision it leads to."""

    handle_hash: str
    request: AuthorizationRequest
    expires_at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class OAuthGrant:
    """One decision of a data owner for one client. Its code is redeemed once; its refresh token stays the same."""

    grant_id: str
    client_id: str
    consumer_id: str  # the client's participant
    consent_id: str
    subject: str  # keyed pseudonym of the data owner
    scopes: tuple[str, ...]
    created_at: int
    expires_at: int  # the consent's
    auth_time: int | None = None  # when the owner signed in; None: approved by Auth Code
    acr: str | None = None
    redirect_uri: str | None = None
    code_challenge: str | None = None
    dpop_jkt: str | None = None
    code_hash: str | None = None
    code_expires_at: float = 0.0
    redeemed_at: float | None = None
    refresh_hash: str | None = None
    ended: Ended | None = None
    ended_at: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Revocation:
    """Something that every replica must stop to believe. `sequence` grows in the order of commits.

    `kind`: "consent" (value: consent id), "grant" (grant id), "token" (jti). `until`: nothing that it concerns lives
    longer than that (Unix seconds).
    """

    sequence: int
    kind: str
    value: str
    reason: Ended
    until: int


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnerSession:
    """A data owner who is signed in. `name`: as the login provider calls them, for the page only; sealed at rest."""

    session_hash: str
    subject: str  # keyed pseudonym
    name: str
    auth_time: int
    acr: str | None
    expires_at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class AuthCode:
    """CDI's Auth Code: a data owner's one-time approval for one source and document type.

    `code_hash`: keyed (`core.pseudonym`), since its 50 bits could be guessed from a plain hash.
    """

    code_hash: str
    subject: str
    provider_id: str
    document_type: str
    expires_at: float
    spent_at: float | None = None

    def covers(self, consent: Consent, *, now: float) -> bool:
        """Whether this code is its owner's yes to this consent, now."""
        return (
            self.spent_at is None
            and self.expires_at > now
            and hmac.compare_digest(self.subject, consent.subject)
            and self.provider_id == consent.provider_id
            and self.document_type == consent.scope.document_type
        )
