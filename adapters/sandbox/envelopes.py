"""Envelopes of the sandbox's platform: honest ones, and those that a fault makes wrong (see `faults`)."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, replace
from typing import Any

from adapters.sandbox.faults import Mode, lie
from gateway.ports import Signer
from gateway.profiles.dvp_v1 import envelope

LIFETIME_SECONDS = 120
_STALE_SECONDS = 600
_STRANGER = "NOBODY000001"

Body = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """What goes back over HTTP. `whole` False: half of it, then the connection is closed. `closed`: nothing at all."""

    status: int = 200
    token: bytes = b""
    whole: bool = True
    closed: bool = False


_NO_ANSWER = {
    Mode.OUTAGE: Reply(status=503),
    Mode.HTTP_500: Reply(status=500),
    Mode.CLOSE: Reply(closed=True),
    Mode.GARBAGE: Reply(token=b"\x00\xff this is no JWS " * 8),
}


class Envelopes:
    """Makes what `sender` sends. `false_signer` has the platform's `kid` and another key."""

    def __init__(self, *, sender: str, signer: Signer, false_signer: Signer) -> None:
        self.sender = sender
        self._signer, self._false_signer = signer, false_signer
        self._last: dict[str, tuple[str, bytes]] = {}  # by receiver, for the faults that repeat something

    def seal(
        self, message_type: str, body: Body, *, receiver: str, now: int, in_reply_to: str | None = None
    ) -> tuple[str, bytes]:
        """Message id and token of an honest message."""
        return self._sealed(self._message(message_type, body, receiver, in_reply_to, now), self._signer)

    def reply(self, mode: Mode, received: envelope.Envelope, message_type: str, body: Body, *, now: int) -> Reply:
        """The answer to `received`, made wrong as the mode says."""
        if mode in _NO_ANSWER:
            return _NO_ANSWER[mode]
        before = self._last.get(received.sender)
        if mode is Mode.REPLAYED_ANSWER and before is not None:
            return Reply(token=before[1])
        message_type, body = lie(mode, message_type, body)
        message = self._message(message_type, body, received.sender, received.message_id, now)
        if mode is Mode.STALE_ANSWER:
            past = now - _STALE_SECONDS
            message = replace(message, issued_at=past, expires_at=past + LIFETIME_SECONDS)
        elif mode is Mode.WRONG_REFERENCE:
            message = replace(message, in_reply_to=str(uuid.uuid4()))
        elif mode is Mode.UNKNOWN_SENDER:
            message = replace(message, sender=_STRANGER)
        elif mode is Mode.DUPLICATE and before is not None:
            message = replace(message, message_id=before[0])
        _, token = self._sealed(message, self._false_signer if mode is Mode.WRONG_SIGNATURE else self._signer)
        return Reply(token=token, whole=mode is not Mode.TRUNCATED)

    def _sealed(self, message: envelope.Envelope, signer: Signer) -> tuple[str, bytes]:
        token = envelope.seal(message, signer).encode()
        self._last[message.receiver] = (message.message_id, token)
        return message.message_id, token

    def _message(
        self, message_type: str, body: Body, receiver: str, in_reply_to: str | None, now: int
    ) -> envelope.Envelope:
        return envelope.Envelope(
            message_id=str(uuid.uuid4()),
            message_type=message_type,
            sender=self.sender,
            receiver=receiver,
            issued_at=now,
            expires_at=now + LIFETIME_SECONDS,
            nonce=uuid.uuid4().hex,
            in_reply_to=in_reply_to,
            body=body,
        )
