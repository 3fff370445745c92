"""What the authorization server's flows stand on in tests: a signer, a state that breaks on demand, a login."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from gateway.errors import UpstreamUnavailable
from gateway.ports import LoginChallenge, LoginRefused, SignedIn
from tests.fakes_oauth import sign
from tests.oauth_clients import key
from tests.samples import NOW

OWNER, OTHER_OWNER = "owner-7", "owner-8"


class TokenSigner:
    """A real signature by `key-ES256`, which `jwks_uri` would publish."""

    key_id = "key-ES256"

    def sign_jws(self, header: dict[str, str], payload: bytes) -> str:
        return sign(key(), {"alg": "ES256", "kid": self.key_id} | header, payload)


Hook = BaseException | Callable[[], Awaitable[object]]


class BreakableState:
    """The real state, which fails on demand, as when the database or the process is gone; or others come in between.

    `before`, `after`: what happens once around the next call of that name; an exception is raised.
    """

    def __init__(self, real: Any) -> None:
        self._real = real
        self.before: dict[str, Hook] = {}
        self.after: dict[str, Hook] = {}

    def __getattr__(self, name: str) -> Any:
        real = getattr(self._real, name)

        async def call(*arguments: Any, **named: Any) -> Any:
            await _happens(self.before.pop(name, None))
            result = await real(*arguments, **named)
            await _happens(self.after.pop(name, None))
            return result

        return call


async def _happens(hook: Hook | None) -> None:
    if isinstance(hook, BaseException):
        raise hook
    if hook is not None:
        await hook()


class FakeLogin:
    """Signs in whom the test says; `refused` and `down` are how it fails."""

    def __init__(self) -> None:
        self.person = SignedIn(owner_id=OWNER, name="Data Owner 7", auth_time=NOW, acr="loa2")
        self.refused: str | None = None
        self.down = False
        self.asked: list[tuple[bool, tuple[str, ...], str]] = []

    async def begin(self, *, fresh: bool, acr_values: Sequence[str], locale: str) -> LoginChallenge:
        if self.down:
            raise UpstreamUnavailable()
        self.asked.append((fresh, tuple(acr_values), locale))
        return LoginChallenge(url="https://login.example/authorize", secret="sealed")

    async def finish(self, secret: str, answer: Mapping[str, str]) -> SignedIn:
        if self.down:
            raise UpstreamUnavailable()
        if self.refused is not None or secret != "sealed":
            raise LoginRefused(self.refused or "secret")
        return self.person
