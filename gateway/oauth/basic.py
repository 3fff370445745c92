"""Client secrets and `client_secret_basic` (RFC 6749 §2.3.1), as the gateway uses them where it is itself a client."""

from __future__ import annotations

import base64
from urllib.parse import quote_plus

SECRET_BYTES_MAX = 4_096


def client_secret(data: bytes) -> str:
    """The secret that a file's bytes are: one line, with or without its end. Raises ValueError without values."""
    try:
        secret = data.decode().removesuffix("\n").removesuffix("\r")
    except UnicodeDecodeError:
        raise ValueError("not a client secret: not text") from None  # the library's text holds a byte of it
    if not secret or len(data) > SECRET_BYTES_MAX or not secret.isprintable():
        raise ValueError("not a client secret: not one printable line")
    return secret


def basic(client_id: str, secret: str) -> str:
    """The value of the Authorization field."""
    # Form-encoded first: a colon in a client's id would otherwise end it.
    return "Basic " + base64.b64encode(f"{quote_plus(client_id)}:{quote_plus(secret)}".encode()).decode()
