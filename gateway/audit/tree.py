"""The RFC 6962 tree as it grows: the frontier of a writer, and proofs from the hashes of complete subtrees.

Hashing itself is in `core.merkle`. A node is named by its level (0: leaves) and its place from the left.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from gateway.core import merkle

HASH_BYTES = 32

Node = Callable[[int, int], bytes]
"""The hash of the complete subtree of 2**level leaves at this place: `node(level, place)`."""


class Frontier:
    """The roots of the complete subtrees that a tree of `size` leaves ends in, largest first: all that appending needs.

    Their number is the number of ones in `size`. `packed` holds them back to back, so that another process can go on.
    """

    __slots__ = ("_roots", "size")

    def __init__(self, size: int = 0, packed: bytes = b"") -> None:
        """Raises ValueError when `packed` does not have the length that `size` needs."""
        if size < 0 or len(packed) != HASH_BYTES * size.bit_count():
            raise ValueError("frontier and size do not fit")
        self.size = size
        self._roots = [packed[start : start + HASH_BYTES] for start in range(0, len(packed), HASH_BYTES)]

    @property
    def packed(self) -> bytes:
        return b"".join(self._roots)

    def extend(self, leaf_hashes: Iterable[bytes]) -> None:
        for leaf in leaf_hashes:
            node, full = leaf, self.size
            while full & 1:
                node = merkle.node_hash(self._roots.pop(), node)
                full >>= 1
            self._roots.append(node)
            self.size += 1

    def root(self) -> bytes:
        """The tree's root; of an empty tree, SHA-256 of nothing (RFC 6962 §2.1)."""
        if not self._roots:
            return merkle.root(())
        node = self._roots[-1]
        for left in reversed(self._roots[:-1]):
            node = merkle.node_hash(left, node)
        return node


def frontier_at(size: int, node: Node) -> Frontier:
    """The frontier of the first `size` leaves."""
    roots, start = [], 0
    for level in reversed(range(size.bit_length())):
        if size >> level & 1:
            roots.append(node(level, start >> level))
            start += 1 << level
    return Frontier(size, b"".join(roots))


def inclusion_path(index: int, size: int, node: Node) -> tuple[bytes, ...]:
    """RFC 6962 §2.1.1, lowest sibling first. Raises IndexError outside the tree."""
    if not 0 <= index < size:
        raise IndexError(index)
    path: list[bytes] = []
    low, high = 0, size
    while high - low > 1:
        middle = low + _split(high - low)
        if index < middle:
            path.append(range_root(middle, high, node))
            high = middle
        else:
            path.append(range_root(low, middle, node))
            low = middle
    return tuple(reversed(path))


def consistency_path(old: int, new: int, node: Node) -> tuple[bytes, ...]:
    """RFC 6962 §2.1.2: that the first `old` of `new` leaves are unchanged. Raises ValueError unless 0 < old <= new:
    an empty tree is consistent with everything, and proves nothing."""
    if not 0 < old <= new:
        raise ValueError("a consistency proof needs 0 < old <= new")
    path: list[bytes] = []
    low, high, whole = 0, new, True
    while old != high:
        middle = low + _split(high - low)
        if old <= middle:
            path.append(range_root(middle, high, node))
            high = middle
        else:
            path.append(range_root(low, middle, node))
            low, whole = middle, False
    if not whole:
        path.append(range_root(low, high, node))
    return tuple(reversed(path))


def range_root(low: int, high: int, node: Node) -> bytes:
    """The root over the leaves from `low` to below `high`, which is a subtree of some tree (RFC 6962 §2.1)."""
    count = high - low
    if count & (count - 1) == 0:
        level = count.bit_length() - 1
        return node(level, low >> level)
    middle = low + _split(count)
    return merkle.node_hash(range_root(low, middle, node), range_root(middle, high, node))


def consistent(old: int, old_root: bytes, new: int, new_root: bytes, path: Sequence[bytes]) -> bool:
    """Whether the proof shows that the tree of `new` leaves begins with that of `old` (RFC 9162 §2.1.4.2).

    Raises ValueError unless 0 < old <= new.
    """
    if not 0 < old <= new:
        raise ValueError("a consistency proof needs 0 < old <= new")
    if old == new:
        return not path and old_root == new_root
    siblings = list(path) if old & (old - 1) else [old_root, *path]
    if not siblings:
        return False
    place, last = old - 1, new - 1
    while place & 1:
        place >>= 1
        last >>= 1
    first = second = siblings[0]
    for sibling in siblings[1:]:
        if last == 0:
            return False
        if place & 1 or place == last:
            first = merkle.node_hash(sibling, first)
            second = merkle.node_hash(sibling, second)
            while not place & 1 and place:
                place >>= 1
                last >>= 1
        else:
            second = merkle.node_hash(second, sibling)
        place >>= 1
        last >>= 1
    return last == 0 and first == old_root and second == new_root


def _split(size: int) -> int:
    """The largest power of two below `size`."""
    return 1 << (size - 1).bit_length() - 1
