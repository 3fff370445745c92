"""The data owner at the gateway: signing in and out, their consents, Auth Codes, receipts."""

from __future__ import annotations

import hmac
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from gateway.authorization import records
from gateway.authorization.handles import kept, new_secret
from gateway.authorization.interactions import READING_SECONDS
from gateway.core.model import Consent, Rate, Role
from gateway.core.pseudonym import pseudonym
from gateway.core.quota import Tier
from gateway.errors import AuthenticationTooOld, RateLimited, SchemaInvalid
from gateway.exchange.consents import auth_code_hash
from gateway.exchange.owned import OWNER, OwnedConsents
from gateway.exchange.recording import Recorder, record
from gateway.exchange.roster import Roster
from gateway.oauth.authcode import code_of
from gateway.oauth.grant import AuthCode, OwnerSession
from gateway.ports import AuditLog, AuthorizationStore, Clock, Login, LoginChallenge, RateLimits, Signer

RECEIPT_TYPE = "cdi-consent-receipt+jwt"
PAGE_ITEMS = 20
_NAME_CHARACTERS_MAX = 200
_HOUR_SECONDS = 3_600


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """Who may issue what: what an owner may make an Auth Code for."""

    participant_id: str
    name: str
    document_types: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class NewCode:
    """An Auth Code as its owner sees it, once."""

    code: str
    source: Source
    document_type: str
    expires_at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnerLives:
    """Seconds; and how many Auth Codes an owner may make in an hour."""

    session: int
    fresh: int  # of a sign-in that still counts for an approval
    auth_code: int
    auth_codes_per_hour: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SignInDemands:
    """What is asked of the provider where a request asks for nothing: its authentication contexts (`acr_values`)."""

    acr_values: tuple[str, ...] = ()


class Owners:
    """`key`: of the pseudonyms. `entropy`: random bytes."""

    def __init__(
        self,
        *,
        state: AuthorizationStore,
        owned: OwnedConsents,
        login: Login,
        demands: SignInDemands,
        audit: AuditLog,
        recorder: Recorder,
        roster: Roster,
        limits: RateLimits,
        signer: Signer,
        receipt_payload: Callable[[Consent, float], bytes],
        key: bytes,
        entropy: Callable[[int], bytes],
        lives: OwnerLives,
        clock: Clock,
    ) -> None:
        self._state = state
        self._owned = owned
        self._login = login
        self._demands = demands
        self._audit = audit
        self._recorder = recorder
        self._roster = roster
        self._limits = limits
        self._signer = signer
        self._receipt_payload = receipt_payload
        self._key = key
        self._entropy = entropy
        self._lives = lives
        self._clock = clock

    # --- signing in and out --------------------------------------------------------------------------------

    async def begin_sign_in(self, *, fresh: bool, acr_values: Sequence[str], locale: str) -> LoginChallenge:
        """Where the browser goes to sign in. Raises UpstreamUnavailable."""
        demanded = self._demands.acr_values
        # A client may ask for more than the operator does, never for less.
        wanted = tuple(one for one in acr_values if not demanded or one in demanded) or demanded
        return await self._login.begin(fresh=fresh, acr_values=wanted, locale=locale)

    async def finish_sign_in(self, secret: str, answer: Mapping[str, str], *, before: str | None) -> str:
        """The new session's secret. `before`: that of an earlier one, which ends: nobody keeps a session that was put
        into their browser. Raises LoginRefused, UpstreamUnavailable."""
        signed_in = await self._login.finish(secret, answer)
        if before is not None:
            await self._state.close_session(kept(before))
        session = new_secret()
        await self._state.open_session(
            OwnerSession(
                session_hash=kept(session),
                subject=pseudonym(self._key, "subject", signed_in.owner_id),
                name=signed_in.name[:_NAME_CHARACTERS_MAX],
                auth_time=signed_in.auth_time,
                acr=signed_in.acr,
                expires_at=self._clock.now() + self._lives.session,
            )
        )
        return session

    async def session(self, secret: str | None) -> OwnerSession | None:
        """The session of this cookie, while it lives."""
        found = await self._state.session(kept(secret)) if secret else None
        return found if found is not None and found.expires_at > self._clock.now() else None

    async def sign_out(self, secret: str | None) -> None:
        if secret:
            await self._state.close_session(kept(secret))

    def recently_signed_in(self, session: OwnerSession, *, reading: bool = False) -> bool:
        """Whether the sign-in is fresh enough for an approval. `reading`: with some time more, for a form that was
        shown when it was."""
        age = self._lives.fresh + (READING_SECONDS if reading else 0)
        return session.auth_time >= self._clock.now() - age

    def form_token(self, session: OwnerSession) -> str:
        """What a form of this session must carry (anti-CSRF)."""
        return pseudonym(self._key, "form", session.session_hash)

    def form_fits(self, session: OwnerSession, token: str | None) -> bool:
        return token is not None and hmac.compare_digest(self.form_token(session).encode(), token.encode())

    # --- consents ------------------------------------------------------------------------------------------

    async def consents(self, session: OwnerSession, *, after: str | None) -> Sequence[Consent]:
        """Newest first; one more than PAGE_ITEMS tells that another page follows."""
        return await self._state.consents_of(session.subject, after=after, limit=PAGE_ITEMS + 1)

    async def consent(self, session: OwnerSession, consent_id: str) -> Consent:
        """Raises NotFound."""
        return await self._owned.read(consent_id, session.subject)

    async def revoke(self, session: OwnerSession, consent_id: str, reason: str, *, interaction: str) -> Consent:
        """Raises NotFound, StateConflict, AuditUnavailable."""
        return await self._owned.revoke(consent_id, session.subject, reason, interaction=interaction)

    async def receipt(self, session: OwnerSession, consent_id: str) -> str:
        """The consent as it stands now, signed (compact JWS). Raises NotFound."""
        consent = await self.consent(session, consent_id)
        return self._signer.sign_jws({"typ": RECEIPT_TYPE}, self._receipt_payload(consent, self._clock.now()))

    # --- Auth Codes ----------------------------------------------------------------------------------------

    def sources(self) -> list[Source]:
        """All that an Auth Code can be made for, by name."""
        return sorted(
            (
                Source(
                    participant_id=one.participant_id, name=one.name, document_types=tuple(sorted(one.document_types))
                )
                for one in self._roster.view.registry
                if one.active and one.role is Role.SOURCE and one.document_types
            ),
            key=lambda source: source.name,
        )

    async def new_auth_code(
        self, session: OwnerSession, source_id: str, document_type: str, *, interaction: str
    ) -> NewCode:
        """One code for one consent to this source and type. Raises SchemaInvalid, AuthenticationTooOld, RateLimited,
        AuditUnavailable."""
        records.require(self._audit)
        if not self.recently_signed_in(session, reading=True):
            raise AuthenticationTooOld()
        source = next((one for one in self.sources() if one.participant_id == source_id), None)
        if source is None or document_type not in source.document_types:
            raise SchemaInvalid("No such source or document type")
        await self._within_rate(session)
        now = self._clock.now()
        code = code_of(self._entropy(16))
        kept_code = AuthCode(
            code_hash=auth_code_hash(self._key, code),
            subject=session.subject,
            provider_id=source_id,
            document_type=document_type,
            expires_at=now + self._lives.auth_code,
        )
        made = record(
            now,
            "consent.code_issued",
            actor=OWNER,
            counterparty=source_id,
            interaction=interaction,
            subject=session.subject,
            facts={"documentType": document_type},
        )
        # On record before anyone can read it. kill -9 between: a code that nobody knows; it expires.
        await self._state.add_auth_code(kept_code, records=(made,))
        await self._recorder.flush()
        return NewCode(code=code, source=source, document_type=document_type, expires_at=kept_code.expires_at)

    async def _within_rate(self, session: OwnerSession) -> None:
        most = self._lives.auth_codes_per_hour
        tier = Tier(
            policy="auth-code",
            key=f"auth-code {session.subject}",
            rate=Rate(per_second=most / _HOUR_SECONDS, burst=most),
        )
        (allowance,) = await self._limits.take([tier])
        if not allowance.allowed:
            raise RateLimited(retry_after_seconds=int(allowance.retry_after_seconds) + 1, private=tier.policy)
