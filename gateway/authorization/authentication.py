"""Which client is this: certificate, rate, credential. In that order, and the same at every back-channel endpoint."""

from __future__ import annotations

import hmac
from typing import NoReturn

from gateway.authorization.presented import Authenticated, Presented
from gateway.core.model import Certificate, Participant, Rate
from gateway.core.quota import Allowance, Tier
from gateway.errors import RateLimited
from gateway.exchange.admission import Refusals, rate_fields
from gateway.exchange.roster import Roster
from gateway.oauth.assertion import check_assertion, peek_client_id
from gateway.oauth.client import Authentication, Client
from gateway.oauth.refusal import OAuthRefusal
from gateway.ports import Clock, RateLimits, Replays

ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"  # RFC 7523 §2.2


class ClientAuthentication:
    def __init__(
        self,
        *,
        issuer: str,
        roster: Roster,
        limits: RateLimits,
        participant_rate: Rate,
        replays: Replays,
        refusals: Refusals,
        clock: Clock,
    ) -> None:
        """`replays`: shared by all processes, for the `jti` of assertions."""
        self._issuer = issuer
        self._roster = roster
        self._limits = limits
        self._participant_rate = participant_rate
        self._replays = replays
        self._refusals = refusals
        self._clock = clock

    async def authenticate(self, presented: Presented) -> Authenticated:
        """Raises OAuthRefusal (`invalid_client`: one text for all, the reason is private) and RateLimited.

        Refusals of unknown clients are counted for the log, not written one by one: nobody should fill it from outside.
        """
        now = self._clock.now()
        owner: Participant | None = None
        try:
            owner = self._holder(presented.certificate, now)
            # A client id that anybody may claim is nobody's bucket: without a certificate, only a proven one counts.
            allowances = await self._within_rate(owner) if owner is not None else ()
            client = self._claimed(presented)
            participant = self._participant(client, owner)
            await self._prove(client, presented, now)
            if owner is None:
                owner = participant
                allowances = await self._within_rate(participant)
        except OAuthRefusal as refused:
            self._refusals.count(owner.participant_id if owner else "UNKNOWN", refused.reason.upper())
            raise
        except RateLimited as refused:
            self._refusals.count(owner.participant_id if owner else "UNKNOWN", refused.code)
            raise
        return Authenticated(
            client=client,
            participant=participant,
            certificate=presented.certificate,
            interaction=presented.interaction,
            now=now,
            allowances=allowances,
        )

    def _holder(self, certificate: Certificate | None, now: float) -> Participant | None:
        """Whose certificate it is; None without one. On every request, as for the bank API."""
        if certificate is None:
            return None
        view = self._roster.view
        holder = view.registry.by_certificate(certificate)
        if holder is None or not certificate.not_before <= now < certificate.not_after or view.revoked(certificate):
            _refuse("certificate")
        return holder

    async def _within_rate(self, participant: Participant) -> tuple[Allowance, ...]:
        rate = participant.rate or self._participant_rate
        tier = Tier(policy="participant", key=participant.participant_id, rate=rate)
        allowances = tuple(await self._limits.take([tier]))
        if not allowances[0].allowed:
            raise RateLimited(
                retry_after_seconds=int(allowances[0].retry_after_seconds) + 1,
                headers=rate_fields(allowances),
                private=tier.policy,
            )
        return allowances

    def _claimed(self, presented: Presented) -> Client:
        parameters = presented.parameters
        if "client_secret" in parameters:
            _refuse("client_secret")  # RFC 6749 §2.3: one method at a time, and none that we know
        client_id = parameters.get("client_id")
        assertion = parameters.get("client_assertion")
        if client_id is None and assertion is not None:
            client_id = peek_client_id(assertion)
        client = self._roster.view.clients.by_id(client_id) if client_id is not None else None
        if client is None:
            _refuse("unknown_client")
        return client

    def _participant(self, client: Client, holder: Participant | None) -> Participant:
        participant = self._roster.view.registry.by_id(client.participant_id)
        if participant is None or not participant.active:
            _refuse("suspended")
        if holder is not None and holder.participant_id != participant.participant_id:
            _refuse("certificate_of_another")
        return participant

    async def _prove(self, client: Client, presented: Presented, now: float) -> None:
        assertion = presented.parameters.get("client_assertion")
        if client.authentication is Authentication.PRIVATE_KEY_JWT:
            await self._check_assertion(client, presented, now)
            return
        if assertion is not None or presented.certificate is None:
            _refuse("method")
        if client.authentication is Authentication.TLS:
            expected, shown = client.subject, presented.certificate.subject
            proven = expected is not None and hmac.compare_digest(expected.encode(), shown.encode())
        else:
            proven = presented.certificate.sha256 in client.certificates
        if not proven:
            _refuse("certificate_name")

    async def _check_assertion(self, client: Client, presented: Presented, now: float) -> None:
        assertion = presented.parameters.get("client_assertion")
        if assertion is None or presented.parameters.get("client_assertion_type") != ASSERTION_TYPE:
            _refuse("method")
        checked = check_assertion(assertion, client, issuer=self._issuer, now=now)
        # Last, so that only what the client signed takes a place in the memory (RFC 7523 §3 (7)).
        scope = f"assertion {client.client_id}"
        if not await self._replays.first_time(scope, checked.token_id, expires_at=checked.expires_at):
            _refuse("assertion_replayed")


def _refuse(reason: str) -> NoReturn:
    raise OAuthRefusal("invalid_client", "The client could not be authenticated", reason=reason, status=401)
