"""What the OpenID provider says of itself (OpenID Connect Discovery 1.0), and how long that is believed.

Fetched when a sign-in needs it: at the first, when it has become old, and when an ID token names a key that is not in
it. One fetch serves all who wait. An outage is UpstreamUnavailable, never an answer about a person.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import httpx
import orjson

from adapters.login.transport import Unreachable, one_call
from gateway.core.ijson import parse
from gateway.errors import SchemaInvalid, UpstreamUnavailable
from gateway.oauth.keys import KeySet, KeysInvalid, VerificationKey, parse_keys
from gateway.ports import Clock

REFRESH_SECONDS = 300.0
STALE_SECONDS_MAX = 3_600.0
PAUSE_SECONDS = 10.0
_URL_CHARACTERS_MAX = 2_048


class ProviderKeys:
    """The provider's public keys. RS256 is known here and nowhere else, and only where it is configured."""

    def __init__(self, document: bytes, *, algorithms: Collection[str]) -> None:
        """`document`: a JWKS. Raises KeysInvalid when nothing in it can be used."""
        self._algorithms = frozenset(algorithms)
        self._keys = _parsed(document)
        self._rs256 = _parsed(_for_rs256(document)) if "RS256" in self._algorithms else None
        if self._keys is None and self._rs256 is None:
            raise KeysInvalid("no_usable_key")

    def find(self, algorithm: str, key_id: str | None) -> VerificationKey | None:
        """The key of this name for the algorithm; without a name, the only one."""
        if algorithm not in self._algorithms:
            return None
        keys, algorithm = (self._rs256, "PS256") if algorithm == "RS256" else (self._keys, algorithm)
        return None if keys is None else keys.find(algorithm, key_id)


@dataclass(frozen=True, slots=True, kw_only=True)
class Description:
    """`names_itself`: its authorization responses carry `iss` (RFC 9207)."""

    authorization_endpoint: str
    token_endpoint: str
    names_itself: bool
    keys: ProviderKeys


class Provider:
    """The description of one issuer, as fresh as the limits say. `client`: is not closed here."""

    def __init__(
        self,
        issuer: str,
        *,
        client: httpx.AsyncClient,
        algorithms: Collection[str],
        clock: Clock,
        timeout_seconds: float,
    ) -> None:
        self._issuer = issuer
        self._url = configuration_url(issuer)
        self._client = client
        self._algorithms = algorithms
        self._clock = clock
        self._timeout_seconds = timeout_seconds
        self._description: Description | None = None
        self._described_at = 0.0
        self._tried_at: float | None = None
        self._attempts = 0
        self._lock = asyncio.Lock()
        self.problem: str | None = None
        """Code of the last fetch's failure; None when it succeeded."""

    async def description(self) -> Description:
        """What may be used now, fetched if need be. Raises UpstreamUnavailable."""
        if self._description is None or self._age() >= REFRESH_SECONDS:
            await self._fetch()
        if self._description is None or self._age() >= STALE_SECONDS_MAX:
            raise self._unavailable()
        return self._description

    async def newer(self, than: Description) -> Description:
        """After `than` turned out to lack a key: fetched again, unless that was done just now.

        Raises UpstreamUnavailable when the fetch failed: whether the provider has such a key is not known then.
        """
        if self._description is than:
            await self._fetch()
        if self.problem is not None:
            raise self._unavailable()
        return await self.description()

    def _age(self) -> float:
        return self._clock.monotonic() - self._described_at

    async def _fetch(self) -> None:
        seen = self._attempts
        async with self._lock:
            if self._attempts != seen:
                return  # the fetch that this one waited for serves it too
            started_at = self._clock.monotonic()
            if self._tried_at is not None and started_at - self._tried_at < PAUSE_SECONDS:
                return
            try:
                self._description = await self._described()
            except (Unreachable, KeysInvalid) as error:
                self.problem = str(error)
            else:
                self.problem = None
                self._described_at = started_at
            self._tried_at = started_at
            self._attempts += 1

    async def _described(self) -> Description:
        try:
            metadata = parse(await self._get(self._url))
        except SchemaInvalid as error:
            raise Unreachable("metadata_not_json") from error
        # OpenID Connect Discovery §4.3: exactly the issuer, or the metadata must not be used.
        if not isinstance(metadata, dict) or metadata.get("issuer") != self._issuer:
            raise Unreachable("metadata_issuer")
        methods = metadata.get("code_challenge_methods_supported", ["S256"])  # many do it and do not say so
        if not isinstance(methods, list) or "S256" not in methods:
            raise Unreachable("metadata_pkce")
        keys = await self._get(_endpoint(metadata, "jwks_uri"))
        return Description(
            authorization_endpoint=_endpoint(metadata, "authorization_endpoint"),
            token_endpoint=_endpoint(metadata, "token_endpoint"),
            names_itself=metadata.get("authorization_response_iss_parameter_supported") is True,
            keys=ProviderKeys(keys, algorithms=self._algorithms),
        )

    async def _get(self, url: str) -> bytes:
        async with one_call(self._timeout_seconds):
            response = await self._client.get(
                url, auth=None, headers={"Accept": "application/json"}, follow_redirects=False
            )
            if response.status_code != 200:
                raise Unreachable("status")
            return response.content

    def _unavailable(self) -> UpstreamUnavailable:
        return UpstreamUnavailable(private=f"login_{self.problem}", retry_after_seconds=round(PAUSE_SECONDS))


def configuration_url(issuer: str) -> str:
    """OpenID Connect Discovery §4: behind the issuer, whatever path it has. Raises ValueError."""
    parts = urlsplit(issuer)
    if parts.scheme != "https" or not parts.hostname or parts.username is not None or parts.query or parts.fragment:
        raise ValueError("an issuer is an https URL without user, query and fragment")
    return issuer.rstrip("/") + "/.well-known/openid-configuration"


def _endpoint(metadata: dict[str, Any], name: str) -> str:
    value = metadata.get(name)
    if not isinstance(value, str) or len(value) > _URL_CHARACTERS_MAX or not value.isascii():
        raise Unreachable(f"metadata_{name}")
    try:
        parts = urlsplit(value)
    except ValueError as error:
        raise Unreachable(f"metadata_{name}") from error
    if parts.scheme != "https" or not parts.hostname or parts.username is not None or parts.fragment:
        raise Unreachable(f"metadata_{name}")
    return value


def _parsed(document: bytes) -> KeySet | None:
    try:
        return parse_keys(document)
    except KeysInvalid as error:
        if str(error) == "no_usable_key":
            return None
        raise


def _for_rs256(document: bytes) -> bytes:
    """The RSA keys that sign with RS256, as the key parser knows RSA keys: under the name of the other padding."""
    members = [
        member | {"alg": "PS256"}
        for member in parse(document)["keys"]
        if member.get("kty") == "RSA" and member.get("alg", "RS256") == "RS256"
    ]
    return orjson.dumps({"keys": members})
