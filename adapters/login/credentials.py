"""How the gateway proves to the OpenID provider that it is its client: by a key, or by a secret.

Made of the bytes of a file that was read, and looked at, once. They are in no text and no `repr`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from authlib.oauth2.rfc7523 import PrivateKeyJWT  # type: ignore[import-untyped]
from joserfc.errors import JoseError
from joserfc.jwk import ECKey

from gateway.oauth.basic import basic, client_secret

_ASSERTION_SECONDS = 60

Method = Callable[[Any, str, str, Any, Any], tuple[str, Any, Any]]
"""Authlib's form of a client authentication: (client, method, uri, headers, body) → (uri, headers, body)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PrivateKey:
    """`private_key_jwt` with ES256 (RFC 7523). Make it with `of`."""

    key_id: str
    secret: ECKey = field(repr=False)

    @classmethod
    def of(cls, data: bytes, *, key_id: str) -> PrivateKey:
        """`data`: an unencrypted PEM P-256 key. Raises ValueError."""
        try:
            key = ECKey.import_key(data)
            usable = key.is_private and key.curve_name == "P-256"
        except (JoseError, ValueError, TypeError, KeyError) as error:
            raise ValueError("not an unencrypted PEM P-256 private key") from error
        if not usable:
            raise ValueError("not an unencrypted PEM P-256 private key")
        return cls(key_id=key_id, secret=key)


@dataclass(frozen=True, slots=True, kw_only=True)
class Secret:
    """`client_secret_basic`. Make it with `of`."""

    secret: str = field(repr=False)

    @classmethod
    def of(cls, data: bytes) -> Secret:
        """`data`: the secret, and a line's end at most. Raises ValueError."""
        return cls(secret=client_secret(data))


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
    headers["Authorization"] = basic(client.client_id, client.client_secret)  # authlib's own encodes neither
    return uri, headers, body
