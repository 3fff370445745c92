"""An OAuth authorization server such as a bank runs for its customers: who may have which access token, and for what.

Machine tokens by `client_credentials`; consent tokens only for what a data owner has approved, letter by letter
(RFC 9396). Every token is bound to the client's certificate (RFC 8705). No HTTP here.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from adapters.sandbox.files import append_line, read_json_lines
from adapters.sandbox.signing import KeySigner, base64url
from gateway.core.canonical import canonical

TOKEN_SECONDS = 300
CONSENT_SCOPE = "cdi:data-requests"
_CONSENT_FIELDS = frozenset({"type", "consentId", "dataProviderId", "documentType", "purpose", "expireTime"})
_TEXT_LENGTH_MAX = 200


class OAuthError(Exception):
    """A refusal of RFC 6749 §5.2 or RFC 9396 §5; the text is for the client's developer and holds no input."""

    def __init__(self, code: str, description: str, *, status: int = 400) -> None:
        super().__init__(code)
        self.code = code
        self.description = description
        self.status = status


@dataclass(frozen=True, slots=True, kw_only=True)
class OAuthClient:
    client_id: str
    subject: str  # RFC 4514 subject of its certificate (RFC 8705 §2.1.2 tls_client_auth_subject_dn)
    scopes: frozenset[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Presented:
    """The client certificate of the connection: its RFC 4514 subject and its DER bytes."""

    subject: str
    der: bytes

    @property
    def thumbprint(self) -> str:
        return base64url(hashlib.sha256(self.der).digest())


class Issuer:
    """Approvals are kept in a file, synced; tokens are not kept at all."""

    def __init__(
        self,
        *,
        issuer: str,
        resource: str,
        signer: KeySigner,
        clients: tuple[OAuthClient, ...],
        passwords: Mapping[str, tuple[str, str]],
        approvals_file: Path,
        pairwise_key: bytes,
    ) -> None:
        """`passwords`: login → (owner id, `password_hash`). `pairwise_key`: 32 secret bytes."""
        self._issuer, self._resource, self._signer = issuer, resource, signer
        self._clients = {client.client_id: client for client in clients}
        self._passwords = passwords
        self._approvals_file = approvals_file
        self._pairwise_key = pairwise_key
        self._approved: dict[bytes, str] = {
            canonical(line["authorizationDetail"]): line["owner"] for line in read_json_lines(approvals_file)
        }

    def approve(self, login: str, password: str, details: Any, *, now: int) -> list[dict[str, Any]]:
        """The data owner says yes to exactly these consents. Durable on return."""
        owner = self._sign_in(login, password)
        approved = _details(details)
        for detail in approved:
            if detail["expireTime"] <= now:
                raise OAuthError("invalid_authorization_details", "the consent has expired")
        for detail in approved:
            key = canonical(detail)
            if self._approved.get(key) != owner:
                line = canonical({"owner": owner, "authorizationDetail": detail, "time": now})
                append_line(self._approvals_file, line)
                self._approved[key] = owner
        return approved

    def token(self, form: Mapping[str, str], certificate: Presented | None, *, now: int) -> dict[str, Any]:
        """The answer of the token endpoint (RFC 6749 §5.1)."""
        client = self._client(form.get("client_id", ""), certificate)
        if certificate is None:
            raise OAuthError("invalid_client", "a client certificate is required", status=401)
        if form.get("grant_type") != "client_credentials":
            raise OAuthError("unsupported_grant_type", "only client_credentials is served")
        scopes = _scopes(form.get("scope", ""), client)
        subject = client.client_id  # RFC 9068 §2.2: no resource owner takes part
        claims: dict[str, Any] = {}
        if CONSENT_SCOPE in scopes:
            details = _details(_json(form.get("authorization_details", "")))
            subject = self._pairwise(self._owner_of(details), client)
            claims["authorization_details"] = details
        elif "authorization_details" in form:
            raise OAuthError("invalid_scope", f"authorization_details go with the scope {CONSENT_SCOPE}")
        claims |= {
            "iss": self._issuer,
            "aud": self._resource,
            "sub": subject,
            "client_id": client.client_id,
            "scope": " ".join(scopes),
            "jti": str(uuid.uuid4()),
            "iat": now,
            "exp": now + TOKEN_SECONDS,
            "cnf": {"x5t#S256": certificate.thumbprint},
        }
        return {
            "access_token": self._signer.sign_jws({"typ": "at+jwt"}, orjson.dumps(claims)),
            "token_type": "Bearer",
            "expires_in": TOKEN_SECONDS,
            "scope": claims["scope"],
        }

    def _client(self, client_id: str, certificate: Presented | None) -> OAuthClient:
        client = self._clients.get(client_id)
        if client is None or certificate is None or certificate.subject != client.subject:
            raise OAuthError("invalid_client", "client_id and client certificate do not belong together", status=401)
        return client

    def _owner_of(self, details: list[dict[str, Any]]) -> str:
        owners = {self._approved.get(canonical(detail)) for detail in details}
        owner = owners.pop()
        if owner is None or owners:
            raise OAuthError("invalid_grant", "the data owner has not approved exactly this")
        return owner

    def _sign_in(self, login: str, password: str) -> str:
        # An unknown login costs as much as a wrong password, and looks the same.
        owner, known = self._passwords.get(login, ("", password_hash("", salt=b"\0" * 16)))
        salt = base64.b64decode(known.partition("$")[0])
        if not hmac.compare_digest(password_hash(password, salt=salt), known) or not owner:
            raise OAuthError("access_denied", "login or password is wrong", status=403)
        return owner

    def _pairwise(self, owner: str, client: OAuthClient) -> str:
        """OpenID Connect Core §8.1: another pseudonym of the same person for every client."""
        tag = hmac.new(self._pairwise_key, canonical([client.client_id, owner]), hashlib.sha256).digest()
        return base64url(tag)


def password_hash(password: str, *, salt: bytes) -> str:
    """scrypt, as `salt$hash` in base64."""
    derived = hashlib.scrypt(password.encode()[:1024], salt=salt, n=2**14, r=8, p=1)
    return f"{base64.b64encode(salt).decode()}${base64.b64encode(derived).decode()}"


def _scopes(text: str, client: OAuthClient) -> list[str]:
    scopes = list(dict.fromkeys(text.split()))
    if not scopes:
        raise OAuthError("invalid_scope", "scope is required")
    if not client.scopes.issuperset(scopes):
        raise OAuthError("invalid_scope", "this client may not have that scope")
    if CONSENT_SCOPE in scopes and len(scopes) > 1:
        raise OAuthError("invalid_scope", f"{CONSENT_SCOPE} is given in a token of its own")
    return scopes


def _details(value: Any) -> list[dict[str, Any]]:
    """RFC 9396 §5: refused unless every member is known and of its type."""
    if not isinstance(value, list) or not 1 <= len(value) <= 16:
        raise OAuthError("invalid_authorization_details", "authorization_details must be an array of 1 to 16 objects")
    for detail in value:
        if not isinstance(detail, dict) or detail.keys() != _CONSENT_FIELDS or detail["type"] != "cdi_consent":
            fields = ", ".join(sorted(_CONSENT_FIELDS))
            raise OAuthError("invalid_authorization_details", f"a cdi_consent has exactly {fields}")
        texts = [detail[name] for name in _CONSENT_FIELDS - {"expireTime"}]
        if not all(isinstance(text, str) and len(text) <= _TEXT_LENGTH_MAX for text in texts):
            raise OAuthError("invalid_authorization_details", "a member is not a short text")
        if type(detail["expireTime"]) is not int or not 0 <= detail["expireTime"] < 2**53:
            raise OAuthError("invalid_authorization_details", "expireTime must be Unix seconds")
    return value


def _json(text: str) -> Any:
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise OAuthError("invalid_authorization_details", "authorization_details must be JSON") from error
