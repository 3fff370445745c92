"""C2SP tlog-tiles: how hashes and entries are cut into files, and what those are called. Pure.

https://c2sp.org/tlog-tiles
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

from gateway.audit.tree import HASH_BYTES
from gateway.core.merkle import node_hash

WIDTH = 256  # hashes, or entries, in a full tile
HEIGHT = 8  # levels of the tree in one level of tiles
ENTRY_BYTES_MAX = 65_535  # its length is a uint16
CHECKPOINT = "checkpoint"
_REMEMBERED_MAX = 256  # tiles; 2 MiB


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Tile:
    """`level` -1 is an entry bundle. `width` 1 to 256; 256 is a full tile."""

    level: int
    number: int
    width: int = WIDTH

    @property
    def path(self) -> str:
        """Below the log's prefix, without a leading slash."""
        name = "entries" if self.level < 0 else str(self.level)
        digits = f"{self.number:03}"
        digits = digits.zfill((len(digits) + 2) // 3 * 3)
        groups = [digits[start : start + 3] for start in range(0, len(digits), 3)]
        place = "/".join([f"x{group}" for group in groups[:-1]] + groups[-1:])
        partial = "" if self.width == WIDTH else f".p/{self.width}"
        return f"tile/{name}/{place}{partial}"

    @property
    def full(self) -> Tile:
        return Tile(level=self.level, number=self.number)


def tiles_of(size: int, *, since: int = 0) -> Iterator[Tile]:
    """Every tile and bundle that a tree of `size` leaves has and one of `since` leaves had not, entries first.

    An empty tile does not exist.
    """
    for level in range(-1, 8):
        shift = HEIGHT * max(level, 0)
        had, has = since >> shift, size >> shift
        if not has:
            break
        if has == had:
            continue
        for number in range(had // WIDTH, has // WIDTH):
            yield Tile(level=level, number=number)
        if has % WIDTH:
            yield Tile(level=level, number=has // WIDTH, width=has % WIDTH)


def bundle(entries: Sequence[bytes]) -> bytes:
    """Raises ValueError for an entry that is too long for its length field."""
    parts = []
    for entry in entries:
        if len(entry) > ENTRY_BYTES_MAX:
            raise ValueError("entry above the limit of an entry bundle")
        parts.append(len(entry).to_bytes(2, "big"))
        parts.append(entry)
    return b"".join(parts)


def unbundle(data: bytes) -> list[bytes]:
    """Raises ValueError when the lengths do not add up."""
    entries, place = [], 0
    while place < len(data):
        length = int.from_bytes(data[place : place + 2], "big")
        entry = data[place + 2 : place + 2 + length]
        if len(entry) != length or place + 2 > len(data):
            raise ValueError("entry bundle is cut short")
        entries.append(entry)
        place += 2 + length
    return entries


def tile_root(hashes: bytes) -> bytes:
    """The root of the complete subtree over a power of two of hashes, back to back."""
    level = [hashes[start : start + HASH_BYTES] for start in range(0, len(hashes), HASH_BYTES)]
    while len(level) > 1:
        level = [node_hash(level[i], level[i + 1]) for i in range(0, len(level), 2)]
    return level[0]


class PublishedTiles:
    """Hash tiles of a published folder, for `TileHashes`. `read`: path to bytes, or None. Full ones never change, and
    the latest used are remembered: those of the upper levels are in every proof."""

    def __init__(self, read: Callable[[str], bytes | None]) -> None:
        self._read = read
        self._full = lru_cache(maxsize=_REMEMBERED_MAX)(self._read_full)

    def __call__(self, tile: Tile) -> bytes:
        """The full one may have taken the place of a partial one. Raises ValueError for none."""
        if tile.width == WIDTH:
            return self._full(tile)
        data = self._read(tile.path)
        return data if data is not None else self._full(tile.full)[: tile.width * HASH_BYTES]

    def forget(self) -> None:
        """After tiles that were not right: the files may be repaired meanwhile."""
        self._full.cache_clear()

    def _read_full(self, tile: Tile) -> bytes:
        data = self._read(tile.path)
        if data is None:
            raise ValueError(f"{tile.path} is missing")
        return data


class TileHashes:
    """`tree.Node` over tiles: each is fetched once by `fetch` (`Tile` to its bytes). For one tree size.

    `fetch` raises what it raises for a tile that is not there. Raises ValueError for a tile of a wrong length, and
    IndexError for a subtree that is not complete in this tree.
    """

    def __init__(self, size: int, fetch: Callable[[Tile], bytes]) -> None:
        self._size = size
        self._fetch = fetch
        self._tiles: dict[Tile, bytes] = {}

    def __call__(self, level: int, place: int) -> bytes:
        if level < 0 or place < 0 or (place + 1) << level > self._size:
            raise IndexError("no complete subtree of this tree")
        tile_level, inside = divmod(level, HEIGHT)
        first = (place << inside) % WIDTH
        number = (place << inside) // WIDTH
        data = self._tile(tile_level, number)
        return tile_root(data[first * HASH_BYTES : (first + (1 << inside)) * HASH_BYTES])

    def _tile(self, level: int, number: int) -> bytes:
        has = self._size >> HEIGHT * level
        tile = Tile(level=level, number=number, width=min(WIDTH, has - number * WIDTH))
        data = self._tiles.get(tile)
        if data is None:
            data = self._fetch(tile)
            if len(data) != tile.width * HASH_BYTES:
                raise ValueError(f"{tile.path} has {len(data)} bytes, not {tile.width * HASH_BYTES}")
            self._tiles[tile] = data
        return data
