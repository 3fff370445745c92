"""`audit export`: a file that holds what was asked for, on record; refused for what would replace or mislead."""

from __future__ import annotations

import asyncio
from pathlib import Path

import orjson
import pyarrow.parquet as pq
import pytest
import yaml
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from adapters.keys.file import AesGcmSealer
from adapters.keys.log_key import log_signers
from adapters.sql.audit import open_audit_log
from gateway.app.desk import user_name
from gateway.cli.commands import run
from tests import published_log, samples
from tests.case_bundles import verify
from tests.unit.cli.audit.conftest import Append, settings_of

APPROVER = Ed25519PrivateKey.from_private_bytes(b"\x09" * 32)


@pytest.fixture
def filled(config: Path, append: Append) -> Path:
    """The configuration of a log with four records, published."""
    key = settings_of(config).audit.signing_key_file
    key.parent.mkdir(parents=True, exist_ok=True)
    key.write_bytes(Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    key.chmod(0o600)
    append([samples.record(outcome=outcome) for outcome in ("MATCH", "MISMATCH", "MATCH", "MISMATCH")])
    publish(config)
    return config


def publish(config: Path) -> None:
    asyncio.run(_publish(config))


async def _publish(config: Path) -> None:
    settings = settings_of(config)
    opened = open_audit_log(
        settings.audit.url,
        name=settings.audit.origin,
        origin=samples.ORIGIN,
        sealer=AesGcmSealer(settings.secrets.storage_key_file),
        queue_max=10,
        batch_max=10,
    )
    async with opened as log:
        entries = [stored.entry or b"" async for stored in log.read()]
    signers = log_signers(settings.audit.origin, [settings.audit.signing_key_file])
    published_log.write(published_log.published(entries, signers=signers), settings.audit.publish.dir)


def vkey(config: Path) -> str:
    audit = settings_of(config).audit
    return str(log_signers(audit.origin, [audit.signing_key_file])[0].verifier)


def export(config: Path, *arguments: str, out: str = "out") -> int:
    return run(["audit", "export", "--config", str(config), "--out", str(config.parent / out), *arguments])


def test_a_case_bundle_verifies_with_the_logs_key(filled: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert export(filled, "outcome:MATCH", "index:..3", out="case.zip") == 0
    said = capsys.readouterr().out
    assert "2 records; searched: entries 0 to 3" in said
    assert "recorded as entry 4" in said
    code, report = verify(filled.parent / "case.zip", "--key", vkey(filled))
    assert (code, "2 record(s) are entries of the log" in report) == (0, True)


def test_a_complete_one_is_searched_again(filled: Path) -> None:
    assert export(filled, "-outcome:MATCH", "index:..3", "--complete", out="case.zip") == 0
    code, report = verify(filled.parent / "case.zip", "--key", vkey(filled))
    assert (code, "Complete: entries 0 to 3" in report) == (0, True)


@pytest.mark.parametrize("kind", ["csv", "jsonl", "parquet"])
def test_tables_hold_the_records(filled: Path, kind: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert export(filled, "outcome:MISMATCH", "--format", kind, "--json", out=f"out.{kind}") == 0
    said = orjson.loads(capsys.readouterr().out)
    assert (said["records"], said["format"], said["record"], said["end"]) == (2, kind, 4, 4)
    data = (filled.parent / f"out.{kind}").read_bytes()
    if kind == "parquet":
        assert pq.read_table(filled.parent / "out.parquet").column("index").to_pylist() == [1, 3]
    else:
        assert data.count(b"MISMATCH") == 2
        assert data.count(b"\n") == (3 if kind == "csv" else 2)


def test_csv_has_a_byte_order_mark_when_asked(filled: Path) -> None:
    assert export(filled, "--format", "csv", "--bom", out="out.csv") == 0
    assert (filled.parent / "out.csv").read_bytes().startswith(b"\xef\xbb\xbf")


def test_no_file_is_replaced(filled: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (filled.parent / "out").write_bytes(b"there")
    assert export(filled, "--format", "csv") == 2
    assert "is there already" in capsys.readouterr().err
    assert (filled.parent / "out").read_bytes() == b"there"


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--complete", "--format", "csv"], "--complete is for case bundles"),
        (["--bom"], "--bom is for"),
        (["nonsense"], "expected qualifier:value"),
        (["--format", "xlsx"], "xlsx"),
    ],
)
def test_what_cannot_be_meant_is_refused(
    filled: Path, arguments: list[str], says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert export(filled, *arguments) == 2
    assert says in capsys.readouterr().err
    assert not (filled.parent / "out").exists()


def test_what_no_checkpoint_covers_is_refused(
    filled: Path, append: Append, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.app.exports.COVERED_SECONDS", 0.0)
    append([samples.record()])
    assert export(filled, "index:4") == 1
    assert "the published checkpoint covers 4 of 5 entries" in capsys.readouterr().err
    assert not (filled.parent / "out").exists()


@pytest.fixture
def for_two(filled: Path) -> Path:
    folder = filled.parent
    (folder / "mei.pem").write_bytes(APPROVER.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    (folder / "mei.pem").chmod(0o600)
    public = APPROVER.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    (folder / "mei-public.pem").write_bytes(public)
    document = yaml.safe_load(filled.read_text())
    approvers = [{"name": "mei", "public_key_file": str(folder / "mei-public.pem")}]
    document["audit"]["second_person"] = {"actions": ["export"], "approvers": approvers}
    filled.write_text(yaml.safe_dump(document))
    return filled


def test_an_export_for_two_people_takes_two(for_two: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = for_two.parent
    asked = ["from:2020-01-01", "index:..3"]
    request, approval = str(folder / "request.json"), str(folder / "approval.jws")
    assert export(for_two, *asked, "--request-out", request) == 2
    said = capsys.readouterr()
    assert "a second person must approve this" in said.err
    assert "from:2020-01-01T00:00:00Z index:..3" in said.err
    assert not (folder / "out").exists()
    assert orjson.loads((folder / "request.json").read_bytes())["requester"] == user_name()

    key = str(folder / "mei.pem")
    assert run(["audit", "approve", request, "--key", key, "--name", "mei", "--out", approval, "--yes"]) == 0
    assert export(for_two, "index:..2", "--approval", approval) == 2  # something else
    assert export(for_two, *asked, "--approval", approval, "--format", "csv") == 2
    assert export(for_two, *asked, "--approval", approval) == 0
    capsys.readouterr()
    assert export(for_two, *asked, "--approval", approval, out="again") == 2
    assert "used before" in capsys.readouterr().err
    assert not (folder / "again").exists()
    assert run(["audit", "show", "4", "--config", str(for_two), "--json"]) == 0
    facts = orjson.loads(capsys.readouterr().out)
    assert "mei" in str(facts)


def test_a_failed_export_uses_no_approval_up(for_two: Path) -> None:
    folder = for_two.parent
    request, approval = str(folder / "request.json"), str(folder / "approval.jws")
    assert export(for_two, "index:..3", "--format", "csv", "--request-out", request) == 2
    key = str(folder / "mei.pem")
    assert run(["audit", "approve", request, "--key", key, "--name", "mei", "--out", approval, "--yes"]) == 0
    (folder / "out").write_bytes(b"there")
    assert export(for_two, "index:..3", "--format", "csv", "--approval", approval) == 2
    assert export(for_two, "index:..3", "--format", "csv", "--approval", approval, out="elsewhere") == 0
