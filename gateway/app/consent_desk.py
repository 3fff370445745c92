"""A deployment's consents, opened for one command beside a running gateway: store and audit log, no listener."""

from __future__ import annotations

import contextlib
import uuid
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

from adapters.keys.file import AesGcmSealer
from adapters.sql import migrations
from adapters.sql.store import open_store
from gateway.app.desk import open_desk
from gateway.app.parts import revocation_seconds
from gateway.audit.record import Actor
from gateway.exchange.liveness import Liveness
from gateway.exchange.owned import OwnedConsents
from gateway.exchange.recording import Recorder
from gateway.ports import Store

_ROLE = "operator"


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsentDesk:
    """`actor`: the person at the terminal, as records name them."""

    store: Store
    owned: OwnedConsents
    actor: Actor


@contextlib.asynccontextmanager
async def open_consent_desk(config: Path) -> AsyncIterator[ConsentDesk]:
    """Everything opened, for as long as the block lasts. Raises what `open_desk` and the store raise."""
    async with open_desk(config) as desk, contextlib.AsyncExitStack() as stack:
        settings = desk.settings
        migrations.check(settings.store.url, "store")
        store = await stack.enter_async_context(
            open_store(
                settings.store.url,
                sealer=AesGcmSealer(settings.secrets.storage_key_file),
                lease_owner=str(uuid.uuid4()),
                queue_max=settings.store.queue_max,
                batch_max=settings.store.batch_max,
                revocation_seconds=revocation_seconds(settings),
            )
        )
        owned = OwnedConsents(
            store=store,
            audit=desk.audit,
            recorder=Recorder(store, desk.audit),
            clock=desk.clock,
            liveness=Liveness(revocations=store.authorization, clock=desk.clock),
        )
        operator = desk.operator
        actor = Actor(participant=operator.participant, role=_ROLE, client=operator.name)
        yield ConsentDesk(store=store, owned=owned, actor=actor)
