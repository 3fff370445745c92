"""Signed request objects (JAR: RFC 9101, FAPI 2.0 Message Signing §5.3.1): the request as its client signed it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NoReturn

import orjson

from gateway.oauth.claims import numeric_date
from gateway.oauth.client import Client
from gateway.oauth.jws import JwsInvalid, algorithm_and_key_id, parse_jws, verified
from gateway.oauth.parameters import form
from gateway.oauth.refusal import OAuthRefusal

CHARACTERS_MAX = 16_384
LIFETIME_SECONDS_MAX = 3_600
SKEW_SECONDS = 10

_TYPES = frozenset({"oauth-authz-req+jwt", "jwt"})
_CLAIMS = frozenset({"iss", "aud", "exp", "nbf", "iat", "jti", "sub"})
# What stands beside a request object at the pushed endpoint: the client's proof of itself, and nothing of the request.
_OUTER = frozenset({"request", "client_id", "client_assertion", "client_assertion_type"})


def unpack(request: str, client: Client, *, issuer: str, now: float, outer: Mapping[str, str]) -> dict[str, str]:
    """The parameters inside; those outside do not count (RFC 9101 §6.3), and are refused. Raises OAuthRefusal."""
    if not outer.keys() <= _OUTER:
        raise OAuthRefusal(
            "invalid_request", "Beside a request object there are no other parameters", reason="request_object_outer"
        )
    try:
        jws = parse_jws(request, characters_max=CHARACTERS_MAX)
        types = _TYPES if "typ" in jws.header else None
        algorithm, key_id = algorithm_and_key_id(jws, types=types)
        if client.keys is None:
            _refuse("key")
        verified(jws, client.keys, algorithm, key_id)
    except JwsInvalid as error:
        _refuse(error.fault)
    claims = jws.claims
    if claims.get("iss") != client.client_id or claims.get("client_id") != client.client_id:
        _refuse("identity")
    if claims.get("sub") == client.client_id:  # RFC 9101 §10.8: so that it is no client assertion
        _refuse("subject")
    audience = claims.get("aud")
    if audience != issuer and not (isinstance(audience, list) and issuer in audience):
        _refuse("audience")
    _check_times(claims, now)
    if not {"request", "request_uri"}.isdisjoint(claims):  # RFC 9101 §4
        _refuse("nested")
    return form((name, _text(value)) for name, value in claims.items() if name not in _CLAIMS)


def _check_times(claims: Mapping[str, Any], now: float) -> None:
    """FAPI 2.0 Message Signing §5.3.1: both are there, `nbf` at most 60 minutes ago, `exp` at most 60 minutes later."""
    expires_at, not_before = _time(claims, "exp"), _time(claims, "nbf")
    if expires_at <= now or expires_at - not_before > LIFETIME_SECONDS_MAX:
        _refuse("expiry")
    if not now - LIFETIME_SECONDS_MAX <= not_before <= now + SKEW_SECONDS:
        _refuse("not_before")
    if "iat" in claims and _time(claims, "iat") > now + SKEW_SECONDS:  # FAPI 2.0 §5.3.2.1
        _refuse("issued_at")


def _time(claims: Mapping[str, Any], name: str) -> int:
    value = numeric_date(claims.get(name))
    if value is None:
        _refuse("time")
    return value


def _text(value: Any) -> str:
    """As the same parameter would stand in a form: numbers in digits, structures in JSON (RFC 9101 §4, RFC 9396 §4)."""
    if isinstance(value, str):
        return value
    if type(value) is int:
        return str(value)
    if not isinstance(value, list | dict):
        _refuse("parameter")
    return orjson.dumps(value).decode()


def _refuse(fault: str) -> NoReturn:
    raise OAuthRefusal("invalid_request_object", "The request object is not valid", reason=f"request_object_{fault}")
