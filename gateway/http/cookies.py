"""The cookies of the consent pages: bound to this host, out of scripts' reach, and sealed where they hold anything."""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass, field

import orjson
from aiohttp import web

from gateway.ports import Sealer

# RFC 6265bis §4.1.3.2: `__Host-` keeps a cookie to this host, over TLS, for all paths; nobody beside it can set one.
SESSION, LOGIN, LANGUAGE = "__Host-session", "__Host-login", "__Host-language"
SIGNED_OUT = "__Host-signed-out"  # who signs in next is asked who they are, whatever session the provider has
_LOGIN_SECONDS = 600
_LANGUAGE_SECONDS = 31_536_000
_CHARACTERS_MAX = 4_096


@dataclass(frozen=True, slots=True, kw_only=True)
class Journey:
    """A sign-in under way: the login's own secret, and the path on this host to come back to."""

    secret: str = field(repr=False)
    to: str


class Cookies:
    def __init__(self, sealer: Sealer) -> None:
        self._sealer = sealer

    def session(self, request: web.Request) -> str | None:
        return _bounded(request.cookies.get(SESSION))

    def language(self, request: web.Request) -> str | None:
        return _bounded(request.cookies.get(LANGUAGE))

    def signed_out(self, request: web.Request) -> bool:
        return SIGNED_OUT in request.cookies

    def journey(self, request: web.Request) -> Journey | None:
        """None without the cookie, and for one that was not sealed here."""
        value = _bounded(request.cookies.get(LOGIN))
        if value is None:
            return None
        try:
            held = orjson.loads(self._sealer.open(base64.urlsafe_b64decode(value.encode()), context=LOGIN))
            return Journey(secret=held["secret"], to=held["to"])
        except (ValueError, binascii.Error, KeyError, TypeError):
            return None

    def begin_session(self, response: web.StreamResponse, secret: str) -> None:
        # Without Max-Age: it ends with the browser, and at the server with the session.
        _set(response, SESSION, secret, seconds=None)

    def begin_journey(self, response: web.StreamResponse, journey: Journey) -> None:
        sealed = self._sealer.seal(orjson.dumps({"secret": journey.secret, "to": journey.to}).decode(), context=LOGIN)
        _set(response, LOGIN, base64.urlsafe_b64encode(sealed).decode(), seconds=_LOGIN_SECONDS)

    def remember_sign_out(self, response: web.StreamResponse) -> None:
        _set(response, SIGNED_OUT, "1", seconds=None)

    def remember_language(self, response: web.StreamResponse, language: str) -> None:
        _set(response, LANGUAGE, language, seconds=_LANGUAGE_SECONDS)

    @staticmethod
    def forget(response: web.StreamResponse, name: str) -> None:
        _set(response, name, "", seconds=0)


def _set(response: web.StreamResponse, name: str, value: str, *, seconds: int | None) -> None:
    # Lax: the login provider and the bank send the browser here by a link, and the cookie must come with it.
    response.set_cookie(name, value, max_age=seconds, path="/", secure=True, httponly=True, samesite="Lax")


def _bounded(value: str | None) -> str | None:
    return value if value and len(value) <= _CHARACTERS_MAX else None
