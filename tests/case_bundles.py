"""Exports on a real log, index and published folder; case bundles taken apart, and checked by their own verifier."""

from __future__ import annotations

import contextlib
import hashlib
import io
import subprocess
import sys
import zipfile
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC
from functools import partial
from pathlib import Path
from typing import Any

from adapters.casefile.archive import ZipArchive
from adapters.casefile.draft import Draft
from adapters.casefile.enclosed import enclosed
from adapters.casefile.overview import Overview
from adapters.sql import migrations
from adapters.sql.audit import SqlAuditLog, open_audit_log
from adapters.sql.search_index import SqlSearchIndex, open_search_index
from adapters.tiles.directory import TileDirectory
from gateway.audit import published as names
from gateway.audit.case import case_name
from gateway.audit.note import NoteSigner
from gateway.audit.query import Query, parse
from gateway.audit.record import Record
from gateway.compliance.case_file import CaseFile, Keeper
from gateway.compliance.exporting import Exported, Exporting
from gateway.compliance.operator import Operator
from gateway.core.pseudonym import pseudonym
from gateway.followers.indexer import Indexer
from tests import published_log, samples
from tests.audit_parts import Failures
from tests.fakes import FakeClock, FakeSealer
from tests.published_log import ORIGIN, log_signer, witness_signer

OPERATOR = Operator(name="officer-1", participant="HKGATEWAY01")
VKEY = str(log_signer().verifier)
WITNESS_VKEY = str(witness_signer().verifier)
VERIFIER = Path(__file__).parents[1] / "adapters/casefile/verify.py"

SHA256 = bytes.fromhex("608648016503040201")
SIGNED_DATA, TST_INFO = bytes.fromhex("2a864886f70d010702"), bytes.fromhex("2a864886f70d0109100104")


@dataclass
class World:
    """One deployment's log, and what is beside it."""

    folder: Path
    log: SqlAuditLog
    index: SqlSearchIndex
    indexer: Indexer
    clock: FakeClock = field(default_factory=FakeClock)

    keyed = staticmethod(partial(pseudonym, b"p" * 32))

    @property
    def files(self) -> TileDirectory:
        return TileDirectory(self.folder / "published")

    async def append(self, records: Sequence[Record]) -> None:
        await self.log.append(records)

    async def publish(self, *, witnesses: Sequence[NoteSigner] = (), stamped: bool = False) -> None:
        """What is in the log by now; `stamped`: with a time-stamp, which nobody signed."""
        entries = [stored.entry or b"" async for stored in self.log.read()]
        files = published_log.published(entries, witnesses=witnesses)
        if stamped:
            note = files["checkpoint"]
            files |= {names.stamped(len(entries)): note, names.token(len(entries)): timestamp_response(note)}
        published_log.write(files, self.folder / "published")

    def query(self, text: str) -> Query:
        return parse(text, now=self.clock.now(), zone=UTC, keyed=self.keyed)

    def exporting(self, **changes: Any) -> Exporting:
        values: dict[str, Any] = {"log": self.log, "index": self.index, "indexer": self.indexer}
        values |= {"keyed": self.keyed, "clock": self.clock, "operator": OPERATOR}
        return Exporting(**(values | changes))

    def case_file(self, archive: ZipArchive, overview: Overview, *, whole: bool = False, **changes: Any) -> CaseFile:
        values: dict[str, Any] = {"store": self.files, "log": self.log, "clock": self.clock, "keeper": keeper()}
        return CaseFile(archive, overview, whole=whole, **(values | changes))

    async def case(self, text: str = "", *, whole: bool = False, name: str = "case.zip", **changes: Any) -> Exported:
        """A case bundle in `folder`."""
        with Draft(self.folder / name) as draft, ZipArchive(draft.file) as archive, Overview() as overview:
            file = self.case_file(archive, overview, whole=whole, **changes)
            return await self.exporting().export(self.query(text), file, draft)


def keeper(**changes: Any) -> Keeper:
    values: dict[str, Any] = {
        "log_signers": [log_signer()],
        "case_signers": [log_signer(name=case_name(ORIGIN))],
        "witnesses": [WITNESS_VKEY],
        "enclosed": enclosed(),
        "operator": OPERATOR.name,
        "participant": OPERATOR.participant,
        "software": "cdi-dvp-gateway/0",
    }
    return Keeper(**(values | changes))


@contextlib.asynccontextmanager
async def open_world(folder: Path) -> AsyncIterator[World]:
    url, index_url = f"sqlite:///{folder / 'audit.db'}", f"sqlite:///{folder / 'index.db'}"
    migrations.upgrade(url, "audit")
    migrations.upgrade(index_url, "index")
    clock = FakeClock()
    opened = open_audit_log(
        url, name=ORIGIN, origin=samples.ORIGIN, sealer=FakeSealer(), queue_max=10_000, batch_max=512
    )
    async with opened as log, open_search_index(index_url) as index:
        keyed = World.keyed
        indexer = Indexer(log=log, keys=log, index=index, keyed=keyed, clock=clock, observer=Failures())
        yield World(folder=folder, log=log, index=index, indexer=indexer, clock=clock)


def unzipped(file: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(file) as bundle:
        return {name: bundle.read(name) for name in bundle.namelist()}


def zipped(files: dict[str, bytes]) -> bytes:
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as bundle:
        for name, content in files.items():
            bundle.writestr(name, content)
    return data.getvalue()


def verify(bundle: Path, *arguments: str, script: Path = VERIFIER, python: str = sys.executable) -> tuple[int, str]:
    """The verifier as an outsider runs it: alone, isolated, in an empty environment. Exit code and what it said."""
    done = subprocess.run(
        [python, "-I", "-S", str(script), *arguments, str(bundle)],
        cwd=bundle.parent,
        env={},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.stderr == ""
    return done.returncode, done.stdout


def timestamp_response(data: bytes, *, algorithm: bytes = SHA256, status: int = 0) -> bytes:
    """As much of an RFC 3161 TimeStampResp as says what was stamped, and when. Nobody signed it."""
    imprint = der(0x30, der(0x30, der(6, algorithm)), der(4, hashlib.sha256(data).digest()))
    info = der(0x30, der(2, b"\x01"), der(6, b"\x2a\x03"), imprint, der(2, b"\x05"), der(0x18, b"20270115080000Z"))
    content = der(0x30, der(6, TST_INFO), der(0xA0, der(4, info)))
    signed = der(0x30, der(2, b"\x03"), der(0x31), content, der(0x31))
    return der(0x30, der(0x30, der(2, bytes([status]))), der(0x30, der(6, SIGNED_DATA), der(0xA0, signed)))


def der(tag: int, *parts: bytes) -> bytes:
    value = b"".join(parts)
    if len(value) < 0x80:
        return bytes([tag, len(value)]) + value
    length = len(value).to_bytes((len(value).bit_length() + 7) // 8, "big")
    return bytes([tag, 0x80 | len(length)]) + length + value
