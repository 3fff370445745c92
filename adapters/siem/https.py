"""`ports.EventTarget` over HTTPS: a batch is one POST of JSON Lines, delivered when it was answered with 2xx.

No redirect is followed and no cookie kept; nothing of an answer is read but its status.
"""

from __future__ import annotations

import ssl
from collections.abc import Sequence
from pathlib import Path

import aiohttp
from yarl import URL

from gateway.errors import UpstreamUnavailable

MEDIA_TYPE = "application/x-ndjson"
TOKEN_BYTES_MAX = 16 * 1024


class HttpsTarget:
    """One session, opened when it is needed. `token_file` is read for each delivery, so that a new token is taken."""

    def __init__(
        self, url: str, *, ssl_context: ssl.SSLContext, timeout_seconds: float, token_file: Path | None = None
    ) -> None:
        """Raises ValueError for anything but an https URL with a host and without a user."""
        self._url = URL(url)
        if self._url.scheme != "https" or not self._url.host or self._url.user is not None:
            raise ValueError("an HTTPS target is https://HOST/…, without a user")
        self._ssl_context = ssl_context
        self._timeout_seconds = timeout_seconds
        self._token_file = token_file
        self._session: aiohttp.ClientSession | None = None

    async def deliver(self, events: Sequence[bytes]) -> None:
        """See the port."""
        try:
            headers = {"Content-Type": MEDIA_TYPE, **self._authorization()}
            async with self._opened().post(
                self._url, data=b"".join(event + b"\n" for event in events), headers=headers, allow_redirects=False
            ) as answer:
                status = answer.status
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise UpstreamUnavailable(private=f"https_{type(error).__name__}") from error
        if not 200 <= status < 300:
            raise UpstreamUnavailable(private=f"https_{status}")

    async def close(self) -> None:
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    def _opened(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(ssl=self._ssl_context, limit=1),
                timeout=aiohttp.ClientTimeout(total=self._timeout_seconds),
                cookie_jar=aiohttp.DummyCookieJar(),
                headers={"User-Agent": "cdi-dvp-gateway"},
                trust_env=False,
            )
        return self._session

    def _authorization(self) -> dict[str, str]:
        if self._token_file is None:
            return {}
        with self._token_file.open("rb") as file:
            data = file.read(TOKEN_BYTES_MAX + 1)
        token = data.strip()
        if not token or len(data) > TOKEN_BYTES_MAX or not token.isascii() or not token.decode().isprintable():
            raise UpstreamUnavailable(private="https_token_file")
        return {"Authorization": f"Bearer {token.decode()}"}
