"""Access tokens as signed JWTs (RFC 9068): which issuer, which key, is the signature right, what does it say.

Nothing of a token is used before it is checked, except `iss` and `kid`, and those only to look up what is known
already. Verified tokens are remembered by hash until they expire or their issuer's keys change; refusals are not.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from joserfc.util import urlsafe_b64decode

from adapters.issuers.jwks import IssuerKeys
from gateway.errors import SchemaInvalid
from gateway.oauth.access_token import AccessToken, Fault, check_claims, refused
from gateway.oauth.keys import KEY_ID_CHARACTERS_MAX, KeySet
from gateway.ports import Clock
from gateway.profiles.ijson import parse

TOKEN_CHARACTERS_MAX = 8_192

# RFC 7515 §4.1, RFC 7797: members by which a token would bring its own key, or change what is signed.
_REFUSED_MEMBERS = frozenset({"jku", "jwk", "x5u", "x5c", "crit", "b64", "enc", "zip"})


@dataclass(frozen=True, slots=True, kw_only=True)
class TrustedIssuer:
    """`issuer`: compared exactly with `iss`. `algorithms`: of PS256, ES256, EdDSA, what is accepted of it.
    `approves_consents`: its tokens speak for data owners."""

    issuer: str
    keys: IssuerKeys
    algorithms: frozenset[str]
    approves_consents: bool


class JwtVerifier:
    """`ports.TokenVerifier` for one or more issuers."""

    def __init__(
        self,
        issuers: Sequence[TrustedIssuer],
        *,
        resource: str,
        clock: Clock,
        skew_seconds: int,
        lifetime_seconds_max: float,
        cache_max: int,
    ) -> None:
        self._issuers = {issuer.issuer: issuer for issuer in issuers}
        self._resource = resource
        self._clock = clock
        self._skew_seconds = skew_seconds
        self._lifetime_seconds_max = lifetime_seconds_max
        self._cache_max = cache_max
        self._verified: OrderedDict[bytes, tuple[AccessToken, TrustedIssuer, KeySet]] = OrderedDict()

    async def verify(self, token: str) -> AccessToken:
        """The token's content. Raises TokenInvalid (its private code is a `Fault`), or UpstreamUnavailable when the
        issuer's keys cannot be had."""
        if len(token) > TOKEN_CHARACTERS_MAX:
            raise refused(Fault.TOO_LARGE)
        if not token.isascii():
            raise refused(Fault.MALFORMED)
        encoded = token.encode()
        name = hashlib.sha256(encoded).digest()
        remembered = self._verified.get(name)
        if remembered is not None:
            access, issuer, keys = remembered
            if issuer.keys.current() is keys and access.expires_at > self._clock.now():
                self._verified.move_to_end(name)
                return access
            del self._verified[name]
        access, issuer, keys = await self._verify(encoded)
        self._verified[name] = access, issuer, keys
        if len(self._verified) > self._cache_max:
            self._verified.popitem(last=False)
        return access

    async def run(self) -> None:
        """Keep all issuers' keys fresh until cancelled. Owned by the application's task group."""
        async with asyncio.TaskGroup() as tasks:
            for issuer in self._issuers.values():
                tasks.create_task(issuer.keys.run())

    async def _verify(self, token: bytes) -> tuple[AccessToken, TrustedIssuer, KeySet]:
        segments = token.split(b".")
        if len(segments) != 3:  # five are a JWE (RFC 7516 §3.1)
            raise refused(Fault.MALFORMED)
        header, claims = _object(segments[0]), _object(segments[1])
        issuer = self._issuer(claims.get("iss"))
        algorithm, key_id = _checked(header, issuer)
        keys = await issuer.keys.usable()
        key = keys.find(algorithm, key_id)
        if key is None:
            keys = await issuer.keys.newer(keys)
            key = keys.find(algorithm, key_id)
        if key is None:
            raise refused(Fault.KEY)
        if not key.verifies(segments[0] + b"." + segments[1], _decoded(segments[2])):
            raise refused(Fault.SIGNATURE)
        access = check_claims(
            header,
            claims,
            issuer=issuer.issuer,
            resource=self._resource,
            now=self._clock.now(),
            skew_seconds=self._skew_seconds,
            lifetime_seconds_max=self._lifetime_seconds_max,
            approves=issuer.approves_consents,
        )
        return access, issuer, keys

    def _issuer(self, name: Any) -> TrustedIssuer:
        issuer = self._issuers.get(name) if isinstance(name, str) else None
        if issuer is None:
            raise refused(Fault.ISSUER)
        return issuer


def _checked(header: dict[str, Any], issuer: TrustedIssuer) -> tuple[str, str | None]:
    """`alg` and `kid` of an acceptable header."""
    if not _REFUSED_MEMBERS.isdisjoint(header):
        raise refused(Fault.HEADER)
    algorithm, key_id = header.get("alg"), header.get("kid")
    # RFC 8725 §3.1: from the issuer's list, and `KeySet.find` gives only keys that are for this algorithm.
    if not isinstance(algorithm, str) or algorithm not in issuer.algorithms:
        raise refused(Fault.ALGORITHM)
    if "kid" in header and (not isinstance(key_id, str) or len(key_id) > KEY_ID_CHARACTERS_MAX):
        raise refused(Fault.HEADER)
    return algorithm, key_id


def _object(segment: bytes) -> dict[str, Any]:
    try:
        value = parse(_decoded(segment))
    except SchemaInvalid as error:
        raise refused(Fault.MALFORMED) from error
    if not isinstance(value, dict):
        raise refused(Fault.MALFORMED)
    return value


def _decoded(segment: bytes) -> bytes:
    try:
        return urlsafe_b64decode(segment)  # strict: no padding, no unused bits (RFC 7515 §2)
    except ValueError as error:
        raise refused(Fault.MALFORMED) from error
