"""A deployment as the audit commands need it: the example configuration, its secrets, its databases."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from adapters.keys.file import AesGcmSealer
from adapters.sql import migrations
from adapters.sql.audit import open_audit_log
from gateway.audit.record import Record
from gateway.settings import Settings, load
from tests import samples

_EXAMPLES = Path(__file__).parents[4] / "config"
_SECRETS = ("pseudonym_key_file", "storage_key_file")

Append = Callable[[Sequence[Record]], None]


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """The configuration file. The keys of listeners and platforms are not there: these commands need none."""
    for name in ("gateway.yaml", "participants.yaml"):
        (tmp_path / name).write_bytes((_EXAMPLES / name).read_bytes())
    settings = settings_of(tmp_path / "gateway.yaml")
    for name in _SECRETS:
        file: Path = getattr(settings.secrets, name)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(os.urandom(32))
        file.chmod(0o600)
    migrations.upgrade(settings.audit.url, "audit")
    migrations.upgrade(settings.audit.index_url, "index")
    return tmp_path / "gateway.yaml"


@pytest.fixture
def append(config: Path) -> Append:
    """Append records as the gateway would."""

    def append_(records: Sequence[Record]) -> None:
        asyncio.run(_append(settings_of(config), records))

    return append_


def settings_of(config: Path) -> Settings:
    settings, _ = load(config, environment={}, check_files=False)
    return settings


async def _append(settings: Settings, records: Sequence[Record]) -> None:
    async with open_audit_log(
        settings.audit.url,
        name=settings.audit.origin,
        origin=samples.ORIGIN,
        sealer=AesGcmSealer(settings.secrets.storage_key_file),
        queue_max=1_000,
        batch_max=64,
    ) as log:
        await log.append(records)
