"""A real authority: OpenSSL's `ts` behind the sandbox's HTTP, and its certificates."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from adapters.timestamps.client import HttpTimestampAuthority, read_roots
from gateway.ports import Clock
from tests.fakes_sandbox import CLOCK, Site


@dataclass(frozen=True, slots=True, kw_only=True)
class Stamping:
    site: Site
    url: str
    openssl: Path

    @property
    def ca_file(self) -> Path:
        return self.site.folder / "pki/timestamps-ca.pem"

    def client(self, *, url: str = "", ca_file: Path | None = None, clock: Clock = CLOCK) -> HttpTimestampAuthority:
        return HttpTimestampAuthority(
            url or self.url,
            roots=read_roots((ca_file or self.ca_file).read_bytes()),
            ssl_context=ssl.create_default_context(),
            timeout_seconds=10,
            clock=clock,
        )


@pytest.fixture
async def stamping(tmp_path: Path, require_tool: Callable[..., Path]) -> AsyncIterator[Stamping]:
    openssl = require_tool("openssl")
    site = Site(tmp_path / "site")
    async with site.timestamps() as url:
        yield Stamping(site=site, url=url, openssl=openssl)
