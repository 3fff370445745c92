"""The OAuth clients as a value: who they are, how they prove it, and what they may ask for. No IO."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from gateway.oauth.keys import KeySet


class Authentication(StrEnum):
    """How a client proves who it is (`token_endpoint_auth_method`)."""

    TLS = "tls_client_auth"  # RFC 8705 §2.1: by the subject of a certificate that an authority issued
    SELF_SIGNED_TLS = "self_signed_tls_client_auth"  # RFC 8705 §2.2: by exactly these certificates
    PRIVATE_KEY_JWT = "private_key_jwt"  # RFC 7523


@dataclass(frozen=True, slots=True, kw_only=True)
class Client:
    """A client of the embedded authorization server. Which certificates its connections may have says the registry."""

    client_id: str
    participant_id: str
    authentication: Authentication
    subject: str | None = None  # RFC 4514, of `tls_client_auth`
    certificates: frozenset[str] = frozenset()  # hex SHA-256, of `self_signed_tls_client_auth`
    keys: KeySet | None = None  # of assertions and request objects
    redirect_uris: tuple[str, ...] = ()  # compared as they are
    scopes: frozenset[str] = frozenset()
    signed_requests: bool = False  # takes nothing but signed request objects (RFC 9101)
    dpop: bool = False  # its tokens are bound by DPoP alone


class Clients:
    """Immutable; a reload makes a new one and swaps it."""

    def __init__(self, clients: Iterable[Client] = ()) -> None:
        self._by_id = {client.client_id: client for client in clients}

    def by_id(self, client_id: str) -> Client | None:
        return self._by_id.get(client_id)
