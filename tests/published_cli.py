"""A deployment's published log for tests of commands: its key, its entries, its folder."""

from __future__ import annotations

import asyncio
from pathlib import Path

from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from adapters.clock import SystemClock
from adapters.keys.file import AesGcmSealer
from adapters.keys.log_key import log_signers
from adapters.sql.audit import open_audit_log
from adapters.tiles.directory import TileDirectory
from gateway.followers.publisher import Nobody, Publisher
from gateway.settings import Settings, load
from tests import samples
from tests.fakes_trail import Watcher, log_key


def settings_of(config: Path) -> Settings:
    settings, _ = load(config, environment={}, check_files=False)
    return settings


def write_log_key(config: Path, number: int = 1) -> str:
    """The configured key file, and its vkey."""
    audit = settings_of(config).audit
    audit.signing_key_file.parent.mkdir(parents=True, exist_ok=True)
    audit.signing_key_file.write_bytes(log_key(number).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    audit.signing_key_file.chmod(0o600)
    return str(log_signers(audit.origin, [audit.signing_key_file])[0].verifier)


def publish(config: Path, count: int = 0) -> Path:
    """Append `count` records, and publish the log as the gateway would; its folder."""
    return asyncio.run(_publish(settings_of(config), count))


async def _publish(settings: Settings, count: int) -> Path:
    audit = settings.audit
    async with open_audit_log(
        audit.url,
        name=audit.origin,
        origin=samples.ORIGIN,
        sealer=AesGcmSealer(settings.secrets.storage_key_file),
        queue_max=1_000,
        batch_max=64,
    ) as log:
        if count:
            await log.append([samples.record() for _ in range(count)])
        store = TileDirectory(audit.publish.dir)
        watcher = Watcher()
        publisher = Publisher(
            reader=log,
            store=store,
            log=log,
            signers=log_signers(audit.origin, [audit.signing_key_file]),
            cosigners=Nobody(),
            clock=SystemClock(),
            interval_seconds=1,
            observer=watcher,
        )
        try:
            await publisher.start()
        finally:
            store.unlock()
        if watcher.errors:
            raise watcher.errors[0]
    return audit.publish.dir
