"""Grants and redeems on a database until it is killed. Prints one line per acknowledged act, never before."""

from __future__ import annotations

import asyncio
import sys
import uuid
from dataclasses import replace

from adapters.sql.store import open_store
from gateway.core.model import Consent
from gateway.oauth.grant import OAuthGrant
from gateway.ports import ConsentStep, GrantStep, Idempotency
from tests import oauth_samples, samples
from tests.contracts.crash_child import CALLERS, say
from tests.fakes import FakeSealer


async def grant_and_redeem(url: str) -> None:
    async with (
        open_store(url, sealer=FakeSealer(), lease_owner="child", queue_max=1_000, batch_max=64) as store,
        asyncio.TaskGroup() as callers,
    ):

        async def round_of_work() -> None:
            name = str(uuid.uuid4())
            consent = samples.consent(consent_id=f"consent-{name}")
            await store.submit(
                lambda _: ConsentStep(consent=consent), Idempotency(key=consent.consent_id, fingerprint="f")
            )
            pushed = oauth_samples.pushed(handle_hash=f"handle-{name}")
            await store.authorization.push(pushed)
            grant = oauth_samples.grant(consent, grant_id=f"grant-{name}", code_hash=f"code-{name}")
            if not await store.authorization.take(pushed.handle_hash, GrantStep(grant=grant)):
                raise AssertionError
            say("granted", name)

            def redeem(found: OAuthGrant | None, _: Consent | None) -> GrantStep:
                if found is None or found.redeemed_at is not None:
                    raise AssertionError
                record = samples.record(record_id=found.grant_id, consent=None)
                return GrantStep(grant=replace(found, redeemed_at=samples.NOW + 0.5), records=(record,))

            await store.authorization.by_code(f"code-{name}", redeem)
            say("redeemed", name)

        async def caller() -> None:
            while True:
                await round_of_work()

        for _ in range(CALLERS):
            callers.create_task(caller())


if __name__ == "__main__":
    asyncio.run(grant_and_redeem(sys.argv[1]))
