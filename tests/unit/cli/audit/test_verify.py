"""`audit verify` as a regulator uses it: what is printed, and the exit code."""

from __future__ import annotations

import asyncio
import socket
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import orjson
import pytest

from gateway.audit.tiles import bundle
from gateway.cli.commands import run
from tests import case_bundles, published_log, samples
from tests.published_log import (
    ORIGIN,
    WITNESS,
    checkpoint,
    entries_of,
    entry,
    log_signer,
    published,
    witness_signer,
)

SIZE = 600
LOG = entries_of(SIZE)
VKEY = str(log_signer().verifier)
WITNESS_KEY = str(witness_signer().verifier)
Captured = pytest.CaptureFixture[str]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return published_log.write(published(LOG, witnesses=[witness_signer()]), tmp_path / "log")


def verify(*arguments: str | Path) -> int:
    return run(["audit", "verify", *map(str, arguments)])


def document(capsys: Captured) -> dict[str, Any]:
    found: dict[str, Any] = orjson.loads(capsys.readouterr().out)
    return found


def flip(file: Path, at: int) -> None:
    data = bytearray(file.read_bytes())
    data[at] ^= 1
    file.write_bytes(data)


def test_good_log_is_told_with_what_was_shown(folder: Path, capsys: Captured) -> None:
    kept = folder.parent / "kept"
    kept.write_text(checkpoint(LOG[:300]), "utf-8")
    assert verify(folder, "--key", VKEY, "--from", kept, "--witness", WITNESS_KEY) == 0
    out = capsys.readouterr().out
    assert f"log        {ORIGIN}\n" in out
    assert f"witness    {WITNESS} at 2027-01-15T08:00:00Z\n" in out
    assert "begins as  the checkpoint of 300 entries\n" in out
    assert out.endswith("verified   600 entries\n")


def test_json_says_the_same_to_programs(folder: Path, capsys: Captured) -> None:
    assert verify(folder, "--key", VKEY, "--json") == 0
    found = document(capsys)
    assert (found["verified"], found["size"], found["entries"], found["firstWrong"]) == (True, 600, 600, None)
    assert found["signedBy"] == [log_signer().verifier.key_id.hex()]


def test_flipped_bit_is_named_and_the_exit_code_is_1(folder: Path, capsys: Captured) -> None:
    flip(folder / "tile/entries/001", 2 + 3)
    assert verify(folder, "--key", VKEY) == 1
    captured = capsys.readouterr()
    assert captured.err.splitlines() == [
        "cdi-gateway: tile/entries/001: entry 256 is not the one whose hash is in tile/0/001",
        "cdi-gateway: NOT verified: the first wrong index is 256",
    ]
    assert "verified" not in captured.out


def test_range_is_told_where_the_index_cannot_be_exact(folder: Path, capsys: Captured) -> None:
    flip(folder / "tile/1/000.p/2", 40)
    assert verify(folder, "--key", VKEY) == 1
    assert "the first wrong index is from 256 to 511" in capsys.readouterr().err
    assert verify(folder, "--key", VKEY, "--json") == 1
    assert document(capsys)["firstWrong"] == {"from": 256, "to": 511}


def test_many_faults_are_told_by_some_and_their_number(folder: Path, capsys: Captured) -> None:
    changed = [entry(index, outcome="MATCH") for index in range(256)]
    (folder / "tile/entries/000").write_bytes(bundle(changed))
    assert verify(folder, "--key", VKEY) == 1
    assert "… and 246 more" in capsys.readouterr().err


def test_zip_of_the_folder_is_read(folder: Path, capsys: Captured) -> None:
    with ZipFile(folder.parent / "log.zip", "w") as archive:
        for file in folder.rglob("*"):
            archive.write(file, file.relative_to(folder.parent))
    assert verify(folder.parent / "log.zip", "--key", VKEY) == 0
    assert "verified   600 entries" in capsys.readouterr().out


@pytest.mark.parametrize("unzipped", [False, True])
def test_case_bundle_is_told_from_a_log(tmp_path: Path, capsys: Captured, unzipped: bool) -> None:
    async def exported() -> None:
        async with case_bundles.open_world(tmp_path) as world:
            await world.append([samples.record() for _ in range(5)])
            await world.publish(witnesses=[witness_signer()])
            await world.case("index:1..3")

    asyncio.run(exported())
    place = tmp_path / "case.zip"
    if unzipped:
        with ZipFile(place) as bundle:
            bundle.extractall(tmp_path / "case")
        place = tmp_path / "case"
    assert verify(place, "--key", VKEY, "--witness", WITNESS_KEY) == 0
    out = capsys.readouterr().out
    assert "checked by the bundle's own verify.py" in out
    assert out.endswith("verified   3 entries\n")
    assert verify(place, "--key", VKEY, "--from", place) == 2


def test_key_may_come_from_a_file(folder: Path) -> None:
    file = folder.parent / "log.vkey"
    file.write_text(f"{VKEY}\n", "utf-8")
    assert verify(folder, "--key", file) == 0


def test_missing_witness_fails_the_quorum(folder: Path, capsys: Captured) -> None:
    other = str(witness_signer(102, name="witness.example.com/w2").verifier)
    arguments = (folder, "--key", VKEY, "--witness", WITNESS_KEY, "--witness", other)
    assert verify(*arguments) == 1
    assert "cosignatures of 1 given witnesses, not of 2" in capsys.readouterr().err
    assert verify(*arguments, "--quorum", "1") == 0


def test_nothing_published_is_not_verified(tmp_path: Path, capsys: Captured) -> None:
    assert verify(tmp_path, "--key", VKEY) == 1
    assert "there is no published log here" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--key", "not-there"), "not-there: No such file"),
        (("--key", "a+b+c"), "--key a+b+c: malformed base64"),
        (("--key", WITNESS_KEY), "a witness's key, not the other kind"),
        (("--key", VKEY, "--witness", VKEY), "a log's key, not the other kind"),
        (("--key", VKEY, "--quorum", "1"), "name them with --witness"),
        (("--key", VKEY, "--from", "not-there"), "not-there: No such file"),
        (("--key", VKEY, "--timestamp-ca", "not-there"), "not-there: No such file"),
        ((), "Missing option '--key'"),
    ],
)
def test_wrong_usage_is_said_with_exit_code_2(
    folder: Path, capsys: Captured, arguments: tuple[str, ...], message: str
) -> None:
    assert verify(folder, *arguments) == 2
    assert message in capsys.readouterr().err


@pytest.mark.parametrize("where", ["not-there", "ftp://localhost/", "https://"])
def test_place_that_is_none_is_said_with_exit_code_2(where: str, capsys: Captured) -> None:
    assert verify(where, "--key", VKEY) == 2
    assert where in capsys.readouterr().err


def test_file_that_holds_no_certificates_is_refused(folder: Path, capsys: Captured) -> None:
    assert verify(folder, "--key", VKEY, "--timestamp-ca", folder / "checkpoint") == 2
    assert "holds no PEM certificates" in capsys.readouterr().err


def test_damaged_archive_is_said_in_one_line(folder: Path, capsys: Captured) -> None:
    (folder.parent / "log.zip").write_bytes(b"no archive")
    assert verify(folder.parent / "log.zip", "--key", VKEY) == 1
    assert capsys.readouterr().err == "cdi-gateway: log.zip is no zip archive\n"


def test_address_that_does_not_answer_is_said_in_one_line(capsys: Captured) -> None:
    with socket.create_server(("localhost", 0)) as taken:
        port = taken.getsockname()[1]
    assert verify(f"http://localhost:{port}/log", "--key", VKEY) == 1
    assert capsys.readouterr().err == "cdi-gateway: localhost does not answer for checkpoint\n"
