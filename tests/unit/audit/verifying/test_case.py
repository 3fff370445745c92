"""Case bundles as exports make them: they verify, and whatever is changed, removed or added is found."""

from __future__ import annotations

import asyncio
from pathlib import Path

import orjson
import pytest

from gateway.audit.verifying import Report, Trust, is_case, verify_case
from tests import case_bundles, samples
from tests.published_log import MemorySource, log_signer, witness_signer

Files = dict[str, bytes]
TRUST = Trust(keys=(log_signer().verifier,), witnesses=(witness_signer().verifier,), quorum=1)


async def _made(folder: Path) -> dict[str, Files]:
    async with case_bundles.open_world(folder) as world:
        await world.append([samples.record(outcome="MATCH" if index % 3 else "MISMATCH") for index in range(40)])
        await world.publish(stamped=True)
        await world.append([samples.record(outcome="MISMATCH") for _ in range(20)])
        await world.publish(witnesses=[witness_signer()])
        await world.case("outcome:MISMATCH index:5..50", name="stated.zip")
        await world.case("outcome:MISMATCH index:5..50", name="whole.zip", whole=True)
    return {name: case_bundles.unzipped(folder / f"{name}.zip") for name in ("stated", "whole")}


@pytest.fixture(scope="module")
def cases(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Files]:
    return asyncio.run(_made(tmp_path_factory.mktemp("cases")))


def verified(files: Files, trust: Trust = TRUST) -> Report:
    return verify_case(MemorySource(files), trust)


@pytest.mark.parametrize("kind", ["stated", "whole"])
def test_bundle_verifies(kind: str, cases: dict[str, Files]) -> None:
    report = verified(cases[kind])
    assert report.findings == []
    assert report.entries == len(orjson.loads(cases[kind]["manifest.json"])["records"]) > 10
    assert report.consistent_with == [40]
    assert [stamp.size for stamp in report.stamps] == [40]


def test_what_is_shown_of_the_range_depends_on_the_bundle(cases: dict[str, Files]) -> None:
    assert any("is stated, not shown" in remark for remark in verified(cases["stated"]).remarks)
    assert any("are all in the bundle" in remark for remark in verified(cases["whole"]).remarks)


def test_bundle_is_told_from_a_log(cases: dict[str, Files]) -> None:
    assert is_case(MemorySource(cases["stated"]))
    assert not is_case(MemorySource({"checkpoint": b""}))


@pytest.mark.parametrize("kind", ["stated", "whole"])
def test_every_removed_file_is_found(kind: str, cases: dict[str, Files]) -> None:
    for path in cases[kind]:
        report = verified({name: data for name, data in cases[kind].items() if name != path})
        assert not report.ok, path


@pytest.mark.parametrize("kind", ["stated", "whole"])
def test_every_changed_file_is_found_and_named(kind: str, cases: dict[str, Files]) -> None:
    for path, data in cases[kind].items():
        changed = bytearray(data)
        changed[len(data) // 2] ^= 1
        report = verified({**cases[kind], path: bytes(changed)})
        assert path in {finding.path for finding in report.findings} or path == "manifest.note", path


def test_added_file_is_found(cases: dict[str, Files]) -> None:
    assert [finding.path for finding in verified({**cases["stated"], "records/2.json": b"{}"}).findings] == [
        "records/2.json"
    ]


def test_record_under_another_index_is_found_at_it(cases: dict[str, Files]) -> None:
    files = dict(cases["stated"])
    first, second = orjson.loads(files["manifest.json"])["records"][:2]
    for folder, suffix in (("records", "json"), ("proofs", "tlog-proof")):
        files[f"{folder}/{first}.{suffix}"] = files[f"{folder}/{second}.{suffix}"]
    assert verified(files).first_wrong == (first, first)


def test_bundle_by_another_key_is_refused(cases: dict[str, Files]) -> None:
    report = verified(cases["stated"], Trust(keys=(log_signer(2).verifier,)))
    assert not report.ok
    assert report.entries == 0


def test_manifest_of_another_bundle_is_refused(cases: dict[str, Files]) -> None:
    report = verified({**cases["stated"], "manifest.json": cases["whole"]["manifest.json"]})
    assert [(finding.path, finding.text) for finding in report.findings] == [
        ("manifest.json", "is not the one that was signed")
    ]


@pytest.mark.parametrize("path", ["manifest.json", "range/entries", "proofs/6.tlog-proof", "timestamps/40.consistency"])
@pytest.mark.parametrize("data", [b"", b"\x00", b"not this", b"\xff" * 100])
def test_arbitrary_content_is_refused_without_a_breakdown(cases: dict[str, Files], path: str, data: bytes) -> None:
    assert path in cases["whole"]
    assert not verified({**cases["whole"], path: data}).ok
