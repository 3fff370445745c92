"""`audit prune`: says how far and why no further; drops nothing by itself."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path

import orjson
import pytest
import yaml
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from adapters.clock import SystemClock
from gateway.app.desk import open_desk
from gateway.audit.note import Checkpoint, NoteSigner, signed
from gateway.audit.record import Record
from gateway.cli.commands import run
from gateway.compliance import approval
from gateway.ports import StoredEntry
from tests.samples import unique
from tests.two_people import approved, for_two_people
from tests.unit.cli.audit.conftest import Append, settings_of

KEY = Ed25519PrivateKey.from_private_bytes(b"\x0a" * 32)
DAY = 86_400


@pytest.fixture
def published(config: Path) -> None:
    """A key of the log, and a checkpoint by it that covers everything."""
    audit = settings_of(config).audit
    audit.signing_key_file.parent.mkdir(parents=True, exist_ok=True)
    audit.signing_key_file.write_bytes(KEY.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    audit.signing_key_file.chmod(0o600)
    write_checkpoint(config, KEY, 100_000)


def write_checkpoint(config: Path, key: Ed25519PrivateKey, size: int) -> None:
    audit = settings_of(config).audit
    text = Checkpoint(origin=audit.origin, size=size, root=b"\x01" * 32).text
    audit.publish.dir.mkdir(parents=True, exist_ok=True)
    (audit.publish.dir / "checkpoint").write_text(signed(text, [NoteSigner(audit.origin, key).line(text)]))


def old(count: int, days: float) -> list[Record]:
    now = SystemClock().now()
    return [Record(record_id=unique("r"), time=now - days * DAY, type="service.started") for _ in range(count)]


def prune(config: Path, *arguments: str) -> int:
    return run(["audit", "prune", "--config", str(config), "--yes", *arguments])


def entries(config: Path) -> Sequence[StoredEntry]:
    async def read() -> Sequence[StoredEntry]:
        async with open_desk(config) as desk:
            return await desk.audit.entries(0, 10_000)

    return asyncio.run(read())


@pytest.mark.usefixtures("published")
def test_a_dry_run_tells_and_drops_nothing(config: Path, append: Append, capsys: pytest.CaptureFixture[str]) -> None:
    append([*old(300, 400), *old(1, 0)])
    assert prune(config, "--dry-run") == 0
    out = capsys.readouterr().out
    assert "entries 0 to 255 go (256)" in out
    assert "entry 300 of " in out
    assert len(entries(config)) == 301
    assert all(stored.entry is not None for stored in entries(config))


@pytest.mark.usefixtures("published")
def test_old_bundles_go_with_a_record(config: Path, append: Append, capsys: pytest.CaptureFixture[str]) -> None:
    append([*old(300, 400), *old(1, 0)])
    assert prune(config, "--json") == 0
    told = orjson.loads(capsys.readouterr().out)
    assert (told["from"], told["below"], told["pruned"]) == (0, 256, 256)
    found = entries(config)
    assert [stored.index for stored in found if stored.entry is None] == list(range(256))
    act = orjson.loads(found[-1].entry or b"")
    assert (act["type"], act["facts"]["below"]) == ("audit.pruned", 256)
    assert prune(config) == 0
    assert "nothing to prune" in capsys.readouterr().out


@pytest.mark.usefixtures("published")
def test_a_hold_is_named_as_the_reason(config: Path, append: Append, capsys: pytest.CaptureFixture[str]) -> None:
    append([*old(600, 400), *old(1, 0)])
    assert run(["audit", "hold", "add", "CASE-1", "-c", str(config), "--reason", "LITIGATION", "--from", "300"]) == 0
    assert prune(config, "--dry-run") == 0
    out = capsys.readouterr().out
    assert "entries 0 to 255 go" in out
    assert "a legal hold keeps all from entry 300 on" in out


def test_what_was_never_published_stays(config: Path, append: Append, capsys: pytest.CaptureFixture[str]) -> None:
    append([*old(300, 400), *old(1, 0)])
    assert prune(config) == 0
    assert "no checkpoint covers entries from 0 on" in capsys.readouterr().out
    assert all(stored.entry is not None for stored in entries(config))


@pytest.mark.usefixtures("published")
def test_a_checkpoint_by_another_key_is_not_believed(
    config: Path, append: Append, capsys: pytest.CaptureFixture[str]
) -> None:
    append([*old(300, 400), *old(1, 0)])
    write_checkpoint(config, Ed25519PrivateKey.from_private_bytes(b"\x0b" * 32), 100_000)
    assert prune(config) == 2
    assert "no signature by a known key" in capsys.readouterr().err
    assert all(stored.entry is not None for stored in entries(config))


@pytest.mark.usefixtures("published")
def test_it_goes_no_further_than_it_is_told(config: Path, append: Append) -> None:
    append([*old(600, 400), *old(1, 0)])
    assert prune(config, "--below", "300") == 0
    assert sum(stored.entry is None for stored in entries(config)) == 256


@pytest.mark.usefixtures("published")
def test_two_people_prune_below_the_index_that_was_approved(
    config: Path, append: Append, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for_two_people(config, "prune")
    append([*old(300, 400), *old(1, 0)])
    request = tmp_path / "request.json"
    assert prune(config, "--request-out", str(request)) == 2
    asked = approval.parse_request(request.read_bytes())
    assert asked.what == {"log": settings_of(config).audit.origin, "below": 256}
    approval_file = approved(request)
    append(old(1, 0))
    capsys.readouterr()
    assert prune(config, "--below", "256", "--approval", str(approval_file)) == 0
    act = orjson.loads(entries(config)[-1].entry or b"")
    assert (act["facts"]["approver"], act["facts"]["below"]) == ("officer-2", 256)


@pytest.mark.usefixtures("published")
def test_what_a_siem_has_not_got_stays(config: Path, append: Append, capsys: pytest.CaptureFixture[str]) -> None:
    document = yaml.safe_load(config.read_bytes())
    document["audit"]["forward"] = [{"name": "soc", "url": "https://siem.example/in", "format": "ocsf"}]
    config.write_text(yaml.safe_dump(document))
    append([*old(300, 400), *old(1, 0)])
    assert prune(config) == 0
    assert "a SIEM target has not got the entries from 0 on" in capsys.readouterr().out
    assert all(stored.entry is not None for stored in entries(config))
