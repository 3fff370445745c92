"""DPoP proofs (RFC 9449) at any endpoint: checked, of a fresh nonce, and each taken once."""

from __future__ import annotations

from dataclasses import dataclass, field

from gateway.oauth.dpop import Nonces, check_proof
from gateway.oauth.refusal import OAuthRefusal
from gateway.ports import Clock, Replays


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """A DPoP field and what it must have been made for. `url`: of the endpoint, without query."""

    proof: str = field(repr=False)
    method: str
    url: str


class Possession:
    """`replays`: shared by all processes, since a proof that counted here must not count elsewhere."""

    def __init__(self, *, nonces: Nonces, replays: Replays, clock: Clock) -> None:
        self._nonces = nonces
        self._replays = replays
        self._clock = clock

    def nonce(self) -> str:
        """For the DPoP-Nonce field."""
        return self._nonces.issue(self._clock.now())

    async def key_of(self, shown: Shown, *, access_token: str | None = None) -> str:
        """The thumbprint (RFC 7638) of the key that was proven. `access_token`: at a protected resource.

        Raises OAuthRefusal: `use_dpop_nonce` with the nonce to use, `invalid_dpop_proof`.
        """
        try:
            proof = check_proof(
                shown.proof,
                method=shown.method,
                url=shown.url,
                now=self._clock.now(),
                nonces=self._nonces,
                access_token=access_token,
            )
        except OAuthRefusal as refused:
            if refused.code != "use_dpop_nonce":
                raise
            raise OAuthRefusal(
                refused.code,
                refused.description,
                reason=refused.reason,
                status=refused.status,
                headers={"DPoP-Nonce": self.nonce()},
            ) from refused
        # RFC 9449 §11.1. Last, so that only a valid proof takes a place in the memory.
        if not await self._replays.first_time(f"dpop {proof.jkt}", proof.token_id, expires_at=proof.expires_at):
            raise OAuthRefusal("invalid_dpop_proof", "The DPoP proof was used before", reason="dpop_replayed")
        return proof.jkt
