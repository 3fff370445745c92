"""DPoP proofs (RFC 9449): which key was proven, for this method, this URL, this token, now. Nonces without state."""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NoReturn
from urllib.parse import urlsplit

from gateway.core.canonical import canonical
from gateway.oauth.claims import numeric_date
from gateway.oauth.jws import JwsInvalid, algorithm_and_key_id, parse_jws
from gateway.oauth.keys import VerificationKey, public_key
from gateway.oauth.refusal import OAuthRefusal

CHARACTERS_MAX = 8_192
AGE_SECONDS_MAX = 60
SKEW_SECONDS = 10
NONCE_SECONDS = 120
"""A nonce is good in its own span of time and in the next."""
TOKEN_ID_CHARACTERS_MAX = 256
URL_CHARACTERS_MAX = 2_048

_URL = re.compile(r"[\x21-\x7e]+")
_NONCE = re.compile(r"[A-Za-z0-9_-]{43}")
_TYPES = frozenset({"dpop+jwt"})
_PORTS = {"https": 443, "http": 80}
_UNRESERVED = re.compile(r"%([0-9A-Fa-f]{2})")
_THUMBPRINT_MEMBERS = {"EC": ("crv", "kty", "x", "y"), "RSA": ("e", "kty", "n"), "OKP": ("crv", "kty", "x")}


@dataclass(frozen=True, slots=True, kw_only=True)
class Proof:
    """`jkt`: RFC 7638 thumbprint of the key. `token_id` counts once until `expires_at`."""

    jkt: str
    token_id: str
    expires_at: float


class Nonces:
    """Server-chosen nonces (§8, §9) that every process with the secret knows: an HMAC of the span of time."""

    def __init__(self, secret: bytes) -> None:
        self._secret = secret

    def issue(self, now: float) -> str:
        return self._of(int(now // NONCE_SECONDS))

    def valid(self, nonce: str, now: float) -> bool:
        if _NONCE.fullmatch(nonce) is None:
            return False
        span = int(now // NONCE_SECONDS)
        return any(hmac.compare_digest(nonce, self._of(one)) for one in (span, span - 1))

    def _of(self, span: int) -> str:
        return _base64url(hmac.digest(self._secret, f"dpop-nonce {span}".encode(), "sha256"))


def check_proof(
    proof: str, *, method: str, url: str, now: float, nonces: Nonces, access_token: str | None = None
) -> Proof:
    """`url`: of this endpoint, as clients know it. `access_token`: at a protected resource (§7).

    Raises OAuthRefusal: `invalid_dpop_proof`, or `use_dpop_nonce` for a good proof without a good nonce.
    """
    try:
        jws = parse_jws(proof, characters_max=CHARACTERS_MAX)
        algorithm, _ = algorithm_and_key_id(jws, types=_TYPES, may_bring_key=True)
    except JwsInvalid as error:
        _refuse(error.fault)
    key = _key(jws.header.get("jwk"), algorithm)
    if not key.verifies(jws.signing_input, jws.signature):
        _refuse("signature")
    claims = jws.claims
    if claims.get("htm") != method:
        _refuse("method")
    shown = _normalised(claims.get("htu"))
    if shown is None or shown != _normalised(url):
        _refuse("url")
    issued_at = numeric_date(claims.get("iat"))
    if issued_at is None or not now - AGE_SECONDS_MAX <= issued_at <= now + SKEW_SECONDS:
        _refuse("issued_at")
    _check_other_times(claims, now)
    token_id = claims.get("jti")
    if not isinstance(token_id, str) or not 0 < len(token_id) <= TOKEN_ID_CHARACTERS_MAX:
        _refuse("token_id")
    _check_token(claims.get("ath"), access_token)
    nonce = claims.get("nonce")
    if not isinstance(nonce, str) or not nonces.valid(nonce, now):
        raise OAuthRefusal(
            "use_dpop_nonce", "The DPoP proof needs the nonce of the DPoP-Nonce field", reason="dpop_nonce"
        )
    return Proof(
        jkt=jwk_thumbprint(jws.header["jwk"]),
        token_id=token_id,
        expires_at=issued_at + AGE_SECONDS_MAX + SKEW_SECONDS,
    )


def jwk_thumbprint(jwk: Mapping[str, Any]) -> str:
    """RFC 7638, SHA-256, base64url. Of a public key that was imported before."""
    members = {name: jwk[name] for name in _THUMBPRINT_MEMBERS[jwk["kty"]]}
    return _base64url(hashlib.sha256(canonical(members)).digest())


def _key(jwk: Any, algorithm: str) -> VerificationKey:
    key = public_key(jwk) if isinstance(jwk, dict) else None
    if key is None or key.algorithm != algorithm:  # §4.3 (7): none with a private part, none symmetric
        _refuse("key")
    return key


def _check_other_times(claims: Mapping[str, Any], now: float) -> None:
    """Not of a proof (§4.2); where a client says them all the same, they are held (RFC 7519 §4.1.4, §4.1.5)."""
    if "exp" in claims:
        expires_at = numeric_date(claims["exp"])
        if expires_at is None or expires_at <= now:
            _refuse("expiry")
    if "nbf" in claims:
        not_before = numeric_date(claims["nbf"])
        if not_before is None or not_before > now + SKEW_SECONDS:
            _refuse("not_before")


def _check_token(ath: Any, access_token: str | None) -> None:
    """§4.3 (11): the hash of the token that comes with the proof, and only there."""
    if access_token is None:
        return
    expected = _base64url(hashlib.sha256(access_token.encode()).digest())
    if not isinstance(ath, str) or not hmac.compare_digest(ath.encode(), expected.encode()):
        _refuse("token_hash")


def _normalised(url: Any) -> tuple[str, str, int | None, str] | None:
    """§4.3 (9): without query and fragment, compared after RFC 3986 §6.2.2 and §6.2.3. None: no such URL."""
    # `urlsplit` drops blanks and line ends from within; here they make another URL.
    if not isinstance(url, str) or len(url) > URL_CHARACTERS_MAX or _URL.fullmatch(url) is None:
        return None
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return None
    if not parts.hostname or parts.username is not None:
        return None
    scheme = parts.scheme.lower()
    path = _UNRESERVED.sub(_decoded, parts.path) or "/"
    return scheme, parts.hostname.lower(), port if port is not None else _PORTS.get(scheme), path


def _decoded(encoded: re.Match[str]) -> str:
    character = chr(int(encoded[1], 16))
    return character if re.fullmatch(r"[A-Za-z0-9\-._~]", character) else encoded[0].upper()


def _base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _refuse(fault: str) -> NoReturn:
    raise OAuthRefusal("invalid_dpop_proof", "The DPoP proof is not valid", reason=f"dpop_{fault}")
