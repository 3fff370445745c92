"""The right edge makes the tiles and the root that the whole list of leaves would, in whatever steps it grew."""

from __future__ import annotations

import hashlib

import pytest

from gateway.audit.edge import Edge, edge_at
from gateway.audit.tiles import Tile, tiles_of
from gateway.audit.tree import Frontier
from gateway.core import merkle


def leaves(count: int) -> list[bytes]:
    return [hashlib.sha256(b"%d" % number).digest() for number in range(count)]


def expected(hashes: list[bytes], tile: Tile) -> bytes:
    """Straight from the definition in C2SP tlog-tiles."""
    step = 256**tile.level
    starts = [(tile.number * 256 + i) * step for i in range(tile.width)]
    return b"".join(merkle.root(hashes[start : start + step]) for start in starts)


@pytest.mark.parametrize("steps", [[1] * 300, [255, 1, 1], [256], [513], [70_000], [65_535, 1, 1, 300], [0, 7]])
def test_tiles_are_those_of_the_definition(steps: list[int]) -> None:
    hashes, edge = leaves(sum(steps)), Edge()
    files: dict[Tile, bytes] = {}
    for step in steps:
        edge, full = edge.extended(hashes[edge.size : edge.size + step])
        files.update(full)
    files.update(edge.partial())
    assert files == {tile: expected(hashes, tile) for tile in tiles_of(len(hashes)) if tile.level >= 0}


@pytest.mark.parametrize("size", [0, 1, 2, 3, 255, 256, 257, 511, 512, 65_535, 65_536, 65_537, 66_000])
def test_the_root_is_that_of_the_tree(size: int) -> None:
    hashes = leaves(size)
    frontier = Frontier()
    frontier.extend(hashes)
    assert Edge().extended(hashes)[0].root() == frontier.root()


def test_an_edge_that_grew_leaves_the_one_before_as_it_was() -> None:
    before, _ = Edge().extended(leaves(10))
    root = before.root()
    before.extended(leaves(300))
    assert (before.size, before.root()) == (10, root)


@pytest.mark.parametrize("size", [0, 1, 256, 300, 65_537, 66_000])
def test_an_edge_is_read_back_from_its_incomplete_tiles(size: int) -> None:
    edge, _ = Edge().extended(leaves(size))
    kept = dict(edge.partial())
    assert edge_at(size, kept.__getitem__).root() == edge.root()


def test_hashes_that_do_not_fit_the_size_are_refused() -> None:
    with pytest.raises(ValueError, match="fit"):
        Edge(2, (bytes(32),))
    with pytest.raises(ValueError, match="fit"):
        edge_at(2, lambda tile: bytes(31))
