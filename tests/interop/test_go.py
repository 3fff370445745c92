"""A published log is read and verified by code that we did not write: Go's golang.org/x/mod/sumdb."""

from __future__ import annotations

import os
import random
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from adapters.logreading.directory import DirectorySource
from gateway.audit.note import NoteSigner, VerifierKey
from gateway.audit.verifying import Earlier, Report, Trust, verify_log
from tests import audit_parts, published_log, samples
from tests.compliance_desk import open_log
from tests.published_log import checkpoint, entries_of, log_signer, published, witness_signer

GOPATH = Path("/usr/share/gocode")  # where Debian's golang-golang-x-mod-dev lies
SIZE = 2_000
KEY = log_signer().verifier

Go = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture(scope="module")
def go(require_tool: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory) -> Go:
    """`go(folder, *options, key=KEY)` runs the verifier, which is built once and offline."""
    compiler = require_tool("go")
    library = GOPATH / "src/golang.org/x/mod/sumdb/tlog"
    require_tool("golang-golang-x-mod-dev", library if library.is_dir() else None)
    binary, cache = tmp_path_factory.mktemp("go") / "verify", tmp_path_factory.mktemp("go-cache")
    offline = {"GO111MODULE": "off", "GOPATH": str(GOPATH), "GOFLAGS": "", "GOPROXY": "off", "GOTOOLCHAIN": "local"}
    subprocess.run(
        [compiler, "build", "-o", binary, Path(__file__).parent / "go/main.go"],
        check=True,
        env={"PATH": os.environ["PATH"], "HOME": str(cache), "GOCACHE": str(cache), "CGO_ENABLED": "0", **offline},
        timeout=110,
    )

    def verify(folder: Path, *options: str | Path, key: VerifierKey = KEY) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [binary, *options, folder, str(key)], capture_output=True, text=True, timeout=60, check=False
        )

    return verify


def ours(folder: Path, *earlier: Path) -> Report:
    trust = Trust(keys=(KEY,), witnesses=(witness_signer().verifier,), quorum=1)
    kept = [Earlier(name=file.name, data=file.read_bytes()) for file in earlier]
    return verify_log(DirectorySource(folder), trust, earlier=kept)


@pytest.mark.parametrize("size", [1, 2, 255, 256, 257, SIZE, 65_536 + 300])
def test_a_published_log_verifies_in_both(go: Go, tmp_path: Path, size: int) -> None:
    entries = entries_of(size)
    folder = published_log.write(published(entries, witnesses=[witness_signer()]), tmp_path / "log")
    (tmp_path / "older").write_text(checkpoint(entries[: (size + 1) // 2]), "utf-8")
    result = go(folder, "-from", tmp_path / "older")
    assert (result.returncode, result.stdout, result.stderr) == (0, f"verified {size} entries\n", "")
    assert ours(folder, tmp_path / "older").ok


async def test_a_log_by_its_real_writer_verifies_in_both_as_it_grows(go: Go, tmp_path: Path) -> None:
    folder, older, key = tmp_path / "published", [], NoteSigner("log.example", audit_parts.KEY).verifier
    async with (
        open_log(tmp_path) as log,
        audit_parts.publishing(log, folder, origin=key.name, interval_seconds=0.01) as publisher,
    ):
        for count in (1, 254, 1, 300):
            await log.append([samples.record() for _ in range(count)])
            assert await publisher.wait_covered((await log.head()).size - 1, timeout_seconds=30)
            older.append(tmp_path / f"checkpoint-{len(older)}")
            older[-1].write_bytes((folder / "checkpoint").read_bytes())
    result = go(folder, *(word for file in older for word in ("-from", file)), key=key)
    assert (result.returncode, result.stdout, result.stderr) == (0, "verified 556 entries\n", "")
    report = verify_log(
        DirectorySource(folder),
        Trust(keys=(key,)),
        earlier=[Earlier(name=file.name, data=file.read_bytes()) for file in older],
    )
    assert report.findings == []
    assert report.entries == 556


def test_a_log_that_began_otherwise_is_refused_by_both(go: Go, tmp_path: Path) -> None:
    entries = entries_of(SIZE)
    folder = published_log.write(published(entries, witnesses=[witness_signer()]), tmp_path / "log")
    others = [*entries[:700], published_log.entry(700, outcome="MATCH"), *entries[701:900]]
    for name, kept in (("agrees", entries[:600]), ("departs", others)):
        (tmp_path / name).write_text(checkpoint(kept), "utf-8")
    assert go(folder, "-from", tmp_path / "departs").returncode == 1
    assert ours(folder, tmp_path / "agrees", tmp_path / "departs").first_wrong == (600, 899)


def test_one_flipped_bit_in_any_file_is_refused_by_both(go: Go, tmp_path: Path) -> None:
    files = published(entries_of(SIZE), witnesses=[witness_signer()])
    folder = published_log.write(files, tmp_path / "log")
    bits = random.Random(SIZE)
    for path, data in files.items():
        at = bits.randrange(len(data) if path != "checkpoint" else data.index(b"witness.") - 8)
        damaged = bytearray(data)
        damaged[at] ^= 1 << bits.randrange(8)
        (folder / path).write_bytes(damaged)
        assert go(folder).returncode == 1, f"{path}, byte {at}"
        report = ours(folder)
        assert not report.ok
        assert report.first_wrong is not None or path == "checkpoint"
        (folder / path).write_bytes(data)
    assert go(folder).returncode == 0


def test_another_key_is_refused_by_both(go: Go, tmp_path: Path) -> None:
    folder = published_log.write(published(entries_of(3), signers=[log_signer(2)]), tmp_path / "log")
    assert go(folder).returncode == 1
    assert not ours(folder).ok
