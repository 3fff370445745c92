"""The right edge of the tree in tiles: what growing needs, and which tiles a growth fills. Pure.

With `tiles` it makes every hash tile of a log from its leaf hashes, in constant memory.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from gateway.audit.tiles import HEIGHT, WIDTH, Tile, tile_root
from gateway.audit.tree import HASH_BYTES, range_root
from gateway.core import merkle

_TILE_BYTES = WIDTH * HASH_BYTES

TileFile = tuple[Tile, bytes]


@dataclass(frozen=True, slots=True)
class Edge:
    """`hashes`: for each level of tiles from 0, the hashes of its incomplete tile, back to back.

    Raises ValueError when they are not what a tree of `size` leaves has.
    """

    size: int = 0
    hashes: tuple[bytes, ...] = ()

    def __post_init__(self) -> None:
        widths = [len(part) // HASH_BYTES for part in self.hashes]
        if any(len(part) % HASH_BYTES for part in self.hashes) or widths != _widths(self.size):
            raise ValueError("the edge does not fit the size of the tree")

    def extended(self, leaf_hashes: Sequence[bytes]) -> tuple[Edge, list[TileFile]]:
        """The edge behind these leaves, and the tiles that became full, lowest level first."""
        full: list[TileFile] = []
        hashes = list(self.hashes)
        level, added = 0, b"".join(leaf_hashes)
        while added:
            if level == len(hashes):
                hashes.append(b"")
            data = hashes[level] + added
            number = (self.size >> HEIGHT * level) // WIDTH
            roots = []
            for start in range(0, len(data) - _TILE_BYTES + 1, _TILE_BYTES):
                tile = data[start : start + _TILE_BYTES]
                full.append((Tile(level=level, number=number), tile))
                roots.append(tile_root(tile))
                number += 1
            hashes[level] = data[len(roots) * _TILE_BYTES :]
            level, added = level + 1, b"".join(roots)
        return Edge(self.size + len(leaf_hashes), tuple(hashes)), full

    def partial(self) -> list[TileFile]:
        """The incomplete tiles. An empty one does not exist."""
        return [
            (Tile(level=level, number=(self.size >> HEIGHT * level) // WIDTH, width=len(part) // HASH_BYTES), part)
            for level, part in enumerate(self.hashes)
            if part
        ]

    def root(self) -> bytes:
        """Of the tree of `size` leaves; of an empty one, SHA-256 of nothing (RFC 6962 §2.1)."""
        return range_root(0, self.size, self._node) if self.size else merkle.root(())

    def _node(self, level: int, place: int) -> bytes:
        """Of the complete subtrees that the tree ends in: each lies in the incomplete tile of its level."""
        tile_level, inside = divmod(level, HEIGHT)
        first = (place << inside) % WIDTH
        part = self.hashes[tile_level]
        return tile_root(part[first * HASH_BYTES : (first + (1 << inside)) * HASH_BYTES])


def edge_at(size: int, read: Callable[[Tile], bytes]) -> Edge:
    """The edge of a tree of `size` leaves, from its incomplete tiles. Raises ValueError when they do not fit."""
    hashes = []
    for level, width in enumerate(_widths(size)):
        tile = Tile(level=level, number=(size >> HEIGHT * level) // WIDTH, width=width)
        hashes.append(read(tile) if width else b"")
    return Edge(size, tuple(hashes))


def _widths(size: int) -> list[int]:
    """Of the incomplete tile of each level; 0 where the last tile is full."""
    widths = []
    while size:
        widths.append(size % WIDTH)
        size >>= HEIGHT
    return widths
