"""From the browser's arrival with a pushed request to its return with a code: who decides, on what, and once."""

from __future__ import annotations

import contextlib
import hmac
from dataclasses import dataclass

from gateway.authorization import records
from gateway.authorization.handles import handle_of, kept, new_secret
from gateway.authorization.pushing import APPROVABLE
from gateway.authorization.responses import Responses, denied, unmet
from gateway.core.model import Consent, ConsentStatus
from gateway.errors import ConsentExpired, GatewayError, StateConflict
from gateway.exchange.identifiers import new_id
from gateway.exchange.owned import OwnedConsents
from gateway.exchange.recording import Recorder
from gateway.exchange.roster import Roster
from gateway.oauth.client import Client
from gateway.oauth.grant import AuthorizationRequest, OAuthGrant, OwnerSession, PushedRequest
from gateway.ports import AuditLog, AuthorizationStore, Clock, GrantStep, Store

READING_SECONDS = 300
"""Time that a data owner has to read what they decide on, before the sign-in counts as older than it was."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Gone:
    """The request is unknown, has expired, or was decided before. Nobody is sent anywhere."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NotTheirs:
    """The request is about another data owner than the one who is signed in."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SignIn:
    """The owner must sign in first. `fresh`: now, whatever session the provider has."""

    fresh: bool
    acr_values: tuple[str, ...]
    ui_locales: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Decide:
    """The owner is asked. `approved`: they approved this consent before, and are asked whether to go on.
    `decide_by`: Unix seconds; the request is gone after that."""

    consent: Consent
    approved: bool
    redirect_uri: str
    ui_locales: tuple[str, ...]
    decide_by: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Leave:
    """The browser goes back to the client."""

    url: str


View = Gone | NotTheirs | SignIn | Decide | Leave


@dataclass(frozen=True, slots=True, kw_only=True)
class Lives:
    """Seconds. `request`: of a pushed request, `code`: of a code, `fresh`: of a sign-in that still counts."""

    request: int
    code: int
    fresh: int


class Interactions:
    def __init__(
        self,
        *,
        store: Store,
        state: AuthorizationStore,
        owned: OwnedConsents,
        audit: AuditLog,
        roster: Roster,
        responses: Responses,
        lives: Lives,
        recorder: Recorder,
        clock: Clock,
    ) -> None:
        self._store = store
        self._state = state
        self._owned = owned
        self._audit = audit
        self._roster = roster
        self._responses = responses
        self._lives = lives
        self._recorder = recorder
        self._clock = clock

    async def arrive(self, client_id: str | None, request_uri: str | None) -> str | None:
        """The interaction of an authorization request (RFC 9126 §4), None when there is none of this client."""
        handle = handle_of(request_uri) if request_uri is not None else None
        pushed = await self._pushed(handle) if handle is not None else None
        if pushed is None or client_id != pushed.request.client_id:
            return None
        return handle

    async def view(self, handle: str, session: OwnerSession | None, *, reading: bool = False) -> View:
        """What the browser is to be shown now. `reading`: the sign-in was recent enough when the page was shown."""
        pushed = await self._pushed(handle)
        if pushed is None or self._client(pushed) is None:
            return Gone()
        now = self._clock.now()
        missing = self._sign_in(pushed, session, now - (READING_SECONDS if reading else 0))
        if missing is not None or session is None:
            return missing or self._ask_to_sign_in(pushed.request, fresh=False)
        consent = await self._store.consent(pushed.request.consent_id)
        if consent is None or not hmac.compare_digest(consent.subject, session.subject):
            return NotTheirs()
        if consent.status not in APPROVABLE or consent.expire_time <= now:
            answer = denied("The consent can no longer be approved")
            return await self._leave(pushed, answer, reason="CONSENT_ENDED", consent=consent)
        return Decide(
            consent=consent,
            approved=consent.status is ConsentStatus.VALID,
            redirect_uri=pushed.request.redirect_uri,
            ui_locales=pushed.request.ui_locales,
            decide_by=pushed.expires_at,
        )

    async def decide(self, handle: str, session: OwnerSession, *, approve: bool, interaction: str) -> View:
        """The owner's yes or no, which counts once. What `view` would not have asked is not decided.

        Raises AuditUnavailable, UpstreamUnavailable: nothing was decided then, or the consent alone, and the form can
        be sent again.
        """
        records.require(self._audit)
        seen = await self.view(handle, session, reading=True)
        pushed = await self._pushed(handle)
        if not isinstance(seen, Decide) or pushed is None:
            return seen
        if not approve:
            return await self._declined(pushed, seen, session, interaction)
        consent = seen.consent
        if not seen.approved:
            # Durable, on record and in the bank's notices before the code is. kill -9 behind it: the consent is valid
            # and the bank has no code; it asks again, and the owner is asked whether to go on.
            try:
                consent = await self._owned.approve(consent.consent_id, session.subject, interaction=interaction)
            except (StateConflict, ConsentExpired):  # ended since it was shown, or approved in another window
                return await self.view(handle, session)
        code = new_secret()
        grant = self._grant(pushed.request, consent, session, code)
        again = records.continued(
            self._clock.now(),
            consent,
            client_id=grant.client_id,
            grant_id=grant.grant_id,
            interaction=interaction,
        )
        # One transaction takes the request and keeps the grant: of two forms one gives a code. kill -9 behind it:
        # nobody has the code; it expires, and the bank asks again.
        step = GrantStep(grant=grant, records=(again,) if seen.approved else ())
        if not await self._state.take(pushed.handle_hash, step):
            return Gone()
        await self._record()
        return Leave(url=self._responses.url(pushed.request, {"code": code}, now=self._clock.now()))

    async def _declined(self, pushed: PushedRequest, seen: Decide, session: OwnerSession, interaction: str) -> View:
        answer = denied("The data owner said no")
        left = await self._leave(pushed, answer, reason="OWNER_DECLINED", consent=seen.consent, interaction=interaction)
        # The request first: an approval in another window then finds it gone. kill -9 between: the consent stays
        # submitted, and expires.
        if isinstance(left, Leave) and not seen.approved:
            # Approved or ended in another window in the meantime: what was said there stands, and this is left.
            # Nor must a log or store that fails just now keep the bank from the answer: the request is gone already.
            with contextlib.suppress(GatewayError):
                await self._owned.decline(seen.consent.consent_id, session.subject, interaction=interaction)
        return left

    async def _leave(
        self,
        pushed: PushedRequest,
        answer: dict[str, str],
        *,
        reason: str,
        consent: Consent | None = None,
        interaction: str | None = None,
    ) -> View:
        """Back to the client without a code; on record with the request that is taken for it."""
        now = self._clock.now()
        client = self._client(pushed)
        participant = self._roster.view.registry.by_id(client.participant_id) if client is not None else None
        if client is None or participant is None:
            return Gone()
        made = records.turned_away(
            now, client, participant, error=answer["error"], reason=reason, consent=consent, interaction=interaction
        )
        if not await self._state.take(pushed.handle_hash, None, records=(made,)):
            return Gone()
        await self._record()
        return Leave(url=self._responses.url(pushed.request, answer, now=now))

    async def _record(self) -> None:
        """What was decided is durable with its record (outbox): a log that cannot take it now gets it later."""
        with contextlib.suppress(GatewayError):
            await self._recorder.flush()

    async def _pushed(self, handle: str) -> PushedRequest | None:
        pushed = await self._state.pushed(kept(handle))
        return pushed if pushed is not None and pushed.expires_at > self._clock.now() else None

    def _client(self, pushed: PushedRequest | None) -> Client | None:
        """Still there, and still with this redirect URI: the registry may have been read again since."""
        client = self._roster.view.clients.by_id(pushed.request.client_id) if pushed is not None else None
        if client is None or pushed is None or pushed.request.redirect_uri not in client.redirect_uris:
            return None
        participant = self._roster.view.registry.by_id(client.participant_id)
        return client if participant is not None and participant.active else None

    def _sign_in(self, pushed: PushedRequest, session: OwnerSession | None, now: float) -> SignIn | None:
        """What is still wanted of the sign-in. One since the request was pushed is always recent enough, so that nobody
        is sent to sign in twice for one request."""
        request = pushed.request
        if session is None:
            return self._ask_to_sign_in(request, fresh="login" in request.prompts)
        age = self._lives.fresh if request.max_age is None else min(self._lives.fresh, request.max_age)
        since_pushed = session.auth_time >= int(pushed.expires_at - self._lives.request)
        recent = "login" not in request.prompts and session.auth_time >= now - age
        acr_fits = not request.acr_values or session.acr in request.acr_values
        if (since_pushed or recent) and acr_fits:
            return None
        return self._ask_to_sign_in(request, fresh=True)

    @staticmethod
    def _ask_to_sign_in(request: AuthorizationRequest, *, fresh: bool) -> SignIn:
        return SignIn(fresh=fresh, acr_values=request.acr_values, ui_locales=request.ui_locales)

    async def unmet(self, handle: str) -> View:
        """The provider cannot sign the owner in as the request demands (`acr_values`): the client is told."""
        pushed = await self._pushed(handle)
        return Gone() if pushed is None else await self._leave(pushed, unmet(), reason="SIGN_IN_UNMET")

    def _grant(self, request: AuthorizationRequest, consent: Consent, session: OwnerSession, code: str) -> OAuthGrant:
        now = self._clock.now()
        return OAuthGrant(
            grant_id=new_id(now),
            client_id=request.client_id,
            consumer_id=consent.consumer_id,
            consent_id=consent.consent_id,
            subject=consent.subject,
            scopes=request.scopes,
            created_at=int(now),
            expires_at=consent.expire_time,
            auth_time=session.auth_time,
            acr=session.acr,
            redirect_uri=request.redirect_uri,
            code_challenge=request.code_challenge,
            dpop_jkt=request.dpop_jkt,
            code_hash=kept(code),
            code_expires_at=now + self._lives.code,
        )
