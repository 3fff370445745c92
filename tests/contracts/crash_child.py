"""Works on a database until it is killed. Prints one line per acknowledged piece of work, never before."""

from __future__ import annotations

import asyncio
import sys
import uuid

from adapters.sql.audit import open_audit_log
from adapters.sql.store import open_store
from gateway.core.model import Consent
from gateway.ports import ConsentStep, ExchangeStep, Idempotency
from tests import samples
from tests.fakes import FakeSealer

CALLERS = 16


def say(*words: object) -> None:
    sys.stdout.write(" ".join(map(str, words)) + "\n")
    sys.stdout.flush()


async def append_and_accept(url: str) -> None:
    async with (
        open_audit_log(
            url, name="crash/audit", origin=samples.ORIGIN, sealer=FakeSealer(), queue_max=1_000, batch_max=64
        ) as log,
        open_store(url, sealer=FakeSealer(), lease_owner="child", queue_max=1_000, batch_max=64) as store,
        asyncio.TaskGroup() as callers,
    ):

        async def round_of_work() -> None:
            record = samples.record(record_id=f"record-{uuid.uuid4()}")
            [position] = await log.append([record])
            say("entry", record.record_id, position.index)
            consent = samples.consent(consent_id=f"consent-{uuid.uuid4()}")
            key = Idempotency(key=consent.consent_id, fingerprint="f")
            await store.submit(lambda _: ConsentStep(consent=consent), key)

            def decide(found: Consent | None) -> ExchangeStep:
                assert found is not None
                exchange = samples.exchange(found, exchange_id=f"exchange-{uuid.uuid4()}")
                return ExchangeStep(exchange=exchange, records=(record,))

            key = Idempotency(key=str(uuid.uuid4()), fingerprint="f")
            accepted = await store.accept(consent.consent_id, key, lease_until=0.0, decide=decide)
            say("exchange", accepted.exchange.exchange_id, record.record_id)

        async def caller() -> None:
            while True:
                await round_of_work()

        for _ in range(CALLERS):
            callers.create_task(caller())


if __name__ == "__main__":
    asyncio.run(append_and_accept(sys.argv[1]))
