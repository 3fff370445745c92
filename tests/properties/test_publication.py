"""Any sequence of appends, failures and restarts gives the folder of one rebuild, and misses no partial tile."""

from __future__ import annotations

import asyncio
import tempfile
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from adapters.tiles.directory import TileDirectory
from gateway.audit import note
from gateway.audit.tiles import tiles_of
from gateway.followers.rebuilding import rebuild
from tests.fakes_trail import BreakingDirectory, MemoryLog, files_of, publisher, signer

_STEPS = st.lists(
    st.tuples(
        st.one_of(st.integers(0, 3), st.integers(250, 260), st.integers(0, 1_500)),
        st.sampled_from(["publish", "publish", "publish", "fail-0", "fail-1", "restart"]),
    ),
    min_size=1,
    max_size=8,
)


@settings(max_examples=60, deadline=None)
@given(steps=_STEPS)
def test_every_file_is_that_of_a_rebuild(steps: list[tuple[int, str]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(_check(steps, Path(folder)))


async def _check(steps: list[tuple[int, str]], folder: Path) -> None:
    log, store = MemoryLog(1), BreakingDirectory(folder / "log")
    one, watcher = publisher(log, store)
    await one.start()
    for count, then in steps:
        log.grow(count)
        store.writes_left = int(then[-1]) if then.startswith("fail") else None
        if then == "restart":
            store.unlock()
            one, _ = publisher(log, store)
            await one.start()
        else:
            await one.attempt()
        await _check_published(folder / "log")
    store.writes_left = None
    await one.attempt()
    data = (folder / "log" / "checkpoint").read_bytes()
    await rebuild(log, TileDirectory(folder / "copy"), signed=log.signed(), note=data, progress=lambda done, of: None)
    copy, found = files_of(folder / "copy"), files_of(folder / "log")
    assert {path: found.get(path) for path in copy} == copy
    assert all(".p/" in path for path in found.keys() - copy.keys())
    assert watcher.sizes == sorted(set(watcher.sizes))


async def _check_published(folder: Path) -> None:
    """The newest checkpoint verifies, and every file of its tree is there: full, or partial as it was published."""
    found = files_of(folder)
    head = note.open_checkpoint(found["checkpoint"], origin=None, keys=[signer().verifier])
    assert {tile.path for tile in tiles_of(head.size)} <= found.keys()
