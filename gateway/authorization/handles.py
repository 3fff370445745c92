"""The secrets that the server hands out, and what is kept of each. Codes, handles, refresh tokens, session ids."""

from __future__ import annotations

import hashlib
import secrets

REQUEST_URI = "urn:ietf:params:oauth:request_uri:"  # RFC 9126 §2.2
SECRET_BYTES = 32
_CHARACTERS_MAX = 128


def new_secret() -> str:
    """256 bits in base64url."""
    return secrets.token_urlsafe(SECRET_BYTES)


def kept(secret: str) -> str:
    """Hex SHA-256: enough for a secret that nobody can guess."""
    return hashlib.sha256(secret[:_CHARACTERS_MAX].encode(errors="surrogatepass")).hexdigest()


def handle_of(request_uri: str) -> str | None:
    """The handle of a request URI of ours, None for another."""
    if not request_uri.startswith(REQUEST_URI) or len(request_uri) > len(REQUEST_URI) + _CHARACTERS_MAX:
        return None
    return request_uri.removeprefix(REQUEST_URI)
