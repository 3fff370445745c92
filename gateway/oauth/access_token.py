"""What an access token must say before it is believed: RFC 9068 claims, its binding (RFC 8705, RFC 9449), RFC 9396
details. Of a signed token, or of what its issuer says about an opaque one (RFC 7662).

Pure rules over what was verified before; keys, signatures and calls are the verifier's (adapters.issuers). Whatever
the JSON holds, the answer is an AccessToken or TokenInvalid with one of the codes of `Fault`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from gateway.core.consent import Grant
from gateway.errors import TokenInvalid
from gateway.oauth.claims import numeric_date

CONSENT_DETAIL_TYPE = "cdi_consent"
DETAILS_MAX = 16
SCOPE_CHARACTERS_MAX = 1_024

# RFC 9068 §4: the media type with and without its "application/" prefix; RFC 7515 §4.1.9 compares case-insensitively.
_TYPES = frozenset({"at+jwt", "application/at+jwt"})
_NAME = re.compile(r"[\x21-\x7e](?:[\x20-\x7e]{0,253}[\x21-\x7e])?")  # RFC 6749 A.1 VSCHAR, bounded
_SCOPE = re.compile(r"[\x21\x23-\x5b\x5d-\x7e]+(?: [\x21\x23-\x5b\x5d-\x7e]+)*")  # RFC 6749 §3.3
# 32 bytes in base64url without padding: the last of 43 characters has two unused bits, which are zero (RFC 4648 §3.5).
_THUMBPRINT = re.compile(r"[A-Za-z0-9_-]{42}[AEIMQUYcgkosw048]")


class Fault(StrEnum):
    """Why a token was refused: `TokenInvalid.private`, and the label of a metric. Bounded."""

    MALFORMED = "malformed"
    TOO_LARGE = "too_large"
    HEADER = "header"
    ALGORITHM = "algorithm"
    KEY = "key"
    SIGNATURE = "signature"
    TYPE = "type"
    ISSUER = "issuer"
    AUDIENCE = "audience"
    EXPIRY = "expiry"
    EXPIRED = "expired"
    ISSUED_AT = "issued_at"
    NOT_BEFORE = "not_before"
    LIFETIME = "lifetime"
    SUBJECT = "subject"
    CLIENT = "client"
    TOKEN_ID = "token_id"  # noqa: S105 - a code, not a password
    SCOPE = "scope"
    CONFIRMATION = "confirmation"
    DETAILS = "details"
    AUTH_TIME = "auth_time"
    INACTIVE = "inactive"


@dataclass(frozen=True, slots=True, kw_only=True)
class AccessToken:
    """A verified access token. It is bound to `thumbprint`, `cnf.x5t#S256` (RFC 8705 §3.1), or to `jkt` (RFC 9449
    §6.1): exactly one of them is there."""

    issuer: str
    client_id: str
    subject: str
    scopes: frozenset[str]
    thumbprint: str | None
    expires_at: int
    grants: tuple[Grant, ...]
    jkt: str | None = None
    token_id: str = ""  # `jti`; none of an opaque token whose issuer does not say it
    grant_id: str | None = None
    auth_time: int | None = None  # when the data owner signed in


def check_claims(
    header: Mapping[str, Any],
    claims: Mapping[str, Any],
    *,
    issuer: str,
    resource: str,
    now: float,
    skew_seconds: int,
    lifetime_seconds_max: float,
    approves: bool,
) -> AccessToken:
    """The token as a value, or TokenInvalid with a `Fault` as its private code.

    `resource` is what `aud` must name; `skew_seconds` is granted to `iat` and `nbf`, never to `exp`; `approves`: this
    issuer speaks for data owners.
    """
    token_type = header.get("typ")
    if not isinstance(token_type, str) or token_type.lower() not in _TYPES:
        raise refused(Fault.TYPE)
    if claims.get("iss") != issuer:
        raise refused(Fault.ISSUER)
    if not _names(claims.get("aud"), resource):
        raise refused(Fault.AUDIENCE)
    expires_at = _times(claims, now=now, skew_seconds=skew_seconds, lifetime_seconds_max=lifetime_seconds_max)
    token_id = _name(claims, "jti", Fault.TOKEN_ID)
    return _token(claims, issuer=issuer, token_id=token_id, expires_at=expires_at, approves=approves)


def check_introspection(
    body: Mapping[str, Any],
    *,
    issuer: str,
    resource: str,
    now: float,
    skew_seconds: int,
    lifetime_seconds_max: float,
    approves: bool,
) -> AccessToken:
    """What an issuer says about an opaque token (RFC 7662 §2.2), held to the rules of a signed one.

    What the answer may leave out is not asked for: `iss`, `iat`, `jti`. What decides here must be there: `active`,
    `aud`, `exp`, `client_id`, `cnf`. Raises TokenInvalid.

    Since `iat` may be missing, `lifetime_seconds_max` counts from now: no token outlives what is announced about it.
    """
    if body.get("active") is not True:
        raise refused(Fault.INACTIVE)
    if body.get("iss", issuer) != issuer:
        raise refused(Fault.ISSUER)
    if not _names(body.get("aud"), resource):
        raise refused(Fault.AUDIENCE)
    expires_at = _time(body.get("exp"), Fault.EXPIRY)
    if expires_at <= now:
        raise refused(Fault.EXPIRED)
    if expires_at > now + lifetime_seconds_max:
        raise refused(Fault.LIFETIME)
    for name, fault in (("iat", Fault.ISSUED_AT), ("nbf", Fault.NOT_BEFORE)):
        if name in body and _time(body[name], fault) > now + skew_seconds:
            raise refused(fault)
    token_id = _name(body, "jti", Fault.TOKEN_ID) if "jti" in body else ""
    claims = body if "sub" in body else {**body, "sub": body.get("client_id")}
    return _token(claims, issuer=issuer, token_id=token_id, expires_at=expires_at, approves=approves)


def _token(claims: Mapping[str, Any], *, issuer: str, token_id: str, expires_at: int, approves: bool) -> AccessToken:
    thumbprint, jkt = _confirmation(claims.get("cnf"))
    return AccessToken(
        issuer=issuer,
        client_id=_name(claims, "client_id", Fault.CLIENT),
        subject=_name(claims, "sub", Fault.SUBJECT),
        scopes=_scopes(claims),
        thumbprint=thumbprint,
        jkt=jkt,
        expires_at=expires_at,
        grants=_grants(claims.get("authorization_details", []), approves=approves),
        token_id=token_id,
        grant_id=_name(claims, "grant_id", Fault.DETAILS) if "grant_id" in claims else None,
        auth_time=_time(claims["auth_time"], Fault.AUTH_TIME) if "auth_time" in claims else None,
    )


def refused(fault: Fault) -> TokenInvalid:
    """The one refusal of a token; its public text does not tell the codes apart."""
    return TokenInvalid(private=fault.value)


def _names(audience: Any, resource: str) -> bool:
    # RFC 7519 §4.1.3: one string, or an array of strings.
    if isinstance(audience, list):
        return all(isinstance(item, str) for item in audience) and resource in audience
    return bool(audience == resource)


def _times(claims: Mapping[str, Any], *, now: float, skew_seconds: int, lifetime_seconds_max: float) -> int:
    expires_at = _time(claims.get("exp"), Fault.EXPIRY)
    issued_at = _time(claims.get("iat"), Fault.ISSUED_AT)
    if expires_at <= now:
        raise refused(Fault.EXPIRED)
    if issued_at > now + skew_seconds:
        raise refused(Fault.ISSUED_AT)
    if "nbf" in claims and _time(claims["nbf"], Fault.NOT_BEFORE) > now + skew_seconds:
        raise refused(Fault.NOT_BEFORE)
    if not 0 < expires_at - issued_at <= lifetime_seconds_max:
        raise refused(Fault.LIFETIME)
    return expires_at


def _time(value: Any, fault: Fault) -> int:
    date = numeric_date(value)
    if date is None:
        raise refused(fault)
    return date


def _name(claims: Mapping[str, Any], claim: str, fault: Fault) -> str:
    value = claims.get(claim)
    if not isinstance(value, str) or _NAME.fullmatch(value) is None:
        raise refused(fault)
    return value


def _scopes(claims: Mapping[str, Any]) -> frozenset[str]:
    # RFC 9068 §2.2.3: absent when the client asked for none; such a token opens nothing (`scopes.require`).
    if "scope" not in claims:
        return frozenset()
    value = claims["scope"]
    if not isinstance(value, str) or len(value) > SCOPE_CHARACTERS_MAX or _SCOPE.fullmatch(value) is None:
        raise refused(Fault.SCOPE)
    return frozenset(value.split(" "))


def _confirmation(confirmation: Any) -> tuple[str | None, str | None]:
    """`x5t#S256` or `jkt`. Exactly one member: a second binding that nobody checks would be no binding."""
    if not isinstance(confirmation, dict) or len(confirmation) != 1:
        raise refused(Fault.CONFIRMATION)
    (name, value), *_ = confirmation.items()
    if name not in {"x5t#S256", "jkt"} or not isinstance(value, str) or _THUMBPRINT.fullmatch(value) is None:
        raise refused(Fault.CONFIRMATION)
    return (value, None) if name == "x5t#S256" else (None, value)


def _grants(details: Any, *, approves: bool) -> tuple[Grant, ...]:
    if not isinstance(details, list) or len(details) > DETAILS_MAX:
        raise refused(Fault.DETAILS)
    grants: dict[str, Grant] = {}
    for detail in details:
        if not isinstance(detail, dict) or not isinstance(detail.get("type"), str):
            raise refused(Fault.DETAILS)  # RFC 9396 §2: `type` is required
        if detail["type"] != CONSENT_DETAIL_TYPE:
            continue  # another API's; the same token may serve several (RFC 9396 §9.1)
        grant = _grant(detail, approves=approves)
        if grants.setdefault(grant.consent_id, grant) != grant:
            raise refused(Fault.DETAILS)  # two statements about one consent
    return tuple(grants.values())


def _grant(detail: Mapping[str, Any], *, approves: bool) -> Grant:
    expire_time = detail.get("expireTime")
    return Grant(
        consent_id=_name(detail, "consentId", Fault.DETAILS),
        provider_id=_optional_name(detail, "dataProviderId"),
        document_type=_optional_name(detail, "documentType"),
        purpose=_optional_name(detail, "purpose"),
        expire_time=None if expire_time is None else _time(expire_time, Fault.DETAILS),
        approves=approves,
    )


def _optional_name(detail: Mapping[str, Any], member: str) -> str | None:
    return None if detail.get(member) is None else _name(detail, member, Fault.DETAILS)
