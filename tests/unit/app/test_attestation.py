"""What is configured is asked, what is not is not, and what cannot be used is refused at the start."""

from __future__ import annotations

import io
from pathlib import Path

import pytest

from adapters.sandbox.credentials import Credentials, witness_verifier_key
from adapters.sandbox.timestamp_server import PATH
from adapters.tiles.directory import TileDirectory
from gateway.app.attestation import open_attestation, trusting
from gateway.audit import note
from gateway.audit.note import NoteInvalid
from gateway.observe.logs import configure
from gateway.observe.metrics import Metrics
from gateway.ports import LogReader
from gateway.settings import Audit, Witness, Witnesses
from gateway.settings.audit import Timestamps
from gateway.tls import TlsMaterialError
from tests.fakes import FakeClock
from tests.fakes_attestation import GrowingLog
from tests.fakes_sandbox import CLOCK


class NoEntries:
    """`ports.LogReader` that nobody reads."""


class Opened:
    def __init__(
        self, folder: Path, *, witnesses: Witnesses | None = None, timestamps: Timestamps | None = None
    ) -> None:
        self.clock = FakeClock()
        self.metrics = Metrics(version="0")
        self.settings = Audit(
            origin="gateway.example/log",
            signing_key_file=folder / "unused",
            witnesses=witnesses or Witnesses(),
            timestamps=timestamps,
        )
        reader: LogReader = NoEntries()  # type: ignore[assignment]
        self.context = open_attestation(
            self.settings,
            reader,
            TileDirectory(folder / "log"),
            clock=self.clock,
            metrics=self.metrics,
            log=configure("info", io.BytesIO()),
        )

    def lag(self, name: str) -> float | None:
        return self.metrics.registry.get_sample_value(f"cdi_audit_{name}_lag_seconds")


def witness(folder: Path, **changes: object) -> Witness:
    Credentials(folder, now=int(CLOCK.now()))
    given = {"vkey": witness_verifier_key(folder), "url": "https://localhost:1", "ca_file": folder / "pki/ca.pem"}
    return Witness.model_validate(given | changes)


def timestamps(folder: Path, **changes: object) -> Timestamps:
    Credentials(folder, now=int(CLOCK.now()))
    given = {"url": f"http://localhost:1{PATH}", "ca_file": folder / "pki/timestamps-ca.pem"}
    return Timestamps.model_validate(given | changes)


async def test_nothing_configured_asks_nobody_and_is_always_within_its_limits(tmp_path: Path) -> None:
    opened, log = Opened(tmp_path), GrowingLog(1)
    async with opened.context as attestation:
        assert await attestation.cosigners.cosign(log.note(), log.head(), log.node) == ()
        assert not attestation.cosigners.incomplete()
        assert (attestation.followers, attestation.limits) == ((), ())


async def test_a_witness_that_is_away_passes_the_limit_and_shows_as_a_metric(tmp_path: Path) -> None:
    witnesses = Witnesses(witnesses=(witness(tmp_path),), quorum=1, refuse_after_seconds=60)
    opened, log = Opened(tmp_path, witnesses=witnesses), GrowingLog(1)
    async with opened.context as attestation:
        (within,) = attestation.limits
        assert list(await attestation.cosigners.cosign(log.note(), log.head(), log.node)) == []
        opened.clock.advance(60)
        assert within()
        opened.clock.advance(1)
        assert not within()
        assert opened.lag("witnessed") == 61


async def test_time_stamps_have_a_follower_and_a_limit(tmp_path: Path) -> None:
    opened = Opened(tmp_path, timestamps=timestamps(tmp_path, refuse_after_seconds=7_200))
    async with opened.context as attestation:
        assert len(attestation.followers) == len(attestation.limits) == 1
        assert attestation.limits[0]()
        assert opened.lag("timestamped") == 0


async def test_what_cannot_be_used_is_refused(tmp_path: Path) -> None:
    empty = tmp_path / "empty.pem"
    empty.write_bytes(b"canary")
    with pytest.raises(TlsMaterialError, match="no usable PEM certificate"):
        async with Opened(tmp_path, witnesses=Witnesses(witnesses=(witness(tmp_path, ca_file=empty),))).context:
            pytest.fail("opened")
    with pytest.raises(ValueError, match="no PEM certificate"):
        async with Opened(tmp_path, timestamps=timestamps(tmp_path, ca_file=empty)).context:
            pytest.fail("opened")
    log_key = note.NoteSigner("witness.example", GrowingLog().key).verifier
    with pytest.raises(NoteInvalid, match="cosignature/v1"):
        async with Opened(tmp_path, witnesses=Witnesses(witnesses=(witness(tmp_path, vkey=str(log_key)),))).context:
            pytest.fail("opened")


def test_a_bundle_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(TlsMaterialError, match="missing"):
        trusting(tmp_path / "missing.pem")
    assert trusting(None).check_hostname
