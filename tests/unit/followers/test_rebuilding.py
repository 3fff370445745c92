"""A rebuild makes the same bytes again, signs nothing, and lets wrong entries overwrite nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from adapters.tiles.directory import TileDirectory
from gateway.audit.tiles import tiles_of
from gateway.followers.history import LogDiffers, LogRolledBack
from gateway.followers.rebuilding import rebuild
from tests.fakes_trail import MemoryLog, files_of, publisher


async def published(folder: Path) -> MemoryLog:
    log, store = MemoryLog(200), TileDirectory(folder)
    one, _ = publisher(log, store)
    await one.start()
    log.grow(500)
    await one.attempt()
    store.unlock()
    return log


async def build(log: MemoryLog, folder: Path, into: Path, *, copy: bool) -> int:
    signed, note = log.signed(700), (folder / "checkpoint").read_bytes()
    return await rebuild(
        log, TileDirectory(into), signed=signed, note=note if copy else None, progress=lambda done, of: None
    )


async def test_another_folder_gets_the_same_files_and_the_checkpoint(tmp_path: Path) -> None:
    log = await published(tmp_path / "log")
    log.grow(50)  # not published yet
    assert await build(log, tmp_path / "log", tmp_path / "copy", copy=True) == 700
    assert files_of(tmp_path / "copy") == files_of(tmp_path / "log")


async def test_the_folder_itself_is_repaired(tmp_path: Path) -> None:
    log = await published(tmp_path)
    before = files_of(tmp_path)
    (tmp_path / "tile/0/001").write_bytes(bytes(8_192))
    (tmp_path / "tile/entries/000").unlink()
    await build(log, tmp_path, tmp_path, copy=False)
    assert files_of(tmp_path) == before


async def test_without_a_checkpoint_the_whole_log_is_built(tmp_path: Path) -> None:
    log = MemoryLog(300)
    done: list[tuple[int, int]] = []
    size = await rebuild(log, TileDirectory(tmp_path), signed=None, note=None, progress=lambda *step: done.append(step))
    assert size == 300
    assert done[-1] == (300, 300)
    assert files_of(tmp_path).keys() == {tile.path for tile in tiles_of(300)}


async def test_wrong_entries_overwrite_nothing(tmp_path: Path) -> None:
    log = await published(tmp_path)
    before, note = files_of(tmp_path), log.signed(700)
    log.change(3, b"{}")
    with pytest.raises(LogDiffers):
        await rebuild(log, TileDirectory(tmp_path), signed=note, note=None, progress=lambda done, of: None)
    log.cut(600)
    with pytest.raises(LogRolledBack):
        await rebuild(log, TileDirectory(tmp_path), signed=note, note=None, progress=lambda done, of: None)
    assert files_of(tmp_path) == before
