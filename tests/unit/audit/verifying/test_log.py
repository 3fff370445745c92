"""A whole log, as it is and after everything that could be done to it: what is wrong is found, and where."""

from __future__ import annotations

import ast
from collections.abc import Sequence
from pathlib import Path

import pytest

import gateway.audit.verifying
from gateway.audit.tiles import bundle
from gateway.audit.verifying import Earlier, Report, Trust, verify_log
from tests.published_log import (
    MemorySource,
    bundle_path,
    checkpoint,
    entries_of,
    entry,
    log_signer,
    published,
    tile_path,
    witness_signer,
)

SIZE = 70_000
LOG = entries_of(SIZE)
FILES = published(LOG, witnesses=[witness_signer()])
TRUST = Trust(keys=(log_signer().verifier,), witnesses=(witness_signer().verifier,), quorum=1)


def verified(files: dict[str, bytes], kept: Sequence[tuple[str, Sequence[bytes]]] = ()) -> Report:
    earlier = [Earlier(name=name, data=checkpoint(entries).encode()) for name, entries in kept]
    return verify_log(MemorySource(files), TRUST, earlier=earlier)


def rewritten(index: int) -> dict[str, bytes]:
    """The files of a log in which one entry is another, all consistent with each other; the checkpoint is as it was."""
    entries = [*LOG[:index], entry(index, outcome="MATCH"), *LOG[index + 1 :]]
    return {**published(entries), "checkpoint": FILES["checkpoint"]}


@pytest.mark.parametrize("size", [0, 1, 2, 255, 256, 257, 512, 1_000, 65_536, SIZE])
def test_log_as_it_was_published_verifies(size: int) -> None:
    entries = LOG[:size]
    files = published(entries, witnesses=[witness_signer()])
    sizes = sorted({0, size // 3, size // 2, size & ~255, size})
    report = verified(files, [(str(kept), entries[:kept]) for kept in sizes])
    assert report.findings == []
    assert (report.size, report.entries, report.consistent_with, report.remarks) == (size, size, sizes, [])


def test_progress_ends_at_the_size() -> None:
    told: list[tuple[int, int]] = []
    verify_log(MemorySource(published(LOG[:600])), Trust(keys=TRUST.keys), progress=lambda *done: told.append(done))
    assert told == [(256, 600), (512, 600), (600, 600)]


@pytest.mark.parametrize("index", [0, 255, 256, 65_535, 65_536, SIZE - 1])
def test_changed_entry_is_named_exactly(index: int) -> None:
    path = bundle_path(index, SIZE)
    start = index // 256 * 256
    changed = [*LOG[start:index], entry(index, outcome="MATCH"), *LOG[index + 1 : min(SIZE, start + 256)]]
    report = verified({**FILES, path: bundle(changed)})
    assert report.first_wrong == (index, index)
    assert [finding.path for finding in report.findings] == [path]
    assert report.remarks == []


def test_changed_level_0_tile_is_told_from_a_changed_entry() -> None:
    path = tile_path(0, 300, SIZE)
    damaged = bytearray(FILES[path])
    damaged[(300 - 256) * 32] ^= 1
    report = verified({**FILES, path: bytes(damaged)})
    assert report.first_wrong == (300, 300)
    assert "every entry is as it was signed" in report.remarks[0]


@pytest.mark.parametrize(("level", "first", "last"), [(1, 256, 511), (2, 0, 65_535)])
def test_changed_upper_tile_is_named_with_the_entries_below_it(level: int, first: int, last: int) -> None:
    path = tile_path(level, 300, SIZE)
    damaged = bytearray(FILES[path])
    damaged[32 if level == 1 else 0] ^= 1
    report = verified({**FILES, path: bytes(damaged)})
    assert report.first_wrong == (first, last)
    assert [finding.path for finding in report.findings] == [path]
    assert "every entry is as it was signed" in report.remarks[0]


@pytest.mark.parametrize(("levels", "first", "last"), [((-1, 0), 768, 1_023), ((-1, 0, 1), 0, 65_535)])
def test_entry_changed_up_to_a_level_is_found_at_the_next(levels: tuple[int, ...], first: int, last: int) -> None:
    forged = rewritten(777)
    paths = [bundle_path(777, SIZE) if level < 0 else tile_path(level, 777, SIZE) for level in levels]
    report = verified({**FILES, **{path: forged[path] for path in paths}})
    assert report.first_wrong == (first, last)


def test_log_rewritten_whole_is_found_by_its_root_and_narrowed_by_kept_checkpoints() -> None:
    forged = rewritten(777)
    assert verified(forged).first_wrong == (0, SIZE - 1)
    kept = [("a", LOG[:500]), ("b", LOG[:700]), ("c", LOG[:900]), ("d", LOG[:60_000])]
    report = verified(forged, kept)
    assert report.first_wrong == (700, 899)
    assert report.consistent_with == [500, 700]


def test_log_signed_anew_is_found_by_a_kept_checkpoint() -> None:
    """Whoever holds the log's key can sign another history, and is found out by who kept a checkpoint."""
    entries = [*LOG[:777], entry(777, outcome="MATCH"), *LOG[778:1_000]]
    files = published(entries, witnesses=[witness_signer()])
    assert verified(files).ok
    report = verified(files, [("kept", LOG[:800]), ("older", LOG[:700])])
    assert report.first_wrong == (700, 799)
    assert [finding.path for finding in report.findings] == ["kept"]


def test_log_cut_back_and_signed_anew_is_found_by_a_kept_checkpoint() -> None:
    report = verified(published(LOG[:500], witnesses=[witness_signer()]), [("kept", LOG[:501])])
    assert report.first_wrong == (500, 500)


@pytest.mark.parametrize("path", ["tile/entries/001", "tile/0/001", "tile/1/000", "tile/2/000.p/1"])
def test_missing_file_is_named(path: str) -> None:
    report = verified({name: data for name, data in FILES.items() if name != path})
    assert [finding.path for finding in report.findings] == [path]
    assert report.first_wrong is not None


def test_missing_bundle_and_tile_leave_the_rest_to_be_checked() -> None:
    gone = {"tile/entries/001", "tile/0/001"}
    broken = {name: data for name, data in FILES.items() if name not in gone}
    path = bundle_path(900, SIZE)
    broken[path] = broken[path].replace(b"verification", b"Verification", 1)
    report = verified(broken)
    assert {finding.path for finding in report.findings} == {*gone, path}
    assert report.first_wrong == (256, 511)


@pytest.mark.parametrize("level", [-1, 0])
def test_exchanged_files_are_found_at_the_first_of_them(level: int) -> None:
    left, right = (bundle_path(at, SIZE) if level < 0 else tile_path(0, at, SIZE) for at in (300, 900))
    assert verified({**FILES, left: FILES[right], right: FILES[left]}).first_wrong == (256, 256)


def pruned(below: int, *, said: int | None, size: int = 1_500) -> dict[str, bytes]:
    entries = [*LOG[: size - 1], entry(size - 1, type="audit.pruned", facts={"below": said})] if said else LOG[:size]
    files = published(entries, witnesses=[witness_signer()])
    return {path: data for path, data in files.items() if not _bundle_below(path, below)}


def _bundle_below(path: str, below: int) -> bool:
    return path.startswith("tile/entries/") and int(path[13:16]) * 256 < below


def test_pruned_entries_are_taken_by_their_hashes_when_the_log_says_so() -> None:
    report = verified(pruned(512, said=512), [])
    assert report.ok
    assert (report.pruned_below, report.entries, report.size) == (512, 1_500 - 512, 1_500)


def test_files_that_pruning_has_not_reached_yet_are_no_fault() -> None:
    assert verified(pruned(256, said=512)).ok


def test_more_gone_than_was_pruned_is_a_fault() -> None:
    report = verified(pruned(768, said=512))
    assert report.first_wrong == (512, 767)


def test_entries_gone_without_a_record_are_a_fault() -> None:
    assert verified(pruned(512, said=None)).first_wrong == (0, 511)


def test_record_of_pruning_that_is_not_in_the_tree_allows_nothing() -> None:
    files = pruned(512, said=512)
    path = bundle_path(1_499, 1_500)
    honest = published(LOG[:1_500], witnesses=[witness_signer()])
    report = verified({**files, **{name: honest[name] for name in honest if name != path and "entries" not in name}})
    assert not report.ok


def test_changed_hash_of_a_pruned_entry_is_found() -> None:
    files = pruned(512, said=512)
    damaged = bytearray(files["tile/0/001"])
    damaged[0] ^= 1
    report = verified({**files, "tile/0/001": bytes(damaged)})
    assert report.first_wrong == (256, 511)


def test_nothing_is_believed_without_its_checkpoint() -> None:
    report = verified({path: data for path, data in FILES.items() if path != "checkpoint"})
    assert not report.ok
    assert report.origin is None


def test_verifier_shares_nothing_with_the_writer_but_hashing_and_notes() -> None:
    folder = Path(gateway.audit.verifying.__file__).parent
    found = {
        name
        for file in folder.glob("*.py")
        for node in ast.walk(ast.parse(file.read_text("utf-8")))
        if isinstance(node, ast.ImportFrom)
        for name in ([f"{node.module}.{alias.name}" for alias in node.names] if node.module else [])
        if name.startswith("gateway.") and not name.startswith("gateway.audit.verifying.")
    }
    assert found
    assert all(name.startswith(("gateway.audit.note", "gateway.core.merkle")) for name in found)
