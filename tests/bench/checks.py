"""The resource server's check of a presented token, in this process: remembered, new, and with a DPoP proof.

What runs is what the gateway runs between the header field and the flow: signature and claims, possession, and whether
everything that the token rests on is still there. Its store is SQLite.
"""

from __future__ import annotations

import asyncio
import os
import time
import uuid
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import orjson

from adapters.clock import SystemClock
from adapters.issuers.jwks import IssuerKeys
from adapters.issuers.local import LocalKeys
from adapters.issuers.verifier import JwtVerifier, TrustedIssuer
from adapters.keys.file import AesGcmSealer
from adapters.sandbox.dpop import DPoP
from adapters.sandbox.files import write_secret
from adapters.sandbox.signing import KeySigner, base64url, jwks
from adapters.sql import migrations
from adapters.sql.store import SqlStore, open_store
from gateway.exchange.liveness import Liveness
from gateway.exchange.possession import Possession, Shown
from gateway.oauth.dpop import Nonces

ISSUER, RESOURCE = "https://as.example", "https://gateway.example"
URL = f"{RESOURCE}/cdi/v1/data-requests"
WORKERS = 64  # as many as there are connections
TITLES = {
    "check-remembered": "(e) check, token known",
    "check-new": "(f) check, new token",
    "check-dpop": "(g) check, token known, DPoP proof",
}

Presented = tuple[str, str | None]
"""A token, and the proof that comes with it."""


@dataclass(slots=True)
class Measured:
    name: str
    rps: list[float] = field(default_factory=list)
    cpu_us: list[float] = field(default_factory=list)
    p50_ms: list[float] = field(default_factory=list)
    p99_ms: list[float] = field(default_factory=list)


class Checker:
    def __init__(self, store: SqlStore) -> None:
        self._clock = SystemClock()
        self._signer = KeySigner.create("tokens-1")
        self._dpop = DPoP()
        self._nonces = Nonces(os.urandom(32))
        source = LocalKeys(jwks([self._signer]))
        keys = IssuerKeys(source.fetch, clock=self._clock, refresh_seconds=3_600, stale_seconds_max=7_200)
        self._tokens = JwtVerifier(
            [TrustedIssuer(issuer=ISSUER, keys=keys, algorithms=frozenset({"ES256"}), approves_consents=False)],
            resource=RESOURCE,
            clock=self._clock,
            skew_seconds=10,
            lifetime_seconds_max=3_600,
            cache_max=10_000,
        )
        self._possession = Possession(nonces=self._nonces, replays=store.authorization, clock=self._clock)
        self._liveness = Liveness(revocations=store.authorization, clock=self._clock)

    def token(self, *, dpop: bool = False) -> str:
        now = int(self._clock.now())
        claims = {
            "iss": ISSUER,
            "aud": RESOURCE,
            "sub": "0" * 43,
            "client_id": "bank-a-loans",
            "scope": "cdi:data-requests",
            "jti": str(uuid.uuid4()),
            "iat": now,
            "exp": now + 300,
            "cnf": {"jkt": self._dpop.thumbprint} if dpop else {"x5t#S256": base64url(bytes(32))},
            "grant_id": str(uuid.uuid4()),
            "authorization_details": [
                {
                    "type": "cdi_consent",
                    "consentId": str(uuid.uuid4()),
                    "dataProviderId": "SZCREDIT01DP",
                    "documentType": "CORPORATE_CREDIT_REPORT",
                    "purpose": "SME_LOAN_UNDERWRITING",
                    "expireTime": now + 86_400,
                }
            ],
        }
        return self._signer.sign_jws({"typ": "at+jwt"}, orjson.dumps(claims))

    def proof(self, token: str) -> str:
        now = self._clock.now()
        return self._dpop.proof("POST", URL, now=int(now), nonce=self._nonces.issue(now), token=token)

    async def check(self, presented: Presented) -> None:
        token, proof = presented
        access = await self._tokens.verify(token)
        if proof is not None:
            shown = Shown(proof=proof, method="POST", url=URL)
            if await self._possession.key_of(shown, access_token=token) != access.jkt:
                raise SystemExit("a proof by another key")
        await self._liveness.check(access)


async def run(folder: Path, *, rounds: int, count: int) -> list[Measured]:
    """Medians are the caller's to take; the first of `rounds` + 1 is not kept."""
    write_secret(folder / "storage.key", os.urandom(32))
    url = f"sqlite:///{folder}/store.db"
    await asyncio.to_thread(migrations.upgrade, url, "store")
    cases = {name: Measured(name) for name in TITLES}
    sealer = AesGcmSealer(folder / "storage.key")
    async with open_store(url, sealer=sealer, lease_owner="bench", queue_max=1_000, batch_max=64) as store:
        checker = Checker(store)
        for number in range(rounds + 1):
            known, bound = checker.token(), checker.token(dpop=True)
            await checker.check((known, None))
            plans: dict[str, list[Presented]] = {
                "check-remembered": [(known, None)] * count,
                "check-new": [(checker.token(), None) for _ in range(count)],
                "check-dpop": [(bound, checker.proof(bound)) for _ in range(count)],
            }
            for name, plan in plans.items():
                await _measure(cases[name], checker.check, plan, keep=number > 0)
    return list(cases.values())


async def _measure(
    case: Measured, check: Callable[[Presented], Awaitable[None]], plan: list[Presented], *, keep: bool
) -> None:
    todo: Iterator[Presented] = iter(plan)
    took: list[float] = []

    async def work() -> None:
        for presented in todo:
            began = time.perf_counter()
            await check(presented)
            took.append(time.perf_counter() - began)

    began, used = time.perf_counter(), time.process_time()
    await asyncio.gather(*(work() for _ in range(WORKERS)))
    seconds, cpu = time.perf_counter() - began, time.process_time() - used
    if keep:
        took.sort()
        case.rps.append(len(took) / seconds)
        case.cpu_us.append(cpu / len(took) * 1e6)
        case.p50_ms.append(took[len(took) // 2] * 1e3)
        case.p99_ms.append(took[int(len(took) * 0.99)] * 1e3)
