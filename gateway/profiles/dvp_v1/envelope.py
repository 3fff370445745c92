"""The signed envelope around every message: who to whom, when, in reply to what. Contract §5.

Replays are the caller's to refuse: the message id must be seen for the first time (port `Replays`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import orjson

from gateway.core import ijson
from gateway.errors import SchemaInvalid
from gateway.profiles.dvp_v1.signature import KeySet, SignatureError, Signer, sign, verify
from gateway.profiles.validation import Validators

TYPE = "dvp+jws"
VERSION = "1.0"
BYTES_MAX = 262_144
LIFETIME_SECONDS_MAX = 300
SKEW_SECONDS = 60

MESSAGE_SCHEMAS = {
    "VerificationRequest": "dvp/v1/verification-request",
    "VerificationResult": "dvp/v1/verification-result",
    "EvidenceRegistration": "dvp/v1/evidence-registration",
    "EvidenceReceipt": "dvp/v1/evidence-receipt",
    "EvidenceRevocation": "dvp/v1/evidence-revocation",
    "EvidenceStatusQuery": "dvp/v1/evidence-status-query",
    "EvidenceStatus": "dvp/v1/evidence-status",
    "SourceAvailability": "dvp/v1/source-availability",
    "Ack": "dvp/v1/ack",
    "ErrorResponse": "dvp/v1/error-response",
}


class EnvelopeError(Exception):
    """A message that must not be believed. `reason` says why; nothing of the message is in the text.

    SIZE, TYPE, ALGORITHM, SIGNATURE, SCHEMA, VERSION, SENDER, RECEIVER, FUTURE, STALE, LIFETIME, REFERENCE.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True, slots=True, kw_only=True)
class Envelope:
    """A message with its claims. Times are Unix seconds."""

    message_id: str
    message_type: str
    sender: str
    receiver: str
    issued_at: int
    expires_at: int
    nonce: str
    body: dict[str, Any]
    in_reply_to: str | None = None
    version: str = VERSION

    @property
    def believed_until(self) -> int:
        """From here on `unseal` refuses it: until then its id must be remembered, or a repeat would be believed."""
        return self.expires_at + SKEW_SECONDS


def seal(envelope: Envelope, signer: Signer) -> str:
    """The compact JWS to send."""
    claims: dict[str, Any] = {
        "messageId": envelope.message_id,
        "messageType": envelope.message_type,
        "version": envelope.version,
        "sender": envelope.sender,
        "receiver": envelope.receiver,
        "issuedAt": envelope.issued_at,
        "expiresAt": envelope.expires_at,
        "nonce": envelope.nonce,
        "body": envelope.body,
    }
    if envelope.in_reply_to is not None:
        claims["inReplyTo"] = envelope.in_reply_to
    return sign(signer, TYPE, orjson.dumps(claims))


def unseal(
    token: bytes,
    *,
    keys: KeySet,
    sender: str,
    receiver: str,
    now: float,
    validators: Validators,
    bytes_max: int = BYTES_MAX,
) -> Envelope:
    """The message, if `sender`, whose keys these are, said it to `receiver` about now. Raises EnvelopeError."""
    if len(token) > bytes_max:
        raise EnvelopeError("SIZE")
    try:
        payload = verify(token, keys, TYPE)
    except SignatureError as error:
        raise EnvelopeError(error.reason) from error
    try:
        claims = ijson.parse(payload)
    except SchemaInvalid as error:
        raise EnvelopeError("SCHEMA") from error
    if not validators.is_valid("dvp/v1/envelope", claims):
        raise EnvelopeError("SCHEMA")
    _check_claims(claims, sender=sender, receiver=receiver, now=now)
    if not validators.is_valid(MESSAGE_SCHEMAS[claims["messageType"]], claims["body"]):
        raise EnvelopeError("SCHEMA")
    return Envelope(
        message_id=claims["messageId"],
        message_type=claims["messageType"],
        version=claims["version"],
        sender=claims["sender"],
        receiver=claims["receiver"],
        issued_at=claims["issuedAt"],
        expires_at=claims["expiresAt"],
        nonce=claims["nonce"],
        in_reply_to=claims.get("inReplyTo"),
        body=claims["body"],
    )


def _check_claims(claims: dict[str, Any], *, sender: str, receiver: str, now: float) -> None:
    if claims["version"] != VERSION:
        raise EnvelopeError("VERSION")
    if claims["sender"] != sender:
        raise EnvelopeError("SENDER")
    if claims["receiver"] != receiver:
        raise EnvelopeError("RECEIVER")
    if not 0 < claims["expiresAt"] - claims["issuedAt"] <= LIFETIME_SECONDS_MAX:
        raise EnvelopeError("LIFETIME")
    if claims["issuedAt"] > now + SKEW_SECONDS:
        raise EnvelopeError("FUTURE")
    if claims["expiresAt"] <= now - SKEW_SECONDS:
        raise EnvelopeError("STALE")
