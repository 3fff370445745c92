"""What becomes of tokens and grants afterwards: introspection, revocation, grant management."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from gateway.authorization import records
from gateway.authorization.handles import kept
from gateway.authorization.presented import Authenticated
from gateway.core.model import Consent, ConsentStatus
from gateway.errors import GatewayError, NotFound, TokenInvalid
from gateway.exchange.admission import Caller
from gateway.exchange.liveness import Liveness
from gateway.exchange.recording import Recorder, actor, record
from gateway.exchange.roster import Roster
from gateway.oauth import details
from gateway.oauth.access_token import AccessToken
from gateway.oauth.grant import Ended, OAuthGrant
from gateway.oauth.issuing import introspection_body
from gateway.oauth.jws import JwsInvalid, parse_jws
from gateway.oauth.refusal import OAuthRefusal
from gateway.ports import AuditLog, AuthorizationStore, Clock, GrantStep, TokenVerifier

TOKEN_CHARACTERS_MAX = 8_192
INACTIVE: Mapping[str, Any] = {"active": False}


class Grants:
    """`issuer`: this server. `tokens`: verifies its access tokens; those of other issuers are none of its business."""

    def __init__(
        self,
        *,
        issuer: str,
        state: AuthorizationStore,
        tokens: TokenVerifier,
        liveness: Liveness,
        roster: Roster,
        audit: AuditLog,
        recorder: Recorder,
        clock: Clock,
    ) -> None:
        self._issuer = issuer
        self._state = state
        self._tokens = tokens
        self._liveness = liveness
        self._roster = roster
        self._audit = audit
        self._recorder = recorder
        self._clock = clock

    # --- RFC 7662 ------------------------------------------------------------------------------------------

    async def introspect(self, caller: Authenticated, parameters: Mapping[str, str]) -> Mapping[str, Any]:
        """What a token of a client of the caller's own participant is worth now; others' are `{"active": false}`."""
        token = _token(parameters)
        if token.count(".") != 2:
            return await self._introspect_refresh(caller, token)
        access = await self._known(token)
        if access is None or not self._same_participant(caller, access.client_id):
            return INACTIVE
        try:
            await self._liveness.check(access)
        except GatewayError as gone:
            if gone.retryable:  # nobody can tell now, which is no answer about the token
                raise
            return INACTIVE
        return introspection_body(parse_jws(token, characters_max=TOKEN_CHARACTERS_MAX).claims)

    async def _introspect_refresh(self, caller: Authenticated, token: str) -> Mapping[str, Any]:
        found = await self._state.grant_by_refresh(kept(token))
        if found is None:
            return INACTIVE
        grant, consent = found
        ended = grant.ended is not None or consent.status is not ConsentStatus.VALID or grant.expires_at <= caller.now
        if ended or not self._same_participant(caller, grant.client_id):
            return INACTIVE
        return {
            "active": True,
            "client_id": grant.client_id,
            "scope": " ".join(grant.scopes),
            "exp": grant.expires_at,
            "grant_id": grant.grant_id,
        }

    # --- RFC 7009 ------------------------------------------------------------------------------------------

    async def revoke(self, caller: Authenticated, parameters: Mapping[str, str]) -> None:
        """The client gives a token back: a refresh token with all of its grant, an access token alone. An unknown one
        is no error (§2.2). Raises OAuthRefusal for another client's."""
        records.require(self._audit)
        token = _token(parameters)
        if token.count(".") != 2:
            await self._revoke_refresh(caller, token)
            return
        access = await self._known(token)
        if access is None:
            return
        if access.client_id != caller.client.client_id:
            raise _not_its_own()
        made = records.revoked(caller, reason=Ended.TOKEN_REVOKED.value, facts={"token": access.token_id})
        await self._state.revoke_token(access.token_id, until=access.expires_at + 1, records=(made,))
        await self._spread()

    async def _revoke_refresh(self, caller: Authenticated, token: str) -> None:
        def end(grant: OAuthGrant | None, _: Consent | None) -> GrantStep | None:
            if grant is None:
                return None
            if grant.client_id != caller.client.client_id:
                raise _not_its_own()
            if grant.ended is not None:
                return None
            made = records.revoked(caller, reason=Ended.GRANT_REVOKED.value, facts={"grant": grant.grant_id})
            ended = replace(grant, ended=Ended.GRANT_REVOKED, ended_at=caller.now)
            return GrantStep(grant=ended, records=(made,))

        await self._state.by_refresh(kept(token), end)
        await self._spread()

    # --- grant management (FAPI: Grant Management for OAuth 2.0) ---------------------------------------------

    async def query(self, caller: Caller, grant_id: str) -> dict[str, Any]:
        """What was granted. Raises NotFound: others' grants, and those that ended, do not exist."""
        found = await self._state.grant(grant_id)
        if found is None:
            raise NotFound()
        grant, consent = found
        if grant.ended is not None or grant.expires_at <= caller.now or grant.client_id != caller.token.client_id:
            raise NotFound()
        return {
            "scopes": [{"scope": " ".join(grant.scopes)}],
            "authorization_details": [details.enriched(consent)],
            "created_at": grant.created_at,
            "last_updated_at": grant.created_at,
        }

    async def end(self, caller: Caller, grant_id: str) -> None:
        """The client gives the grant back, with its tokens. The consent stays. Raises NotFound."""
        records.require(self._audit)
        now = self._clock.now()

        def decide(grant: OAuthGrant | None, _: Consent | None) -> GrantStep | None:
            if grant is None or grant.ended is not None or grant.client_id != caller.token.client_id:
                raise NotFound()
            made = record(
                now,
                "token.revoked",
                actor=actor(caller.participant, caller.certificate, caller.token.client_id),
                interaction=caller.interaction,
                reason=Ended.GRANT_REVOKED.value,
                facts={"grant": grant.grant_id},
            )
            return GrantStep(grant=replace(grant, ended=Ended.GRANT_REVOKED, ended_at=now), records=(made,))

        await self._state.by_id(grant_id, decide)
        await self._spread()

    # --- shared --------------------------------------------------------------------------------------------

    async def _known(self, token: str) -> AccessToken | None:
        try:
            # Unverified, and only to leave the others' alone: no key of theirs is fetched, and none can be missing.
            if parse_jws(token, characters_max=TOKEN_CHARACTERS_MAX).claims.get("iss") != self._issuer:
                return None
            return await self._tokens.verify(token)
        except (JwsInvalid, TokenInvalid):
            return None

    def _same_participant(self, caller: Authenticated, client_id: str) -> bool:
        client = self._roster.view.clients.by_id(client_id)
        return client is not None and client.participant_id == caller.participant.participant_id

    async def _spread(self) -> None:
        self._liveness.look_again()
        await self._recorder.flush()


def _token(parameters: Mapping[str, str]) -> str:
    token = parameters.get("token")
    if token is None:
        raise OAuthRefusal("invalid_request", "token is required", reason="token_missing")
    return token


def _not_its_own() -> OAuthRefusal:
    return OAuthRefusal("unauthorized_client", "The token is another client's", reason="token_of_another")
