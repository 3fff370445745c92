"""Pushed authorization requests (RFC 9126): checked whole, and kept until the data owner has decided."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from gateway.authorization.handles import REQUEST_URI, kept, new_secret
from gateway.authorization.presented import Authenticated
from gateway.core.model import ConsentStatus
from gateway.oauth.grant import AuthorizationRequest, PushedRequest
from gateway.oauth.parameters import target
from gateway.oauth.refusal import OAuthRefusal
from gateway.oauth.request import authorization_request
from gateway.oauth.request_object import unpack
from gateway.ports import AuthorizationStore, Store

APPROVABLE = frozenset({ConsentStatus.SUBMITTED, ConsentStatus.VALID})


@dataclass(frozen=True, slots=True, kw_only=True)
class Pushed:
    request_uri: str
    expires_in: int  # seconds


class Pushing:
    def __init__(
        self,
        *,
        issuer: str,
        resource: str,
        store: Store,
        state: AuthorizationStore,
        life_seconds: int,
        acr_values: tuple[str, ...] = (),
    ) -> None:
        """`acr_values`: what the operator demands of every sign-in."""
        self._issuer = issuer
        self._resource = resource
        self._store = store
        self._state = state
        self._life_seconds = life_seconds
        self._acr_values = acr_values

    async def push(self, caller: Authenticated, parameters: Mapping[str, str], jkt: str | None) -> Pushed:
        """`jkt`: of the DPoP proof that came with the request, if any. Raises OAuthRefusal.

        Durable on return. kill -9 before: the client has no URI and pushes again; what it left is swept.
        """
        request = self._checked(caller, parameters)
        if jkt is not None:
            if request.dpop_jkt not in {None, jkt}:  # RFC 9449 §10.1
                raise OAuthRefusal("invalid_dpop_proof", "dpop_jkt names another key than the proof", reason="dpop_jkt")
            request = replace(request, dpop_jkt=jkt)
        if self._acr_values and request.acr_values and set(self._acr_values).isdisjoint(request.acr_values):
            raise OAuthRefusal("invalid_request", "No such authentication context is served", reason="acr_values")
        consent = await self._store.consent(request.consent_id)
        # Another bank's consent does not exist for this one.
        if (
            consent is None
            or consent.consumer_id != caller.participant.participant_id
            or consent.status not in APPROVABLE
            or consent.expire_time <= caller.now
        ):
            raise OAuthRefusal(
                "invalid_authorization_details", "No consent of this client that can be approved", reason="consent"
            )
        handle = new_secret()
        await self._state.push(
            PushedRequest(handle_hash=kept(handle), request=request, expires_at=caller.now + self._life_seconds)
        )
        return Pushed(request_uri=REQUEST_URI + handle, expires_in=self._life_seconds)

    def _checked(self, caller: Authenticated, parameters: Mapping[str, str]) -> AuthorizationRequest:
        signed = parameters.get("request")
        if signed is not None:
            parameters = unpack(signed, caller.client, issuer=self._issuer, now=caller.now, outer=parameters)
        elif caller.client.signed_requests:
            raise OAuthRefusal(
                "invalid_request", "This client must send signed request objects", reason="request_object_missing"
            )
        target(parameters, self._resource)
        return authorization_request(parameters, caller.client)
