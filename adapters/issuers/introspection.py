"""Opaque access tokens: asked of their issuer (RFC 7662), and remembered by hash for a configured time.

A revocation at the issuer counts here that much later; nothing is believed beyond the token's own end. Those who ask
about one token at the same time share one call. An outage is never an answer about a token: it is UpstreamUnavailable.
"""

from __future__ import annotations

import asyncio
import hashlib
import re
import ssl
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import aiohttp
from yarl import URL

from gateway.core.ijson import parse
from gateway.errors import SchemaInvalid, TokenInvalid, UpstreamUnavailable
from gateway.oauth.access_token import AccessToken, Fault, check_introspection, refused
from gateway.oauth.basic import basic
from gateway.ports import Clock

ANSWER_BYTES_MAX = 65_536
NEGATIVE_SECONDS_MAX = 5.0
"""What an issuer does not know now it may know soon: a refusal is not believed for longer."""
_CONNECTIONS_MAX = 16
_TOKEN = re.compile(r"[\x21-\x7e]{1,8192}")  # RFC 6749 A.12, bounded


@dataclass(frozen=True, slots=True, kw_only=True)
class _Answer:
    """What one call gave: a token, why it is not acceptable, the code of an outage; or nothing: it is not active."""

    access: AccessToken | None = None
    fault: str | None = None
    outage: str | None = None


class IntrospectionVerifier:
    """One issuer's opaque tokens.

    `issuer`: compared with `iss` of the answer. `ssl_context`: holds the client certificate where one is used.
    `secret`: of `client_secret_basic`; without it the client authenticates by its certificate (RFC 8705 §2).
    """

    def __init__(
        self,
        *,
        issuer: str,
        url: str,
        client_id: str,
        ssl_context: ssl.SSLContext,
        secret: str | None,
        resource: str,
        approves_consents: bool,
        clock: Clock,
        skew_seconds: int,
        lifetime_seconds_max: float,
        cache_seconds: float,
        cache_max: int,
        timeout_seconds: float,
    ) -> None:
        parts = urlsplit(url)
        if parts.scheme != "https" or not parts.hostname or parts.username is not None or parts.fragment:
            raise ValueError("an introspection endpoint is an https URL without user and fragment")  # RFC 7662 §4
        self._issuer = issuer
        self._url = URL(url)
        self._client_id = client_id
        self._authorization = None if secret is None else basic(client_id, secret)
        self._ssl_context = ssl_context
        self._resource = resource
        self._approves = approves_consents
        self._clock = clock
        self._skew_seconds = skew_seconds
        self._lifetime_seconds_max = lifetime_seconds_max
        self._cache_seconds = cache_seconds
        self._cache_max = cache_max
        self._timeout = aiohttp.ClientTimeout(total=timeout_seconds)
        self._session: aiohttp.ClientSession | None = None
        self._remembered: OrderedDict[bytes, tuple[_Answer, float]] = OrderedDict()
        self._pending: dict[bytes, asyncio.Future[_Answer | None]] = {}

    async def look_up(self, token: str) -> AccessToken | None:
        """The token's content; None when the issuer does not call it active.

        Raises TokenInvalid for an active one that is not acceptable here, UpstreamUnavailable when the issuer cannot be
        asked.
        """
        if _TOKEN.fullmatch(token) is None:
            raise refused(Fault.MALFORMED)
        name = hashlib.sha256(token.encode()).digest()
        answer = self._recall(name)
        while answer is None:
            pending = self._pending.get(name)
            if pending is None:
                answer = await self._ask_for_all(name, token)
            else:
                # None: who asked was cancelled; the next one asks.
                answer = await asyncio.shield(pending)
        if answer.outage is not None:
            raise UpstreamUnavailable(private=f"introspection_{answer.outage}")
        if answer.fault is not None:
            raise TokenInvalid(private=answer.fault)
        return answer.access

    async def aclose(self) -> None:
        """Close the connections."""
        if self._session is not None:
            await self._session.close()

    def _recall(self, name: bytes) -> _Answer | None:
        remembered = self._remembered.get(name)
        if remembered is None:
            return None
        answer, until = remembered
        ended = answer.access is not None and answer.access.expires_at <= self._clock.now()
        if ended or self._clock.monotonic() >= until:
            del self._remembered[name]
            return None
        self._remembered.move_to_end(name)
        return answer

    async def _ask_for_all(self, name: bytes, token: str) -> _Answer:
        future = asyncio.get_running_loop().create_future()
        self._pending[name] = future
        answer: _Answer | None = None
        asked_at = self._clock.monotonic()  # what changes there after the question is not in the answer
        try:
            answer = self._judged(await self._ask(token))
        except _Outage as error:
            answer = _Answer(outage=str(error))
        finally:
            del self._pending[name]
            future.set_result(answer)
        if answer.outage is None:
            self._remember(name, answer, asked_at)
        return answer

    def _remember(self, name: bytes, answer: _Answer, asked_at: float) -> None:
        seconds = self._cache_seconds
        if answer.access is None:
            seconds = min(seconds, NEGATIVE_SECONDS_MAX)
        if seconds <= 0:
            return
        self._remembered[name] = answer, asked_at + seconds
        if len(self._remembered) > self._cache_max:
            self._remembered.popitem(last=False)

    def _judged(self, body: Mapping[str, Any]) -> _Answer:
        if body["active"] is False:
            return _Answer()  # RFC 7662 §2.2: whatever else it says
        try:
            access = check_introspection(
                body,
                issuer=self._issuer,
                resource=self._resource,
                now=self._clock.now(),
                skew_seconds=self._skew_seconds,
                lifetime_seconds_max=self._lifetime_seconds_max,
                approves=self._approves,
            )
        except TokenInvalid as error:
            return _Answer(fault=error.private)
        return _Answer(access=access)

    async def _ask(self, token: str) -> dict[str, Any]:
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(ssl=self._ssl_context, limit=_CONNECTIONS_MAX),
                cookie_jar=aiohttp.DummyCookieJar(),
                headers={"Accept": "application/json", "Accept-Encoding": "identity"},
                timeout=self._timeout,
                auto_decompress=False,
            )
        form = {"token": token, "token_type_hint": "access_token"}
        headers = {}
        if self._authorization is None:
            form["client_id"] = self._client_id  # RFC 8705 §2: names whose certificate it is
        else:
            headers["Authorization"] = self._authorization
        try:
            # A redirect would show the token to somebody else.
            async with self._session.post(self._url, data=form, headers=headers, allow_redirects=False) as response:
                if response.status != 200:
                    raise _Outage("status")  # RFC 7662 §2.3: about us, and not about the token
                data = bytearray()
                async for chunk in response.content.iter_any():
                    data += chunk
                    if len(data) > ANSWER_BYTES_MAX:
                        raise _Outage("too_large")
            body = parse(bytes(data))
        except TimeoutError as error:
            raise _Outage("timeout") from error
        except SchemaInvalid as error:
            raise _Outage("not_json") from error
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise _Outage("unreachable") from error
        if not isinstance(body, dict) or not isinstance(body.get("active"), bool):
            raise _Outage("answer")
        return body


class _Outage(Exception):
    """The issuer gave no answer about the token. The message is a code without values."""
