"""The tree above the leaves, built several times over: from the entries, from the published level 0 tiles, and from the
published tiles of each level above. All are one as long as nobody changed anything; where they differ, what is signed
tells which of them was changed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from gateway.audit.verifying.blocks import Block
from gateway.audit.verifying.layout import WIDTH
from gateway.core import merkle

Hashes = list[bytes]


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A tile of level 1 or above as it must be. `chains`: its hashes by the entries, by the level 0 tiles, and by the
    tiles of each level in between."""

    level: int
    number: int
    chains: Sequence[Hashes]


Finished = Callable[[Row], Hashes]
"""Takes a row and gives the hashes of the published tile, as far as there is one, filled up to the same length."""


class Tower:
    """Blocks are added from the left. `finished` is asked for each row as soon as it is full; for the last ones, by
    `close`."""

    def __init__(self, finished: Finished) -> None:
        self._finished = finished
        self._levels: list[_Level] = []

    def add(self, block: Block) -> None:
        """A full block."""
        self._push(0, _tops([block.by_entries, block.by_tile]))

    def roots(self, block: Block | None = None, width: int = 0) -> tuple[bytes, bytes]:
        """The roots of the tree that ends here, or with the first `width` leaves of this block: by the entries, and by
        the level 0 tiles."""
        by_entries = [block.by_entries[:width] if block else [], *(level.chains[0] for level in self._levels)]
        by_tiles = [block.by_tile[:width] if block else [], *(level.chains[1] for level in self._levels)]
        root = root_of(by_entries)
        return root, root if by_tiles == by_entries else root_of(by_tiles)

    def close(self) -> None:
        for place, level in enumerate(self._levels):
            if level.chains[0]:
                self._finished(level.row(place + 1))

    def _push(self, place: int, tops: Hashes) -> None:
        if place == len(self._levels):
            self._levels.append(_Level(len(tops)))
        level = self._levels[place]
        for chain, top in zip(level.chains, tops, strict=True):
            chain.append(top)
        if len(level.chains[0]) == WIDTH:
            row = level.row(place + 1)
            level.clear()
            self._push(place + 1, _tops([*row.chains, self._finished(row)]))


class _Level:
    __slots__ = ("chains", "rows")

    def __init__(self, chains: int) -> None:
        self.rows = 0
        self.chains: list[Hashes] = [[] for _ in range(chains)]

    def row(self, level: int) -> Row:
        return Row(level=level, number=self.rows, chains=self.chains)

    def clear(self) -> None:
        self.rows += 1
        self.chains = [[] for _ in self.chains]


def root_of(levels: Sequence[Hashes]) -> bytes:
    """RFC 6962 §2.1 over complete subtrees of 256**level leaves.

    What a lower level ends in is one more, smaller subtree at the right of the level above: the split at a power of two
    below the number of leaves falls at the same place.
    """
    rest: Hashes = []
    for hashes in levels:
        rest = [merkle.root([*hashes, *rest])] if hashes or rest else []
    return rest[0] if rest else merkle.root(())


def _tops(chains: Sequence[Hashes]) -> Hashes:
    first = chains[0]
    top = _top(first)
    return [top, *(top if chain == first else _top(chain) for chain in chains[1:])]


def _top(hashes: Hashes) -> bytes:
    """The root of a complete subtree of 256 hashes."""
    node = merkle.node_hash
    while len(hashes) > 1:
        pairs: Iterator[bytes] = iter(hashes)
        hashes = [node(left, right) for left, right in zip(pairs, pairs, strict=True)]
    return hashes[0]
