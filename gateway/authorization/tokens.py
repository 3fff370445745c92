"""The token endpoint (RFC 6749 §3.2): a code, a refresh token or the client itself become an access token.

The record of every token is durable before it is handed out (a code's with its redemption, in the outbox), that of
every refusal of an authenticated client before it is told.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from gateway.authorization import records
from gateway.authorization.handles import kept, new_secret
from gateway.authorization.minting import Mint, Minted
from gateway.authorization.presented import Authenticated
from gateway.core.model import Approval, Consent, ConsentStatus
from gateway.errors import GatewayError
from gateway.exchange.identifiers import new_id
from gateway.exchange.liveness import Liveness
from gateway.exchange.recording import Recorder
from gateway.oauth import details, pkce, scopes
from gateway.oauth.grant import Ended, OAuthGrant
from gateway.oauth.issuing import Confirmation
from gateway.oauth.parameters import target
from gateway.oauth.refusal import OAuthRefusal
from gateway.ports import AuditLog, AuthorizationStore, GrantStep, Store


class TokenEndpoint:
    def __init__(
        self,
        *,
        store: Store,
        state: AuthorizationStore,
        audit: AuditLog,
        recorder: Recorder,
        liveness: Liveness,
        mint: Mint,
        resource: str,
        refresh_tokens: bool,
    ) -> None:
        self._store = store
        self._state = state
        self._audit = audit
        self._recorder = recorder
        self._liveness = liveness
        self._mint = mint
        self._resource = resource
        self._refresh_tokens = refresh_tokens

    async def token(self, caller: Authenticated, parameters: Mapping[str, str], jkt: str | None) -> dict[str, Any]:
        """The answer (RFC 6749 §5.1). `jkt`: of the DPoP proof, if one came. Raises OAuthRefusal."""
        records.require(self._audit)
        target(parameters, self._resource)
        confirmation = confirmation_of(caller, jkt)
        grant_type = parameters.get("grant_type")
        if grant_type == "authorization_code":
            return await self._by_code(caller, parameters, confirmation)
        if grant_type == "refresh_token" and self._refresh_tokens:
            return await self._by_refresh(caller, parameters, confirmation)
        if grant_type == "client_credentials":
            return await self._by_itself(caller, parameters, confirmation)
        if grant_type is None:
            raise OAuthRefusal("invalid_request", "grant_type is required", reason="grant_type_missing")
        raise OAuthRefusal("unsupported_grant_type", "This grant type is not served", reason="grant_type")

    # --- authorization_code --------------------------------------------------------------------------------

    async def _by_code(
        self, caller: Authenticated, parameters: Mapping[str, str], confirmation: Confirmation
    ) -> dict[str, Any]:
        code = _required(parameters, "code")
        redirect_uri, verifier = parameters.get("redirect_uri"), parameters.get("code_verifier", "")
        refresh_token = new_secret() if self._refresh_tokens else None
        last = _Last()

        def decide(grant: OAuthGrant | None, consent: Consent | None) -> GrantStep | None:
            last.minted, last.reused = None, False
            if grant is None or grant.client_id != caller.client.client_id:
                raise _invalid_grant("code_unknown")
            if grant.redeemed_at is not None:
                # RFC 6749 §4.1.2: somebody else may have it, so nothing that came of it is good any more.
                last.reused = True
                return None if grant.ended is not None else _ended(caller, grant, Ended.CODE_REUSED)
            _check_code(grant, redirect_uri, verifier, confirmation, now=caller.now)
            _check_details(grant, parameters)
            live = _live(grant, consent, now=caller.now)
            wanted = _narrowed(grant, None, caller)
            last.minted = self._mint.for_grant(caller, grant, live, confirmation, scopes=wanted)
            redeemed = replace(
                grant,
                redeemed_at=caller.now,
                refresh_hash=kept(refresh_token) if refresh_token is not None else None,
            )
            return GrantStep(grant=redeemed, records=(last.minted.record("authorization_code"),))

        # The code is taken, and the token's record kept, in one transaction: of many that come with one code, one gets
        # a token. kill -9 behind it: the client has none, and its second try ends the grant; it asks its owner again.
        await self._state.by_code(kept(code), decide)
        # What is on record is durable with the code (outbox). A log that cannot take it just now must not cost the
        # client its code: a second try would look like a thief's.
        with contextlib.suppress(GatewayError):
            await self._recorder.flush()
        if last.reused or last.minted is None:
            self._liveness.look_again()
            raise _invalid_grant("code_reused")
        answer = last.minted.answer()
        if refresh_token is not None:
            answer["refresh_token"] = refresh_token
        return answer

    # --- refresh_token -------------------------------------------------------------------------------------

    async def _by_refresh(
        self, caller: Authenticated, parameters: Mapping[str, str], confirmation: Confirmation
    ) -> dict[str, Any]:
        """FAPI 2.0 §5.3.2.1: refresh tokens are not rotated. They are bound to their client, which proved itself."""
        token = _required(parameters, "refresh_token")
        asked = parameters.get("scope")
        last = _Last()

        def decide(grant: OAuthGrant | None, consent: Consent | None) -> GrantStep | None:
            last.minted = None
            if grant is None or grant.client_id != caller.client.client_id:
                raise _invalid_grant("refresh_unknown")
            if grant.ended is not None or grant.expires_at <= caller.now:
                raise _invalid_grant("grant_ended")
            if grant.dpop_jkt is not None and grant.dpop_jkt != confirmation.jkt:
                raise _invalid_grant("dpop_key")
            _check_details(grant, parameters)
            wanted = _narrowed(grant, asked, caller)
            live = _live(grant, consent, now=caller.now)
            last.minted = self._mint.for_grant(caller, grant, live, confirmation, scopes=wanted)
            return None

        await self._state.by_refresh(kept(token), decide)
        if last.minted is None:
            raise _invalid_grant("refresh_unknown")
        await self._audit.append([last.minted.record("refresh_token")])
        return last.minted.answer()

    # --- client_credentials --------------------------------------------------------------------------------

    async def _by_itself(
        self, caller: Authenticated, parameters: Mapping[str, str], confirmation: Confirmation
    ) -> dict[str, Any]:
        wanted = _asked(parameters.get("scope"), caller)
        detail = parameters.get("authorization_details")
        if detail is not None or scopes.DATA_REQUESTS in wanted:
            return await self._by_auth_code(caller, wanted, detail, confirmation)
        minted = self._mint.for_client(caller, confirmation, scopes=wanted)
        await self._audit.append([minted.record("client_credentials")])
        return minted.answer()

    async def _by_auth_code(
        self, caller: Authenticated, wanted: Sequence[str], detail: str | None, confirmation: Confirmation
    ) -> dict[str, Any]:
        """A consent that its owner approved by Auth Code needs no redirect; every other one does."""
        if detail is None or tuple(wanted) != (scopes.DATA_REQUESTS,):
            raise OAuthRefusal(
                "invalid_scope",
                "cdi:data-requests comes alone, with authorization_details, or by a code",
                reason="scope_needs_owner",
            )
        consent = await self._store.consent(details.consent_id(detail))
        if (
            consent is None
            or consent.consumer_id != caller.participant.participant_id
            or consent.approval is not Approval.AUTH_CODE
            or consent.status is not ConsentStatus.VALID
            or consent.expire_time <= caller.now
        ):
            raise _invalid_grant("consent")
        grant = await self._state.live_grant(caller.client.client_id, consent.consent_id)
        if grant is None:
            grant = OAuthGrant(
                grant_id=new_id(caller.now),
                client_id=caller.client.client_id,
                consumer_id=consent.consumer_id,
                consent_id=consent.consent_id,
                subject=consent.subject,
                scopes=tuple(wanted),
                created_at=int(caller.now),
                expires_at=consent.expire_time,
            )
            # Two that come together make two grants; both end with the consent.
            await self._state.add_grant(GrantStep(grant=grant))
        minted = self._mint.for_grant(caller, grant, consent, confirmation, scopes=wanted)
        await self._audit.append([minted.record("client_credentials")])
        return minted.answer()


@dataclass(slots=True)
class _Last:
    """What the last run of a decision came to: the store may run it more than once."""

    minted: Minted | None = None
    reused: bool = False


def confirmation_of(caller: Authenticated, jkt: str | None) -> Confirmation:
    """What the token will be bound to: the DPoP key that was proven, else the client's certificate (RFC 8705 §3)."""
    if jkt is not None:
        return Confirmation(jkt=jkt)
    if caller.client.dpop:
        raise OAuthRefusal("invalid_dpop_proof", "This client's tokens need a DPoP proof", reason="dpop_missing")
    if caller.certificate is None:
        raise OAuthRefusal(
            "invalid_request",
            "Tokens are bound to a client certificate or a DPoP key; neither was shown",
            reason="unbound",
        )
    return Confirmation(x5t=caller.certificate.thumbprint)


def _check_code(
    grant: OAuthGrant, redirect_uri: str | None, verifier: str, confirmation: Confirmation, *, now: float
) -> None:
    if grant.ended is not None or grant.code_expires_at <= now:
        raise _invalid_grant("code_expired")
    if redirect_uri != grant.redirect_uri:
        raise _invalid_grant("redirect_uri")
    if grant.code_challenge is None or not pkce.verifies(verifier, grant.code_challenge):
        raise _invalid_grant("code_verifier")
    if grant.dpop_jkt is not None and grant.dpop_jkt != confirmation.jkt:  # RFC 9449 §10
        raise _invalid_grant("dpop_key")


def _live(grant: OAuthGrant, consent: Consent | None, *, now: float) -> Consent:
    if consent is None or consent.consent_id != grant.consent_id or consent.status is not ConsentStatus.VALID:
        raise _invalid_grant("consent")
    if consent.expire_time <= now:
        raise _invalid_grant("consent")
    return consent


def _ended(caller: Authenticated, grant: OAuthGrant, reason: Ended) -> GrantStep:
    return GrantStep(
        grant=replace(grant, ended=reason, ended_at=caller.now),
        records=(records.revoked(caller, reason=reason.value, facts={"grant": grant.grant_id}),),
    )


def _asked(text: str | None, caller: Authenticated) -> tuple[str, ...]:
    if text is None:
        raise OAuthRefusal("invalid_scope", "scope is required", reason="scope_missing")
    wanted = tuple(dict.fromkeys(text.split(" ")))  # RFC 6749 §3.3: single blanks, and no others
    if not caller.client.scopes.issuperset(wanted):
        raise OAuthRefusal("invalid_scope", "This client may not have that scope", reason="scope")
    return wanted


def _narrowed(grant: OAuthGrant, text: str | None, caller: Authenticated) -> tuple[str, ...]:
    """RFC 6749 §6: no more than was granted, and no more than the client may have by now."""
    granted = tuple(scope for scope in grant.scopes if scope in caller.client.scopes)
    wanted = granted if text is None else tuple(dict.fromkeys(text.split(" ")))
    if not wanted or not set(granted).issuperset(wanted):
        raise OAuthRefusal("invalid_scope", "The scope goes beyond the grant", reason="scope")
    return wanted


def _check_details(grant: OAuthGrant, parameters: Mapping[str, str]) -> None:
    """RFC 9396 §6: where a token request names a consent, it is the grant's."""
    named = parameters.get("authorization_details")
    if named is not None and details.consent_id(named) != grant.consent_id:
        raise OAuthRefusal(
            "invalid_authorization_details", "The details go beyond the grant", reason="details_of_another"
        )


def _required(parameters: Mapping[str, str], name: str) -> str:
    value = parameters.get(name)
    if value is None:
        raise OAuthRefusal("invalid_request", f"{name} is required", reason=f"{name}_missing")
    return value


def _invalid_grant(reason: str) -> OAuthRefusal:
    """One text for all: which of them it was is nobody's business but the log's."""
    return OAuthRefusal("invalid_grant", "The grant is not valid, or not this client's", reason=reason)
