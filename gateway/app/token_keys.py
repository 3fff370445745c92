"""The embedded authorization server's own keys, from their files: who signs, and what others check it by."""

from __future__ import annotations

import orjson

from adapters.keys.file import FileSigner
from gateway.settings import Server


def token_signers(server: Server) -> tuple[FileSigner, ...]:
    """The first signs. Raises KeyFileRefused."""
    return tuple(FileSigner(key.file, key.id) for key in server.signing_keys)


def published_keys(server: Server) -> bytes:
    """All of them as a JWKS. Raises KeyFileRefused."""
    return orjson.dumps({"keys": [signer.public_jwk() for signer in token_signers(server)]})
