"""A deployment's log, opened for one command beside a running gateway: no listener, no platform, no store.

Several processes may append to one log, so what a command does is on record while the service runs.
"""

from __future__ import annotations

import contextlib
import os
import pwd
from collections.abc import AsyncIterator
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version
from pathlib import Path

from adapters.clock import SystemClock
from adapters.keys.file import AesGcmSealer, read_secret
from adapters.sql import migrations
from adapters.sql.audit import SqlAuditLog, open_audit_log
from adapters.sql.search_index import SqlSearchIndex, open_search_index
from gateway.app.identities import published_codes
from gateway.app.parts import SOFTWARE
from gateway.audit.record import Origin
from gateway.audit.searchable import Keyed
from gateway.compliance.operator import Operator
from gateway.compliance.reading import Reading
from gateway.core.pseudonym import pseudonym
from gateway.followers.indexer import Indexer
from gateway.ports import Clock
from gateway.settings import Participants, Settings, config_hash, load


@dataclass(frozen=True, slots=True, kw_only=True)
class Desk:
    settings: Settings
    clock: Clock
    audit: SqlAuditLog
    index: SqlSearchIndex
    indexer: Indexer
    keyed: Keyed  # makes pseudonyms: `keyed("subject", "owner-7")`
    operator: Operator

    def reading(self) -> Reading:
        """Search, show and tail for the operator."""
        return Reading(
            log=self.audit,
            index=self.index,
            indexer=self.indexer,
            keyed=self.keyed,
            clock=self.clock,
            operator=self.operator,
        )


@contextlib.asynccontextmanager
async def open_desk(config: Path, *, log_name: str | None = None) -> AsyncIterator[Desk]:
    """Everything opened, for as long as the block lasts. `log_name`: of a log that is not called as configured yet.

    Raises SettingsError for the configuration, and what the adapters raise for what cannot be used: SchemaOutdated,
    AuditLogDamaged, ValueError (keys), OSError, GatewayError.
    """
    # The keys of listeners and platforms need not be at hand here; a key that is needed says so when it is read.
    settings, participants = load(config, codes=published_codes(), check_files=False)
    migrations.check(settings.audit.url, "audit")
    migrations.check(settings.audit.index_url, "index")
    clock = SystemClock()
    keyed = partial(pseudonym, read_secret(settings.secrets.pseudonym_key_file))
    async with contextlib.AsyncExitStack() as stack:
        audit = await stack.enter_async_context(
            open_audit_log(
                settings.audit.url,
                name=log_name or settings.audit.origin,
                origin=_origin(settings, participants),
                sealer=AesGcmSealer(settings.secrets.storage_key_file),
                queue_max=settings.audit.queue_max,
                batch_max=settings.audit.batch_max,
            )
        )
        index = await stack.enter_async_context(open_search_index(settings.audit.index_url))
        indexer = Indexer(log=audit, keys=audit, index=index, keyed=keyed, clock=clock, observer=_Unobserved())
        yield Desk(
            settings=settings,
            clock=clock,
            audit=audit,
            index=index,
            indexer=indexer,
            keyed=keyed,
            operator=Operator(name=user_name(), participant=settings.deployment.participant_id),
        )


def user_name() -> str:
    """Of the OS user who runs this process: by the kernel's word, since the environment can be set to anything."""
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:  # a container's user without a line in its passwd
        return f"uid:{os.getuid()}"


def _origin(settings: Settings, participants: Participants) -> Origin:
    return Origin(
        software=f"{SOFTWARE}/{version(SOFTWARE)}",
        schema="cdi/v1 dvp/v1",
        config=config_hash(settings, participants),
    )


class _Unobserved:
    """See `indexer.Observer`. A command shows what it finds; lag and damage are for the running gateway to report."""

    def lag(self, entries: int, seconds: float) -> None: ...

    def unreadable(self, index: int) -> None: ...

    def started_over(self) -> None: ...

    def failed(self, error: Exception) -> None: ...
