"""kill -9 at every step of publication: outsiders see a whole tree at any time, and the next start makes all good."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from adapters.tiles.directory import TileDirectory
from gateway.audit import note
from gateway.audit.edge import Edge
from gateway.audit.tiles import Tile, tiles_of, unbundle
from gateway.core.merkle import leaf_hash
from tests.fakes_trail import files_of, publisher, signer
from tests.faults.publication_child import PRUNED, SIZES, log_of

EVERY = 5  # prime to the number of calls for one file, so that each kind of call has its turn
KILLS_MIN = 30


@pytest.fixture(scope="module")
def left(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """What each of the kills left behind."""
    folder = tmp_path_factory.mktemp("killed")
    child = [sys.executable, "-m", "tests.faults.publication_child", str(folder), str(EVERY)]
    done = subprocess.run(child, check=True, capture_output=True, text=True, timeout=100)
    undisturbed = done.stdout.strip()
    found = [one for one in folder.iterdir() if one.name != undisturbed]
    assert len(found) >= KILLS_MIN
    return sorted(found, key=lambda one: int(one.name))


def test_what_is_left_is_a_whole_tree(left: list[Path]) -> None:
    sizes = set()
    for folder in left:
        size = check_tree(files_of(folder))
        sizes.add(size)
    assert sizes >= set(SIZES[:-1])  # kills came before and after every checkpoint


async def test_the_next_start_makes_all_good(left: list[Path], tmp_path: Path) -> None:
    whole = log_of(SIZES[-1])
    undisturbed, _ = publisher(whole, TileDirectory(tmp_path))
    await undisturbed.start()
    expected = files_of(tmp_path)
    for folder in left:
        store = TileDirectory(folder)
        one, watcher = publisher(log_of(SIZES[-1]), store)
        await one.start()
        store.unlock()
        assert watcher.errors == []
        again, watcher = publisher(log_of(SIZES[-1]), store)  # clears away what the checkpoint made superfluous
        await again.start()
        store.unlock()
        found = files_of(folder)
        assert {path: found.get(path) for path in expected} == expected, folder.name
        # What is over are partial tiles of trees that were published, or nearly so.
        over = found.keys() - expected.keys()
        assert {path for path in over if ".p/" not in path or path.partition(".p/")[0] in found} == set(), folder.name


def check_tree(files: dict[str, bytes]) -> int:
    """As a reader of the folder would: the size of the tree, 0 when nothing was published yet."""
    if "checkpoint" not in files:
        return 0
    head = note.open_checkpoint(files["checkpoint"], origin=None, keys=[signer().verifier])
    leaves = b"".join(files[tile.path] for tile in tiles_of(head.size) if tile.level == 0)
    hashes = [leaves[start : start + 32] for start in range(0, len(leaves), 32)]
    edge, full = Edge().extended(hashes)
    assert edge.root() == head.root
    assert all(files[tile.path] == data for tile, data in [*full, *edge.partial()])
    for tile in tiles_of(head.size):
        if tile.level < 0:
            check_bundle(tile, files.get(tile.path), hashes, pruned=PRUNED if head.size == SIZES[-1] else 0)
    return head.size


def check_bundle(tile: Tile, data: bytes | None, hashes: list[bytes], *, pruned: int) -> None:
    first = tile.number * 256
    if data is None:
        assert first < pruned
        return
    assert [leaf_hash(entry) for entry in unbundle(data)] == hashes[first : first + tile.width]
