"""Keyed pseudonyms: what stands for an identity in store and audit log (HMAC-SHA256, RFC 2104)."""

from __future__ import annotations

import hmac


def pseudonym(key: bytes, kind: str, value: str) -> str:
    """Hex HMAC-SHA256. `kind` separates the name spaces (`subject`, `idempotency`, …). The key has 32 bytes or more."""
    return hmac.digest(key, f"{kind}\x00{value}".encode(), "sha256").hex()
