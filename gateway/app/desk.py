"""A deployment's log, opened for one command beside a running gateway: no listener, no platform, no store.

Several processes may append to one log, so what a command does is on record while the service runs.
"""

from __future__ import annotations

import contextlib
import os
import pwd
from collections.abc import AsyncIterator
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from adapters.clock import SystemClock
from adapters.keys.file import AesGcmSealer, read_secret
from adapters.sql import migrations
from adapters.sql.audit import SqlAuditLog, open_audit_log
from gateway.app.identities import published_codes
from gateway.app.parts import SOFTWARE
from gateway.audit.record import Origin
from gateway.compliance.operator import Operator
from gateway.ports import Clock
from gateway.settings import Participants, Settings, config_hash, load


@dataclass(frozen=True, slots=True, kw_only=True)
class Desk:
    settings: Settings
    clock: Clock
    audit: SqlAuditLog
    pseudonym_key: bytes
    operator: Operator


@contextlib.asynccontextmanager
async def open_desk(config: Path) -> AsyncIterator[Desk]:
    """Everything opened, for as long as the block lasts.

    Raises SettingsError for the configuration, and what the adapters raise for what cannot be used: SchemaOutdated,
    AuditLogDamaged, ValueError (keys), OSError, GatewayError.
    """
    # The keys of listeners and platforms need not be at hand here; a key that is needed says so when it is read.
    settings, participants = load(config, codes=published_codes(), check_files=False)
    migrations.check(settings.audit.url, "audit")
    async with contextlib.AsyncExitStack() as stack:
        audit = await stack.enter_async_context(
            open_audit_log(
                settings.audit.url,
                name=settings.audit.origin,
                origin=_origin(settings, participants),
                sealer=AesGcmSealer(settings.secrets.storage_key_file),
                queue_max=settings.audit.queue_max,
                batch_max=settings.audit.batch_max,
            )
        )
        yield Desk(
            settings=settings,
            clock=SystemClock(),
            audit=audit,
            pseudonym_key=read_secret(settings.secrets.pseudonym_key_file),
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
