"""Who is this, and may they come in now: certificate, status, rate, token, binding, scope. In that order.

The certificate is judged on every request: a handshake proves who came, not that they are still welcome.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from gateway.core.consent import Grant
from gateway.core.model import Certificate, Direction, Participant, Rate, Role
from gateway.core.quota import Allowance, Tier
from gateway.errors import (
    CertExpired,
    CertRevoked,
    CertUnknown,
    DirectionNotPermitted,
    GatewayError,
    ParticipantSuspended,
    RateLimited,
    TokenInvalid,
    TokenMissing,
    TokenNotBound,
)
from gateway.exchange.liveness import Liveness
from gateway.exchange.possession import Possession, Shown
from gateway.exchange.roster import Roster
from gateway.oauth import scopes
from gateway.oauth.refusal import OAuthRefusal
from gateway.ports import AccessToken, Clock, RateLimits, TokenVerifier, TraceContext

_REFUSAL_KINDS_MAX = 4_096
_ALGORITHMS = 'algs="ES256 PS256 EdDSA"'  # of proofs


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrival:
    """A request before anything was believed."""

    certificate: Certificate | None
    route: str  # method and route template, never the raw path
    interaction: str
    trace: TraceContext


@dataclass(frozen=True, slots=True, kw_only=True)
class Credentials:
    """What the Authorization field holds, unchecked. `dpop`: its scheme. `shown`: the DPoP proof beside it, if any."""

    token: str = field(repr=False)
    dpop: bool = False
    shown: Shown | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Admitted:
    """A participant with a good certificate, within its rate."""

    participant: Participant
    certificate: Certificate
    interaction: str
    trace: TraceContext
    now: float
    allowances: tuple[Allowance, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """An admitted participant with a token that is bound to the same certificate and has the scope."""

    participant: Participant
    certificate: Certificate
    interaction: str
    trace: TraceContext
    now: float
    token: AccessToken

    def grant(self, consent_id: str) -> Grant | None:
        """What the token says about this consent, if anything."""
        return scopes.grant_for(self.token, consent_id)


class Refusals:
    """Counts of refusals until they are written to the audit log. Bounded; a crash loses one interval of counts."""

    def __init__(self) -> None:
        self._counts: Counter[tuple[str, str]] = Counter()

    def count(self, participant_id: str, code: str) -> None:
        key = (participant_id, code)
        if key in self._counts or len(self._counts) < _REFUSAL_KINDS_MAX:
            self._counts[key] += 1

    def counts(self) -> dict[tuple[str, str], int]:
        """(participant, code) → how often since it was last forgotten."""
        return dict(self._counts)

    def forget(self, written: Mapping[tuple[str, str], int]) -> None:
        """These are durable. What was counted in the meantime stays."""
        self._counts = Counter(self._counts) - Counter(written)


class Admission:
    def __init__(
        self,
        *,
        roster: Roster,
        limits: RateLimits,
        tokens: TokenVerifier,
        possession: Possession,
        liveness: Liveness,
        clock: Clock,
        default_rate: Rate,
        route_rates: Mapping[str, Rate],
        refusals: Refusals,
    ) -> None:
        self._roster = roster
        self._limits = limits
        self._tokens = tokens
        self._possession = possession
        self._liveness = liveness
        self._clock = clock
        self._default_rate = default_rate
        self._route_rates = route_rates
        self._refusals = refusals

    async def admit(self, arrival: Arrival, *roles: Role) -> Admitted:
        """The cheap refusals: registry, validity, revocation, status, role, rate."""
        now = self._clock.now()
        participant: Participant | None = None
        try:
            certificate, participant = self._known(arrival.certificate, now)
            self._welcome(participant, roles)
            allowances = await self._within_rate(participant, arrival.route)
        except GatewayError as refused:
            self._refusals.count(participant.participant_id if participant else "UNKNOWN", refused.code)
            raise
        return Admitted(
            participant=participant,
            certificate=certificate,
            interaction=arrival.interaction,
            trace=arrival.trace,
            now=now,
            allowances=allowances,
        )

    async def authorise(self, admitted: Admitted, credentials: Credentials | None, *any_scope: str) -> Caller:
        """The token's refusals: missing, invalid, in other hands than it was issued to, revoked, without the scope."""
        try:
            if credentials is None:
                raise TokenMissing()
            token = await self._tokens.verify(credentials.token)
            # RFC 8705 §3, RFC 9449 §7: on every request, cached token or not.
            proven = await self._proven_key(token, credentials)
            scopes.bound(token, admitted.certificate, admitted.participant, proven)
            await self._liveness.check(token)
            scopes.require(token, *any_scope)
        except GatewayError as refused:
            self._refusals.count(admitted.participant.participant_id, refused.code)
            if credentials is not None and credentials.dpop and isinstance(refused, TokenInvalid):
                # RFC 9449 §7.1: told in the scheme that was used.
                refused.headers.setdefault("WWW-Authenticate", f'DPoP error="invalid_token", {_ALGORITHMS}')
            raise
        return Caller(
            participant=admitted.participant,
            certificate=admitted.certificate,
            interaction=admitted.interaction,
            trace=admitted.trace,
            now=admitted.now,
            token=token,
        )

    async def still_good(self, caller: Caller) -> None:
        """What the caller's token rests on is still there, after a body that came slowly, or a wait. Raises as
        `authorise` does for what was revoked."""
        await self._liveness.check(caller.token)

    async def _proven_key(self, token: AccessToken, credentials: Credentials) -> str | None:
        """The DPoP key, for a token that is bound to one. The scheme must fit the binding (RFC 9449 §7.2)."""
        if credentials.dpop is not (token.jkt is not None):
            raise TokenNotBound(private="scheme")
        if token.jkt is None:
            return None
        challenge = f"DPoP {_ALGORITHMS}"
        if credentials.shown is None:
            raise TokenNotBound(private="no_proof", headers={"WWW-Authenticate": challenge})
        try:
            return await self._possession.key_of(credentials.shown, access_token=credentials.token)
        except OAuthRefusal as refused:
            challenge = f'DPoP error="{refused.code}", {_ALGORITHMS}'  # RFC 9449 §7.1, §9
            raise TokenNotBound(
                private=refused.reason, headers={"WWW-Authenticate": challenge, **refused.headers}
            ) from refused

    def _known(self, certificate: Certificate | None, now: float) -> tuple[Certificate, Participant]:
        view = self._roster.view
        participant = view.registry.by_certificate(certificate) if certificate is not None else None
        if certificate is None or participant is None:
            raise CertUnknown()
        if not certificate.not_before <= now < certificate.not_after:
            raise CertExpired()
        if view.revoked(certificate):
            raise CertRevoked()
        return certificate, participant

    @staticmethod
    def _welcome(participant: Participant, roles: Sequence[Role]) -> None:
        if not participant.active:
            raise ParticipantSuspended()
        if participant.role not in roles:
            raise DirectionNotPermitted()
        if participant.role is Role.BANK and Direction.SOUTHBOUND not in participant.directions:
            raise DirectionNotPermitted("The participant may not ask southbound")

    async def _within_rate(self, participant: Participant, route: str) -> tuple[Allowance, ...]:
        identity = participant.participant_id
        tiers = [Tier(policy="participant", key=identity, rate=participant.rate or self._default_rate)]
        route_rate = self._route_rates.get(route)
        if route_rate is not None:
            tiers.append(Tier(policy="route", key=f"{identity} {route}", rate=route_rate))
        allowances = tuple(await self._limits.take(tiers))
        refused = [allowance for allowance in allowances if not allowance.allowed]
        if refused:
            longest = max(refused, key=lambda allowance: allowance.retry_after_seconds)
            raise RateLimited(
                retry_after_seconds=int(longest.retry_after_seconds) + 1,
                headers=rate_fields(allowances),
                private=longest.policy,
            )
        return allowances


def rate_fields(allowances: tuple[Allowance, ...]) -> dict[str, str]:
    """RateLimit-Policy and RateLimit (draft-ietf-httpapi-ratelimit-headers): all policies, and what is left."""
    policies = ", ".join(f'"{item.policy}";q={item.limit};w={item.window_seconds}' for item in allowances)
    tightest = min(allowances, key=lambda item: (item.remaining / item.limit, -item.reset_seconds))
    return {
        "RateLimit-Policy": policies,
        "RateLimit": f'"{tightest.policy}";r={tightest.remaining};t={int(tightest.reset_seconds + 0.999)}',
    }
