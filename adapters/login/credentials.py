"""How the gateway proves to the OpenID provider that it is its client: by a key, or by a secret.

Files are read once; their content is in no text and no `repr`.
"""

from __future__ import annotations

import base64
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote_plus

from authlib.oauth2.rfc7523 import PrivateKeyJWT  # type: ignore[import-untyped]
from joserfc.errors import JoseError
from joserfc.jwk import ECKey

_FILE_BYTES_MAX = 16_384
_ASSERTION_SECONDS = 60

Method = Callable[[Any, str, str, Any, Any], tuple[str, Any, Any]]
"""Authlib's form of a client authentication: (client, method, uri, headers, body) → (uri, headers, body)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PrivateKey:
    """`private_key_jwt` with ES256 (RFC 7523). Make it with `read`."""

    key_id: str
    secret: ECKey = field(repr=False)

    @classmethod
    def read(cls, file: Path, *, key_id: str) -> PrivateKey:
        """`file`: an unencrypted PEM P-256 key. Raises ValueError, or OSError."""
        try:
            key = ECKey.import_key(_read(file))
            usable = key.is_private and key.curve_name == "P-256"
        except (JoseError, ValueError, TypeError, KeyError) as error:
            raise ValueError(f"{file}: not an unencrypted PEM P-256 private key") from error
        if not usable:
            raise ValueError(f"{file}: not an unencrypted PEM P-256 private key")
        return cls(key_id=key_id, secret=key)


@dataclass(frozen=True, slots=True, kw_only=True)
class Secret:
    """`client_secret_basic`. Make it with `read`."""

    secret: str = field(repr=False)

    @classmethod
    def read(cls, file: Path) -> Secret:
        """`file`: the secret, and a line's end at most. Raises ValueError, or OSError."""
        try:
            secret = _read(file).decode().removesuffix("\n").removesuffix("\r")
        except UnicodeDecodeError as error:
            raise ValueError(f"{file}: not text") from error
        if not secret or not secret.isprintable():
            raise ValueError(f"{file}: not a client secret")
        return cls(secret=secret)


Credentials = PrivateKey | Secret


def authentication(credentials: Credentials, *, issuer: str, now: float, assertion_id: str) -> Method:
    """How one request is authenticated. `assertion_id`: its `jti`."""
    if isinstance(credentials, Secret):
        return _basic
    # The issuer and not the token endpoint, which comes from a document: so an assertion is good at this provider
    # only (draft-ietf-oauth-rfc7523bis).
    method: Method = PrivateKeyJWT(
        issuer,
        claims={"iat": int(now), "exp": int(now) + _ASSERTION_SECONDS, "jti": assertion_id},
        headers={"kid": credentials.key_id},
        alg="ES256",
    )
    return method


def _basic(client: Any, _method: str, uri: str, headers: Any, body: Any) -> tuple[str, Any, Any]:
    # RFC 6749 §2.3.1: form-encoded first; authlib's own leaves that out.
    text = f"{quote_plus(client.client_id)}:{quote_plus(client.client_secret)}"
    headers["Authorization"] = "Basic " + base64.b64encode(text.encode()).decode()
    return uri, headers, body


def _read(file: Path) -> bytes:
    with file.open("rb") as opened:
        data = opened.read(_FILE_BYTES_MAX + 1)
    if len(data) > _FILE_BYTES_MAX:
        raise ValueError(f"{file}: too large")
    return data
