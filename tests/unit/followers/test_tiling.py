"""The same entries give the same files, in whatever steps; entries that contradict themselves give none."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from adapters.tiles.directory import TileDirectory
from gateway.audit.edge import Edge
from gateway.audit.tiles import tiles_of, unbundle
from gateway.errors import AuditUnavailable
from gateway.followers import tiling
from gateway.followers.tiling import EntriesDamaged, Tiler
from gateway.ports import StoredEntry
from tests.fakes_trail import BreakingDirectory, MemoryLog, files_of


async def tiled(log: MemoryLog, folder: Path, *sizes: int) -> Tiler:
    tiler = Tiler(log, TileDirectory(folder), edge=Edge(), tail=())
    for size in sizes:
        await tiler.advance(size, pruned=log.pruned, progress=lambda size: None)
        tiler.finish()
    return tiler


async def test_files_are_those_of_the_tree_with_its_entries(tmp_path: Path) -> None:
    log = MemoryLog(600)
    tiler = await tiled(log, tmp_path, 600)
    files = files_of(tmp_path)
    assert set(files) == {tile.path for tile in tiles_of(600)}
    entries = [unbundle(files[path]) for path in ("tile/entries/000", "tile/entries/001", "tile/entries/002.p/88")]
    assert [entry for bundle in entries for entry in bundle] == [stored.entry for stored in log.rows]
    assert tiler.edge.root() == log.signed().root


async def test_steps_leave_no_trace_but_earlier_partial_files(tmp_path: Path) -> None:
    log = MemoryLog(2_500)
    await tiled(log, tmp_path / "once", 2_500)
    await tiled(log, tmp_path / "steps", 1, 255, 256, 257, 1_500, 2_499, 2_500)
    once, steps = files_of(tmp_path / "once"), files_of(tmp_path / "steps")
    assert {path: steps[path] for path in once} == once
    assert all(".p/" in path for path in steps.keys() - once.keys())


async def test_pages_follow_one_another(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = MemoryLog(1_000)
    await tiled(log, tmp_path / "large", 1_000)
    monkeypatch.setattr(tiling, "PAGE_ENTRIES", 77)
    await tiled(log, tmp_path / "small", 1_000)
    assert files_of(tmp_path / "small") == files_of(tmp_path / "large")


async def test_pruned_entries_have_no_bundle_and_all_their_hashes(tmp_path: Path) -> None:
    log = MemoryLog(700)
    await tiled(log, tmp_path / "before", 700)
    log.prune(512)
    await tiled(log, tmp_path / "after", 700)
    before, after = files_of(tmp_path / "before"), files_of(tmp_path / "after")
    assert before.keys() - after.keys() == {"tile/entries/000", "tile/entries/001"}
    assert all(before[path] == data for path, data in after.items())


async def test_entries_that_are_pruned_meanwhile_are_no_damage(tmp_path: Path) -> None:
    log = MemoryLog(300)
    log.prune(256)
    tiler = Tiler(log, TileDirectory(tmp_path), edge=Edge(), tail=())
    await tiler.advance(300, pruned=0, progress=lambda size: None)  # as it was looked at before
    assert "tile/entries/000" not in files_of(tmp_path)


@pytest.mark.parametrize("damage", ["bytes", "hash", "gap", "missing", "emptied"])
async def test_entries_that_contradict_themselves_are_refused(tmp_path: Path, damage: str) -> None:
    log = MemoryLog(300)
    row = log.rows[100]
    changes: dict[str, Any] = {"bytes": {"entry": b"{}"}, "hash": {"leaf_hash": bytes(32)}, "emptied": {"entry": None}}
    if damage in changes:
        values = {"index": 100, "entry": row.entry, "leaf_hash": row.leaf_hash}
        log.rows[100] = StoredEntry(**(values | changes[damage]))
    elif damage == "gap":
        del log.rows[100]
    else:
        log.cut(200)
    with pytest.raises(EntriesDamaged):
        await tiled(log, tmp_path, 300)
    assert "tile/0/000" not in files_of(tmp_path) or damage == "missing"


async def test_a_step_that_failed_is_done_again(tmp_path: Path) -> None:
    log, store = MemoryLog(600), BreakingDirectory(tmp_path)
    tiler = Tiler(log, store, edge=Edge(), tail=())
    store.writes_left = 0
    with pytest.raises(AuditUnavailable):
        await tiler.advance(600, pruned=0, progress=lambda size: None)
    assert tiler.edge.size == 0
    store.writes_left = None
    await tiler.advance(600, pruned=0, progress=lambda size: None)
    assert tiler.edge.root() == log.signed().root


def test_a_tail_that_does_not_fit_is_a_mistake(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="do not fit"):
        Tiler(MemoryLog(), TileDirectory(tmp_path), edge=Edge(), tail=[b"{}"])


async def test_a_tree_whose_last_bundle_was_pruned_since_goes_on(tmp_path: Path) -> None:
    log = MemoryLog(300)
    log.prune(256)
    tiler = await tiled(log, tmp_path, 200, 300)
    assert {path for path in files_of(tmp_path) if "entries" in path} == {"tile/entries/001.p/44"}
    assert tiler.edge.root() == log.signed().root
