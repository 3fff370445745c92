"""Where an issuer's keys come from, and how long they are believed: from a file, or by RFC 8414 discovery over HTTPS.

A key set is refreshed beside the requests (`IssuerKeys.run`). Requests wait for a fetch only when there is no usable
set, or when a token names a key that is not in it; then one fetch serves all who wait. An outage is never an answer
about a token: it is UpstreamUnavailable.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Awaitable, Callable
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import aiohttp
from yarl import URL

from gateway.core.ijson import parse
from gateway.errors import SchemaInvalid, UpstreamUnavailable
from gateway.oauth.keys import KeySet, KeysInvalid, parse_keys
from gateway.ports import Clock

DOCUMENT_BYTES_MAX = 262_144
_URL_CHARACTERS_MAX = 2_048


class FetchFailed(Exception):
    """No document could be had. The message is a code without values."""


class KeyFile:
    """A JWKS in a file. Read whole on every refresh: a changed content counts, whatever its time stamp says."""

    def __init__(self, path: Path) -> None:
        self._path = path

    async def fetch(self) -> bytes:
        """The file's bytes. Raises FetchFailed."""
        return await asyncio.to_thread(self._read)

    async def aclose(self) -> None:
        """A file holds nothing open."""

    def _read(self) -> bytes:
        try:
            with self._path.open("rb") as file:
                data = file.read(DOCUMENT_BYTES_MAX + 1)
        except OSError as error:
            raise FetchFailed("unreadable") from error
        if len(data) > DOCUMENT_BYTES_MAX:
            raise FetchFailed("too_large")
        return data


class Discovery:
    """The JWKS that an authorization server's metadata names (RFC 8414)."""

    def __init__(self, issuer: str, *, ssl_context: ssl.SSLContext, timeout_seconds: float) -> None:
        self._issuer = issuer
        self._metadata_url = metadata_url(issuer)
        self._ssl_context = ssl_context
        self._timeout = aiohttp.ClientTimeout(total=timeout_seconds)
        self._session: aiohttp.ClientSession | None = None

    async def fetch(self) -> bytes:
        """The JWKS document's bytes. Raises FetchFailed."""
        try:
            metadata = parse(await self._get(self._metadata_url))
        except SchemaInvalid as error:
            raise FetchFailed("metadata_not_json") from error
        # RFC 8414 §3.3: identical, or the metadata must not be used.
        if not isinstance(metadata, dict) or metadata.get("issuer") != self._issuer:
            raise FetchFailed("metadata_issuer")
        return await self._get(_https(metadata.get("jwks_uri")))

    async def aclose(self) -> None:
        if self._session is not None:
            await self._session.close()

    async def _get(self, url: URL) -> bytes:
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(ssl=self._ssl_context, limit=2),
                cookie_jar=aiohttp.DummyCookieJar(),
                headers={"Accept": "application/json", "Accept-Encoding": "identity"},
                timeout=self._timeout,
                auto_decompress=False,
            )
        try:
            # A redirect would be another origin's word about this issuer.
            async with self._session.get(url, allow_redirects=False) as response:
                if response.status != 200:
                    raise FetchFailed("status")
                data = bytearray()
                async for chunk in response.content.iter_any():
                    data += chunk
                    if len(data) > DOCUMENT_BYTES_MAX:
                        raise FetchFailed("too_large")
                return bytes(data)
        except TimeoutError as error:
            raise FetchFailed("timeout") from error
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise FetchFailed("unreachable") from error


class IssuerKeys:
    """The keys of one issuer, as fresh as the limits say.

    `refresh_seconds`: pause between refreshes. `stale_seconds_max`: age of the last successful fetch after which its
    keys are no longer used. `pause_seconds`: least time between fetches that requests cause.
    """

    def __init__(
        self,
        fetch: Callable[[], Awaitable[bytes]],
        *,
        clock: Clock,
        refresh_seconds: float,
        stale_seconds_max: float,
        pause_seconds: float = 10.0,
    ) -> None:
        self._fetch = fetch
        self._clock = clock
        self._refresh_seconds = refresh_seconds
        self._stale_seconds_max = stale_seconds_max
        self._pause_seconds = min(pause_seconds, refresh_seconds)
        self._keys: KeySet | None = None
        self._document = b""
        self._fetched_at = 0.0
        self._tried_at: float | None = None
        self._attempts = 0
        self._lock = asyncio.Lock()
        self.problem: str | None = None
        """Code of the last fetch's failure; None when it succeeded."""

    def current(self) -> KeySet | None:
        """The keys that may be used now, without waiting."""
        if self._keys is not None and self._clock.monotonic() - self._fetched_at < self._stale_seconds_max:
            return self._keys
        return None

    async def usable(self) -> KeySet:
        """The keys that may be used now, fetched if need be. Raises UpstreamUnavailable."""
        keys = self.current()
        if keys is None:
            await self._fetch_for_request()
            keys = self.current()
        if keys is None:
            raise self._unavailable()
        return keys

    async def newer(self, than: KeySet) -> KeySet:
        """The keys after `than` turned out to lack one: fetched again, unless that was done just now.

        Raises UpstreamUnavailable when the fetch failed: whether the issuer has such a key is not known then.
        """
        if self._keys is than:
            await self._fetch_for_request()
        if self.problem is not None:
            raise self._unavailable()
        return await self.usable()

    async def refresh(self) -> None:
        """Fetch now. A failure keeps the keys of before and is told by `problem`."""
        async with self._lock:
            await self._fetch_once()

    async def run(self) -> None:
        """Keep the keys fresh until cancelled. Owned by the application's task group."""
        while True:
            await self.refresh()
            await asyncio.sleep(self._refresh_seconds if self.problem is None else self._pause_seconds)

    async def _fetch_for_request(self) -> None:
        seen = self._attempts
        async with self._lock:
            if self._attempts != seen:
                return  # the fetch that this request waited for serves it too
            if self._tried_at is None or self._clock.monotonic() - self._tried_at >= self._pause_seconds:
                await self._fetch_once()

    async def _fetch_once(self) -> None:
        started_at = self._clock.monotonic()
        try:
            document = await self._fetch()
            # The same bytes stay the same KeySet: verified tokens are remembered with the set that verified them.
            if self._keys is None or document != self._document:
                self._keys, self._document = parse_keys(document), document
        except (FetchFailed, KeysInvalid) as error:
            self.problem = str(error)
        else:
            self.problem = None
            self._fetched_at = started_at
        self._tried_at = started_at
        self._attempts += 1

    def _unavailable(self) -> UpstreamUnavailable:
        return UpstreamUnavailable(
            private=f"issuer_keys_{self.problem}", retry_after_seconds=max(1, round(self._pause_seconds))
        )


def metadata_url(issuer: str) -> URL:
    """RFC 8414 §3.1: the well-known path goes between host and the issuer's path. Raises ValueError."""
    parts = urlsplit(issuer)
    if parts.scheme != "https" or not parts.hostname or parts.username is not None or parts.query or parts.fragment:
        raise ValueError("an issuer is an https URL without user, query and fragment")  # RFC 8414 §2
    path = "/.well-known/oauth-authorization-server" + parts.path.rstrip("/")
    return URL(urlunsplit((parts.scheme, parts.netloc, path, "", "")), encoded=True)


def _https(value: object) -> URL:
    if not isinstance(value, str) or len(value) > _URL_CHARACTERS_MAX:
        raise FetchFailed("jwks_uri")
    try:
        url = URL(value)
    except ValueError as error:
        raise FetchFailed("jwks_uri") from error
    if url.scheme != "https" or not url.host or url.user is not None:
        raise FetchFailed("jwks_uri")
    return url
