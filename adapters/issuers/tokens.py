"""`ports.TokenVerifier` of the whole gateway: which verifier an access token goes to."""

from __future__ import annotations

from collections.abc import Sequence

from adapters.issuers.introspection import IntrospectionVerifier
from adapters.issuers.verifier import JwtVerifier
from gateway.errors import UpstreamUnavailable
from gateway.oauth.access_token import AccessToken, Fault, refused

_DOTS_OF_A_JWT = 2  # RFC 7515 §3.1; a JWE, with four, is opaque to all but its recipient


class Tokens:
    """JWTs are verified here, by their issuers' keys; anything else is asked of the issuers, in order."""

    def __init__(self, jwts: JwtVerifier, introspection: Sequence[IntrospectionVerifier] = ()) -> None:
        self._jwts = jwts
        self._introspection = tuple(introspection)

    async def verify(self, token: str) -> AccessToken:
        """See `ports.TokenVerifier`. The first issuer that calls an opaque token active is its issuer.

        An issuer that cannot be asked stands in the way of no other's tokens; when no other knows the token, whether it
        is good is not known: UpstreamUnavailable.
        """
        if token.count(".") == _DOTS_OF_A_JWT:
            return await self._jwts.verify(token)
        outage: UpstreamUnavailable | None = None
        for issuer in self._introspection:
            try:
                access = await issuer.look_up(token)
            except UpstreamUnavailable as error:
                outage = outage or error
            else:
                if access is not None:
                    return access
        if outage is not None:
            raise outage
        raise refused(Fault.INACTIVE if self._introspection else Fault.MALFORMED)

    async def run(self) -> None:
        """Keep all issuers' keys fresh until cancelled. Owned by the application's task group."""
        await self._jwts.run()
