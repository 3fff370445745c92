"""The `partner` listener: messages that the DVP platform sends unasked (`dvp/v1`)."""

from __future__ import annotations

import os
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from aiohttp import web

from gateway.core.model import Role
from gateway.errors import CertUnknown, SchemaInvalid, SchemaVersionUnsupported
from gateway.exchange.admission import Admission, Admitted, Arrival, rate_fields
from gateway.exchange.inbound import Inbound, Revocation
from gateway.http.bodies import read_body, require_media_type
from gateway.http.boundary import INTERACTION, RESPONSE_FIELDS, TRACE, route_template
from gateway.ports import Clock, Signer
from gateway.profiles.dvp_v1 import envelope, messages
from gateway.profiles.dvp_v1.signature import KeySet
from gateway.profiles.validation import Validators
from gateway.tls import peer_certificate

ENVELOPE_SECONDS = 120
MEDIA_TYPE = "application/jose"


@dataclass(frozen=True, slots=True, kw_only=True)
class Peer:
    """What is needed to speak with one platform: its keys, and the key that answers it."""

    keys: KeySet
    signer: Signer


@dataclass(frozen=True, slots=True, kw_only=True)
class PartnerApi:
    admission: Admission
    inbound: Inbound
    validators: Validators
    clock: Clock
    own_id: str
    peers: Mapping[str, Peer]  # by platform id
    body_bytes_max: int
    body_timeout_seconds: float
    refused: Callable[[str], None]  # counts the reason code of a refused envelope

    def routes(self) -> list[web.RouteDef]:
        return [web.post("/dvp/v1/messages", self.message)]

    async def message(self, request: web.Request) -> web.Response:
        """One signed message in, one signed message out."""
        arrival = Arrival(
            certificate=peer_certificate(request.transport),
            route=f"{request.method} {route_template(request)}",
            interaction=request[INTERACTION],
            trace=request[TRACE],
        )
        platform = await self.admission.admit(arrival, Role.PLATFORM)
        request[RESPONSE_FIELDS] = rate_fields(platform.allowances)
        peer = self.peers.get(platform.participant.participant_id)
        if peer is None:
            raise CertUnknown(private="platform without keys")
        require_media_type(request, MEDIA_TYPE)
        body = await read_body(request, bytes_max=self.body_bytes_max, timeout_seconds=self.body_timeout_seconds)
        received = self._open(body, platform, peer)
        message_type, answer = await self._handle(platform, received)
        return web.Response(body=self._seal(received, message_type, answer, peer).encode(), content_type=MEDIA_TYPE)

    def _open(self, body: bytes, platform: Admitted, peer: Peer) -> envelope.Envelope:
        try:
            return envelope.unseal(
                body,
                keys=peer.keys,
                sender=platform.participant.participant_id,
                receiver=self.own_id,
                now=self.clock.now(),
                validators=self.validators,
            )
        except envelope.EnvelopeError as refused:
            self.refused(refused.reason)
            if refused.reason == "VERSION":
                raise SchemaVersionUnsupported() from refused
            raise SchemaInvalid("The message's envelope was refused", private=refused.reason) from refused

    async def _handle(self, platform: Admitted, received: envelope.Envelope) -> tuple[str, dict[str, Any]]:
        if received.message_type != "EvidenceRevocation":
            # Northbound questions and late results are not served yet; the platform learns that asking again is no use.
            return "ErrorResponse", messages.error_body("DIRECTION_NOT_PERMITTED", retryable=False)
        revoked = messages.revocation_from(received.body)
        await self.inbound.evidence_revoked(
            platform,
            Revocation(
                message_id=received.message_id,
                expires_at=received.believed_until,
                evidence_id=revoked.evidence_id,
                revoked_at=revoked.revoked_at,
            ),
        )
        return "Ack", messages.ack_body()

    def _seal(self, received: envelope.Envelope, message_type: str, body: dict[str, Any], peer: Peer) -> str:
        now = int(self.clock.now())
        return envelope.seal(
            envelope.Envelope(
                message_id=str(uuid.uuid4()),
                message_type=message_type,
                sender=self.own_id,
                receiver=received.sender,
                issued_at=now,
                expires_at=now + ENVELOPE_SECONDS,
                nonce=os.urandom(16).hex(),
                in_reply_to=received.message_id,
                body=body,
            ),
            peer.signer,
        )
