"""The Idempotency-Key field as it is kept: keyed hashes of key and body, so that neither comes back from the store."""

from __future__ import annotations

import hashlib

from gateway.core.pseudonym import pseudonym
from gateway.ports import Idempotency


def idempotency(secret: bytes, participant_id: str, route: str, key: str, body: bytes) -> Idempotency:
    """One key per participant, route and field value; the fingerprint tells whether the body is the same."""
    return Idempotency(
        key=pseudonym(secret, "idempotency", f"{participant_id}\x00{route}\x00{key}"),
        fingerprint=pseudonym(secret, "fingerprint", hashlib.sha256(body).hexdigest()),
    )
