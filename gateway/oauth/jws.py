"""Compact JWS (RFC 7515) as OAuth uses it: split, decoded strictly, its header held to what we know. No trust yet.

Nothing in a header chooses key material: `kid` selects among given keys, and the algorithm is of an explicit list
(RFC 8725 §3.1). A DPoP proof alone may bring its key.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any

from joserfc.util import urlsafe_b64decode

from gateway.core.ijson import parse
from gateway.errors import SchemaInvalid
from gateway.oauth.keys import KEY_ID_CHARACTERS_MAX, KeySet, VerificationKey

ALGORITHMS = frozenset({"PS256", "ES256", "EdDSA"})  # FAPI 2.0 §5.4.1

REFUSED_MEMBERS = frozenset({"jku", "jwk", "x5u", "x5c", "crit", "b64", "enc", "zip"})
"""Of a header (RFC 7515 §4.1, RFC 7797): by them a token would bring its own key, or change what is signed."""


class JwsInvalid(Exception):
    """Not a JWS that can be looked at further. `fault`: a code of a bounded list, nothing of the token."""

    def __init__(self, fault: str) -> None:
        super().__init__(fault)
        self.fault = fault


@dataclass(frozen=True, slots=True, kw_only=True)
class Jws:
    """Header and payload are whatever JSON objects they are; neither is to be believed before `verified`."""

    header: dict[str, Any] = field(repr=False)
    claims: dict[str, Any] = field(repr=False)
    signing_input: bytes = field(repr=False)
    signature: bytes = field(repr=False)


def parse_jws(token: str, *, characters_max: int) -> Jws:
    """Raises JwsInvalid: "too_large", "malformed"."""
    if len(token) > characters_max:
        raise JwsInvalid("too_large")
    if not token.isascii():
        raise JwsInvalid("malformed")
    segments = token.encode().split(b".")
    if len(segments) != 3:  # five are a JWE (RFC 7516 §3.1)
        raise JwsInvalid("malformed")
    return Jws(
        header=_object(segments[0]),
        claims=_object(segments[1]),
        signing_input=segments[0] + b"." + segments[1],
        signature=_decoded(segments[2]),
    )


def algorithm_and_key_id(
    jws: Jws,
    *,
    algorithms: Collection[str] = ALGORITHMS,
    types: Collection[str] | None = None,
    may_bring_key: bool = False,
) -> tuple[str, str | None]:
    """`alg` and `kid` of an acceptable header. `types`: of `typ`, lower case; None: not looked at.

    Raises JwsInvalid: "header", "algorithm", "type".
    """
    refused = REFUSED_MEMBERS - {"jwk"} if may_bring_key else REFUSED_MEMBERS
    if not refused.isdisjoint(jws.header):
        raise JwsInvalid("header")
    algorithm, key_id = jws.header.get("alg"), jws.header.get("kid")
    if not isinstance(algorithm, str) or algorithm not in algorithms:
        raise JwsInvalid("algorithm")
    if "kid" in jws.header and (not isinstance(key_id, str) or len(key_id) > KEY_ID_CHARACTERS_MAX):
        raise JwsInvalid("header")
    if types is not None:
        kind = jws.header.get("typ")
        # RFC 7515 §4.1.9 compares media types case-insensitively.
        if not isinstance(kind, str) or kind.lower() not in types:
            raise JwsInvalid("type")
    return algorithm, key_id


def verified(jws: Jws, keys: KeySet, algorithm: str, key_id: str | None) -> VerificationKey:
    """The key that made the signature. Raises JwsInvalid: "key", "signature"."""
    key = keys.find(algorithm, key_id)
    if key is None:
        raise JwsInvalid("key")
    if not key.verifies(jws.signing_input, jws.signature):
        raise JwsInvalid("signature")
    return key


def _object(segment: bytes) -> dict[str, Any]:
    try:
        value = parse(_decoded(segment))
    except SchemaInvalid as error:
        raise JwsInvalid("malformed") from error
    if not isinstance(value, dict):
        raise JwsInvalid("malformed")
    return value


def _decoded(segment: bytes) -> bytes:
    try:
        return urlsafe_b64decode(segment)  # strict: no padding, no unused bits (RFC 7515 §2)
    except ValueError as error:
        raise JwsInvalid("malformed") from error
