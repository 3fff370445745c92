"""A place to start the gateway from: real keys, certificates and files; and a log that can be waited on."""

from __future__ import annotations

import asyncio
import io
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
import yaml

import schemas
from adapters.clock import SystemClock
from adapters.sandbox.addresses import Ports
from adapters.sandbox.configuration import Plan, write_configuration
from adapters.sandbox.credentials import Credentials
from adapters.sql import migrations
from gateway.app.identities import published_codes
from gateway.observe.logs import Log, configure
from gateway.settings import Participants, Settings, load
from gateway.tls import client_context

ENOUGH = 30.0  # seconds, for what must happen; a test that gets there has failed


class Events(io.RawIOBase):
    """The log's stream: what was written, and the next event of a name as soon as it is."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[dict[str, Any]] = []
        self._came = asyncio.Event()

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        self.lines += [orjson.loads(line) for line in bytes(data).splitlines()]
        self._came.set()
        return len(bytes(data))

    async def next(self, name: str, *, beyond: int = 0) -> dict[str, Any]:
        """The first event of this name behind the first `beyond` ones of it."""
        async with asyncio.timeout(ENOUGH):
            while len(found := [line for line in self.lines if line["event"] == name]) <= beyond:
                self._came.clear()
                await self._came.wait()
        return found[beyond]


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """The folder of a configured gateway with empty, migrated databases."""

    folder: Path
    credentials: Credentials

    @property
    def config(self) -> Path:
        return self.folder / "gateway.yaml"

    @property
    def participants_file(self) -> Path:
        return self.folder / "participants.yaml"

    def loaded(self) -> tuple[Settings, Participants]:
        return load(self.config, codes=published_codes(), environment={})

    def participants(self) -> dict[str, Any]:
        found: dict[str, Any] = yaml.safe_load(self.participants_file.read_bytes())
        return found

    def keep(self, *identities: str) -> None:
        """Leaves these participants and strikes the others."""
        left = [item for item in self.participants()["participants"] if item["id"] in identities]
        self.participants_file.write_text(yaml.safe_dump({"participants": left}))

    def client(self, label: str) -> ssl.SSLContext:
        return client_context(
            ca_file=self.folder / "pki/ca.pem",
            certificate_file=self.folder / f"clients/{label}/cert.pem",
            key_file=self.folder / f"clients/{label}/key.pem",
        )


def make_place(folder: Path, changes: Mapping[str, Any] | None = None, *, migrated: bool = True) -> Place:
    """`changes` are laid over gateway.yaml."""
    credentials = Credentials(folder, now=int(SystemClock().now()))
    # Ports that nobody else has.
    settings: dict[str, Any] = {"limits": {"shutdown_seconds": 5}} | dict(changes or {})
    plan = Plan(ports=Ports.from_base(0), schemas=schemas.load(), block_seconds=None, settings=settings)
    write_configuration(folder, plan, credentials)
    place = Place(folder=folder, credentials=credentials)
    if migrated:
        settings_read, _ = place.loaded()
        migrations.upgrade(settings_read.store.url, "store")
        migrations.upgrade(settings_read.audit.url, "audit")
        migrations.upgrade(settings_read.audit.index_url, "index")
    return place


def log_to(events: Events) -> Log:
    return configure("info", events)  # type: ignore[arg-type]  # a raw stream is all that is written to
