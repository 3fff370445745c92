"""A pruned log, from its database to its verifier: bytes are gone everywhere, and everything else still verifies."""

from __future__ import annotations

from pathlib import Path

import pytest

from adapters.logreading.directory import DirectorySource
from gateway.audit import proof
from gateway.audit.note import NoteSigner
from gateway.audit.record import Record
from gateway.audit.verifying import Report, Trust, verify_log
from gateway.compliance import pruning
from gateway.core.merkle import leaf_hash
from tests.audit_parts import KEY, publishing
from tests.compliance_desk import OPERATOR, open_log
from tests.samples import NOW, unique

ORIGIN = "log.example"
VERIFIER = NoteSigner(ORIGIN, KEY).verifier
DAY = 86_400


def old(count: int, days: float) -> list[Record]:
    return [Record(record_id=unique("r"), time=NOW - days * DAY, type="service.started") for _ in range(count)]


def verified(folder: Path) -> Report:
    return verify_log(DirectorySource(folder), Trust(keys=(VERIFIER,)))


@pytest.fixture
def bundles(tmp_path: Path) -> Path:
    return tmp_path / "published" / "tile" / "entries"


async def test_pruned_bundles_leave_the_folder_and_the_rest_verifies(tmp_path: Path, bundles: Path) -> None:
    folder = tmp_path / "published"
    async with open_log(tmp_path) as log, publishing(log, folder, origin=ORIGIN, interval_seconds=0.01) as publisher:
        await log.append([*old(700, 400), *old(50, 0)])
        assert await publisher.wait_covered(749, timeout_seconds=30)
        made = await pruning.plan(
            log, log, published=publisher.covered(), now=NOW, days={"standard": 2_557, "operational": 366}
        )
        assert await pruning.prune(log, OPERATOR, made, now=NOW, approved=None) == 512
        assert await publisher.wait_covered(750, timeout_seconds=30)
        early, [kept] = await publisher.proof(100), await log.entries(100, 1)
    assert not (bundles / "000").exists()
    assert not (bundles / "001").exists()
    assert (bundles / "002.p").exists()
    report = verified(folder)
    assert report.ok, report.findings
    assert (report.size, report.pruned_below, report.entries) == (751, 512, 239)
    # What was pruned can still be proven by whoever kept its bytes.
    assert kept.entry is None
    assert early is not None
    proof.verify(proof.parse(early), kept.leaf_hash, origin=ORIGIN, keys=[VERIFIER])


async def test_a_bundle_that_is_missing_without_a_pruning_is_found(tmp_path: Path, bundles: Path) -> None:
    folder = tmp_path / "published"
    async with open_log(tmp_path) as log, publishing(log, folder, origin=ORIGIN, interval_seconds=0.01) as publisher:
        await log.append(old(300, 400))
        assert await publisher.wait_covered(299, timeout_seconds=30)
        [first] = await log.entries(0, 1)
    assert leaf_hash(first.entry or b"") == first.leaf_hash
    (bundles / "000").unlink()
    report = verified(folder)
    assert not report.ok
    assert report.first_wrong == (0, 255)
