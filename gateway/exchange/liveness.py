"""Whether what a token rests on is still there: on every request, on every replica, at most half a second late.

A revocation is announced in the store with the change that it follows from. A token is believed on a look there that
began less than `look_seconds` before; requests that come together share one.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

from gateway.core.consent import Grant
from gateway.errors import ConsentExpired, ConsentRevoked, GatewayError, TokenInvalid, UpstreamUnavailable
from gateway.oauth.access_token import AccessToken
from gateway.oauth.grant import Ended, Revocation
from gateway.ports import Clock, Revocations

LOOK_SECONDS = 0.5
LOOKS_MAX = 3
"""Looks that one request waits for: one that takes longer than it may be old says nothing about now."""
_FORGET_EVERY = 1_024  # revocations that are learnt between two rounds of forgetting


class Liveness:
    """`own_issuer`: the embedded authorization server; None: there is none."""

    def __init__(
        self,
        *,
        revocations: Revocations,
        clock: Clock,
        own_issuer: str | None = None,
        look_seconds: float = LOOK_SECONDS,
    ) -> None:
        self._revocations = revocations
        self._clock = clock
        self._own_issuer = own_issuer
        self._look_seconds = look_seconds
        self._announcements = 0  # by this process
        self._looks = 0
        self._view: tuple[float, int] | None = None  # when the last good look began, after how many announcements
        self._sequence = 0
        self._gone: dict[tuple[str, str], Revocation] = {}
        self._learnt = 0
        self._looking = asyncio.Lock()

    async def check(self, token: AccessToken) -> None:
        """Raises ConsentRevoked or ConsentExpired where the consent is why, else TokenInvalid; UpstreamUnavailable when
        nobody can tell now."""
        await self._look()
        named = [("token", token.token_id)]
        if token.grant_id is not None:
            named.append(("grant", token.grant_id))
        for name in named:
            gone = self._gone.get(name)
            if gone is not None:
                raise _refusal(gone.reason)
        self._check_consents(token)

    def _check_consents(self, token: AccessToken) -> None:
        # A token of several consents (an external issuer's) lives as long as one of them does; the others are refused
        # where they are named.
        if not token.grants:
            return
        now = self._clock.now()
        reasons = [self._ended(token, grant, now) for grant in token.grants]
        ended = [reason for reason in reasons if reason is not None]
        if len(ended) == len(token.grants):
            raise _refusal(ended[0])

    def _ended(self, token: AccessToken, grant: Grant, now: float) -> Ended | None:
        gone = self._gone.get(("consent", grant.consent_id))
        if gone is not None:
            return gone.reason
        # In a token of ours it is the consent's own time, which needs no announcement; others may say what they like.
        ours = token.issuer == self._own_issuer
        return Ended.CONSENT_EXPIRED if ours and grant.expire_time is not None and grant.expire_time <= now else None

    def look_again(self) -> None:
        """Something was announced by this process: its next request sees it."""
        self._announcements += 1

    def _seen(self, announcements: int) -> bool:
        # A look that began before this process announced something need not have seen it.
        if self._view is None or self._view[1] < announcements:
            return False
        return self._clock.monotonic() - self._view[0] < self._look_seconds

    async def _look(self) -> None:
        announcements = self._announcements
        for _ in range(LOOKS_MAX):
            if self._seen(announcements):
                return
            looks = self._looks
            async with self._looking:
                if self._looks == looks:  # else another request's look has just ended, well or not
                    await self._look_once()
        if not self._seen(announcements):
            raise UpstreamUnavailable(private="no_recent_look")

    async def _look_once(self) -> None:
        began, announcements = self._clock.monotonic(), self._announcements
        try:
            await self._read()
        finally:
            self._looks += 1
        self._view = began, announcements

    async def _read(self) -> None:
        told = await self._revocations.revocations(after=self._sequence, now=int(self._clock.now()))
        if told.newest < self._sequence:
            # The database went back (a failover, a restore), and its next announcements get numbers that we believed
            # to have read. What was announced before is still believed: a token too few is better than one too many.
            self._sequence = 0
            told = await self._revocations.revocations(after=0, now=int(self._clock.now()))
        self._learn(told.rows)

    def _learn(self, announced: Iterable[Revocation]) -> None:
        for one in announced:
            self._gone[one.kind, one.value] = one
            self._sequence = max(self._sequence, one.sequence)
            self._learnt += 1
        if self._learnt >= _FORGET_EVERY:
            self._learnt = 0
            now = self._clock.now()
            self._gone = {name: one for name, one in self._gone.items() if one.until > now}


def _refusal(reason: Ended) -> GatewayError:
    if reason is Ended.CONSENT_REVOKED:
        return ConsentRevoked()
    if reason is Ended.CONSENT_EXPIRED:
        return ConsentExpired()
    return TokenInvalid(private=reason.value.lower())
