"""PKCE (RFC 7636), S256 alone: `plain` would show the verifier to whoever sees the request."""

from __future__ import annotations

import base64
import hashlib
import hmac
import re

_VERIFIER = re.compile(r"[A-Za-z0-9\-._~]{43,128}")  # §4.1
CHALLENGE = re.compile(r"[A-Za-z0-9_-]{43}")  # 32 bytes in base64url (§4.2)


def verifies(verifier: str, challenge: str) -> bool:
    """Whether the verifier is the one that the challenge was made of (§4.6). Constant time."""
    if _VERIFIER.fullmatch(verifier) is None:
        return False
    made = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=")
    return hmac.compare_digest(made, challenge.encode())
