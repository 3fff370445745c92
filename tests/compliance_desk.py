"""What the compliance flows act on, in tests: a real log in a file, with entries about two data owners."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from adapters.sql import migrations
from adapters.sql.audit import SqlAuditLog, open_audit_log
from gateway.audit.record import Record
from gateway.compliance.operator import Operator
from tests import samples
from tests.fakes import FakeSealer

OPERATOR = Operator(name="officer-1", participant="HKGATEWAY01")
OWNER, OTHER = "a" * 64, "b" * 64


class ForgetfulIndex:
    """As much of `ports.SearchIndex` as erasing needs."""

    def __init__(self) -> None:
        self.forgotten: list[str] = []

    async def forget_digests(self, subject: str) -> None:
        self.forgotten.append(subject)


@contextlib.asynccontextmanager
async def open_log(folder: Path, *, name: str = "log.example") -> AsyncIterator[SqlAuditLog]:
    """Opening it twice is as two processes do."""
    url = f"sqlite:///{folder / 'audit.db'}"
    migrations.upgrade(url, "audit")
    async with open_audit_log(
        url, name=name, origin=samples.ORIGIN, sealer=FakeSealer(), queue_max=10_000, batch_max=512
    ) as log:
        yield log


def about(subject: str, **changes: Any) -> Record:
    return samples.record(consent=samples.consent(subject=subject), **changes)
