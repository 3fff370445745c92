"""What the authorization server needs of the outside: its state, and the owners' login. Each comment is a contract."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from gateway.audit.record import Record
from gateway.core.model import Consent
from gateway.oauth.grant import AuthCode, OAuthGrant, OwnerSession, PushedRequest, Revocation


@dataclass(frozen=True, slots=True, kw_only=True)
class GrantStep:
    """A grant's new state and the records that are written with it (outbox), in one transaction."""

    grant: OAuthGrant
    records: tuple[Record, ...] = ()


GrantDecision = Callable[[OAuthGrant | None, Consent | None], GrantStep | None]
"""Called in the store's transaction with the locked grant (None: there is none) and its consent as committed. None
keeps it. May raise an `OAuthRefusal` or a GatewayError: nothing is written then. May be called more than once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Announced:
    """`newest`: the last sequence that was given to any announcement, as committed no later than `rows` were read."""

    rows: Sequence[Revocation]
    newest: int


class Revocations(Protocol):
    """Announced in the same transaction as what they follow from: a consent that is revoked or expires, a grant that
    ends, a token that its client gives back."""

    async def revocations(self, *, after: int, now: int) -> Announced:
        """All with a sequence above `after` and an `until` above `now`, in order. A reader that goes on behind the last
        one it saw misses none, as long as `newest` is not below that one: then the database is an earlier one."""

    async def revoke_token(self, token_id: str, *, until: int, records: Sequence[Record]) -> None:
        """Announce one access token (`jti`). Again: announced again. Durable on return."""


class Grants(Protocol):
    async def push(self, pushed: PushedRequest) -> None:
        """Keep it. Durable on return."""

    async def pushed(self, handle_hash: str) -> PushedRequest | None:
        """The request of this handle, until it was taken. The caller looks at its time."""

    async def take(self, handle_hash: str, step: GrantStep | None, *, records: Sequence[Record] = ()) -> bool:
        """Consume the pushed request and insert the grant (None: the owner said no), with the records, in one
        transaction. False, and nothing is written, when it is not there any more."""

    async def add_grant(self, step: GrantStep) -> None:
        """Insert a grant without a request (Auth Code). Durable on return."""

    async def by_code(self, code_hash: str, decide: GrantDecision) -> OAuthGrant | None:
        """Apply `decide` to the grant of this code; what is committed."""

    async def by_refresh(self, refresh_hash: str, decide: GrantDecision) -> OAuthGrant | None:
        """The same for the grant of this refresh token."""

    async def by_id(self, grant_id: str, decide: GrantDecision) -> OAuthGrant | None:
        """The same for this grant."""

    async def grant(self, grant_id: str) -> tuple[OAuthGrant, Consent] | None:
        """This grant with its consent, both as committed. To look only: nothing is locked."""

    async def grant_by_refresh(self, refresh_hash: str) -> tuple[OAuthGrant, Consent] | None:
        """The same for the grant of this refresh token."""

    async def live_grant(self, client_id: str, consent_id: str) -> OAuthGrant | None:
        """The client's newest grant on this consent that came without a code (Auth Code) and has not ended."""


class Owners(Protocol):
    async def open_session(self, session: OwnerSession) -> None:
        """Durable on return."""

    async def session(self, session_hash: str) -> OwnerSession | None:
        """The caller looks at its time."""

    async def close_session(self, session_hash: str) -> None:
        """Forget it. Again: nothing."""

    async def consents_of(self, subject: str, *, after: str | None, limit: int) -> Sequence[Consent]:
        """A data owner's consents, newest first, behind the consent id `after`."""

    async def add_auth_code(self, code: AuthCode, *, records: Sequence[Record] = ()) -> None:
        """Durable on return. `ConsentStore.submit` spends it."""


class AuthorizationStore(Grants, Owners, Revocations, Protocol):
    """One database behind all of them, the same as `Store`. Raises UpstreamUnavailable when it cannot be used."""

    async def first_time(self, scope: str, message_id: str, *, expires_at: float) -> bool:
        """See `Replays`: shared by all processes on this database, durable."""

    async def sweep(self, *, now: float, limit: int) -> int:
        """Drop up to `limit` rows of each kind that are of no use any more: requests, sessions, Auth Codes and
        revocations whose time has passed, replay ids a minute later (the clocks of replicas differ), and grants that
        ended or expired a day ago. How many went."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LoginChallenge:
    """`url`: where the browser is sent. `secret`: what `finish` needs; the browser keeps it, sealed."""

    url: str
    secret: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedIn:
    """Who signed in at the login provider. `owner_id`: what banks call `dataOwnerId`; it goes no further than its
    pseudonym."""

    owner_id: str
    name: str
    auth_time: int
    acr: str | None


class LoginRefused(Exception):
    """The provider signed nobody in, or its answer cannot be believed. The message is a code without values."""


class Login(Protocol):
    """The bank's own OpenID provider for its customers."""

    async def begin(self, *, fresh: bool, acr_values: Sequence[str], locale: str) -> LoginChallenge:
        """`fresh`: the owner must sign in now, whatever session there is. Raises UpstreamUnavailable."""

    async def finish(self, secret: str, answer: Mapping[str, str]) -> SignedIn:
        """`answer`: the query parameters of the callback. Raises LoginRefused, or UpstreamUnavailable."""
