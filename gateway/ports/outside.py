"""Time, keys, limits, tokens and the platform: what else the flows need of the outside."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from gateway.core.quota import Allowance, Tier
from gateway.core.verification import Answer, Question, Silence
from gateway.oauth.access_token import AccessToken as AccessToken  # noqa: PLC0414 - part of this port


class Clock(Protocol):
    """The only source of time."""

    def now(self) -> float:
        """Unix seconds, UTC."""

    def monotonic(self) -> float:
        """Seconds that never go back; for durations only."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TraceContext:
    """W3C Trace Context: the fields that are continued."""

    traceparent: str


class Platform(Protocol):
    """DVP, or another platform with its own profile."""

    platform_id: str

    async def ask(self, question: Question, *, trace: TraceContext | None, deadline_seconds: float) -> Answer | Silence:
        """One question, with bounded safe repeats inside. Never raises for trouble on the way: that is a `Silence`.

        An `Answer` is authentic: signature, receiver, freshness, `inReplyTo` and `requestId` were checked.
        """

    def breaker_open(self) -> bool:
        """Whether questions are held back now."""


class RateLimits(Protocol):
    async def take(self, tiers: Sequence[Tier]) -> Sequence[Allowance]:
        """All tiers or none, atomically. The answer has one allowance per tier."""


class Replays(Protocol):
    async def first_time(self, scope: str, message_id: str, *, expires_at: float) -> bool:
        """False when this id was seen in this scope and has not expired. Bounded: when full, raises Overloaded."""


class TokenVerifier(Protocol):
    async def verify(self, token: str) -> AccessToken:
        """Signature, issuer, audience, times, type and algorithm are checked; the certificate binding is not: the
        caller compares `thumbprint` on every request. Raises TokenInvalid, or UpstreamUnavailable when the issuer's
        keys cannot be had."""


class Sealer(Protocol):
    """Authenticated encryption at rest of the few values that must come back (vouchers)."""

    def seal(self, text: str, *, context: str) -> bytes:
        """`context` is bound as associated data."""

    def open(self, sealed: bytes, *, context: str) -> str:
        """Raises ValueError when the bytes or the context are not what was sealed."""


class Signer(Protocol):
    """A signing key of ours. ES256."""

    key_id: str

    def sign_jws(self, header: dict[str, str], payload: bytes) -> str:
        """Compact JWS (RFC 7515); `alg` and `kid` are added to the header."""
