"""The demo's look at the audit log: it must be able to fail."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from adapters.sql import migrations
from adapters.sql.audit import open_audit_log
from gateway.audit.note import NoteSigner
from gateway.audit.tiles import bundle
from gateway.cli import demo_log
from gateway.cli.story import Story
from tests import audit_parts, samples
from tests.fakes import FakeSealer

ORIGIN = "demo.example/audit"
VKEY = str(NoteSigner(ORIGIN, audit_parts.KEY).verifier)
ENTRIES = 300  # more than one bundle


@pytest.fixture
async def published(tmp_path: Path) -> Path:
    url = f"sqlite:///{tmp_path / 'audit.db'}"
    migrations.upgrade(url, "audit")
    async with (
        open_audit_log(
            url, name=ORIGIN, origin=samples.ORIGIN, sealer=FakeSealer(), queue_max=1_000, batch_max=64
        ) as log,
        audit_parts.publishing(log, tmp_path / "log", origin=ORIGIN),
    ):
        await log.append([samples.record() for _ in range(ENTRIES)])
    return tmp_path / "log"


def begun() -> Story:
    story = Story(quiet=True)
    story.begin("the log")
    return story


@pytest.mark.parametrize("index", [0, 255, 256, ENTRIES - 1])
async def test_log_verifies_and_a_flipped_bit_is_found_at_its_entry(published: Path, index: int) -> None:
    story = begun()
    demo_log.check_log(story, published, vkey=VKEY, index=index)
    assert story.ok
    texts = [check["text"] for check in story.body()["steps"][0]["checks"]]
    assert texts == [
        f"{ENTRIES} entries recomputed from their bytes: the log of {ENTRIES} entries verifies",
        f"refused: entry {index} is not what was signed",
    ]


async def test_log_that_does_not_verify_fails_the_step(published: Path) -> None:
    shutil.rmtree(published / "tile/0")
    story = begun()
    demo_log.check_log(story, published, vkey=VKEY, index=3)
    assert not story.ok


async def test_log_of_another_key_fails_the_step(published: Path) -> None:
    story = begun()
    other = str(NoteSigner(ORIGIN, Ed25519PrivateKey.generate()).verifier)
    demo_log.check_log(story, published, vkey=other, index=3)
    assert not story.ok


def test_receipt_that_is_none_fails_the_step() -> None:
    story = begun()
    assert demo_log.check_receipt(story, b"no proof", "no.receipt", vkey=VKEY, keys={}) == -1
    assert not story.ok


def test_forgery_hits_the_entry_and_not_its_length() -> None:
    data = bundle([b"first", b"", b"third entry"])
    assert data[demo_log.forgery_place(data, 0)] == ord("r")
    assert data[demo_log.forgery_place(data, 2)] == ord(" ")
