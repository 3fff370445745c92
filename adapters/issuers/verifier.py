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

from adapters.issuers.jwks import IssuerKeys
from gateway.oauth.access_token import AccessToken, Fault, check_claims, refused
from gateway.oauth.jws import JwsInvalid, algorithm_and_key_id, parse_jws, verified
from gateway.oauth.keys import KeySet
from gateway.ports import Clock

TOKEN_CHARACTERS_MAX = 8_192


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
        name = hashlib.sha256(token.encode(errors="surrogatepass")).digest()
        remembered = self._verified.get(name)
        if remembered is not None:
            access, issuer, keys = remembered
            if issuer.keys.current() is keys and access.expires_at > self._clock.now():
                self._verified.move_to_end(name)
                return access
            del self._verified[name]
        access, issuer, keys = await self._verify(token)
        self._verified[name] = access, issuer, keys
        if len(self._verified) > self._cache_max:
            self._verified.popitem(last=False)
        return access

    async def run(self) -> None:
        """Keep all issuers' keys fresh until cancelled. Owned by the application's task group."""
        async with asyncio.TaskGroup() as tasks:
            for issuer in self._issuers.values():
                tasks.create_task(issuer.keys.run())

    async def _verify(self, token: str) -> tuple[AccessToken, TrustedIssuer, KeySet]:
        try:
            jws = parse_jws(token, characters_max=TOKEN_CHARACTERS_MAX)
            issuer = self._issuer(jws.claims.get("iss"))
            algorithm, key_id = algorithm_and_key_id(jws, algorithms=issuer.algorithms)
            keys = await issuer.keys.usable()
            if keys.find(algorithm, key_id) is None:
                keys = await issuer.keys.newer(keys)
            verified(jws, keys, algorithm, key_id)
        except JwsInvalid as error:
            raise refused(Fault(error.fault)) from error
        access = check_claims(
            jws.header,
            jws.claims,
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
