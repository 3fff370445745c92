"""A tree from its parts: complete subtrees put together from the left, and what a consistency proof shows."""

from __future__ import annotations

from collections.abc import Sequence

from gateway.audit.verifying.layout import HASH_BYTES
from gateway.core import merkle


class Subtrees:
    """A tree from complete subtrees, each where those before it end."""

    def __init__(self) -> None:
        self.size = 0
        self._stack: list[tuple[int, bytes]] = []

    def push(self, level: int, node: bytes) -> None:
        if len(node) != HASH_BYTES or not 0 <= level < 64 or self.size % (1 << level):
            raise ValueError("a subtree stands where none can")
        self.size += 1 << level
        while self._stack and self._stack[-1][0] == level:
            node = merkle.node_hash(self._stack.pop()[1], node)
            level += 1
        self._stack.append((level, node))

    def root(self) -> bytes:
        if not self._stack:
            return merkle.root(())
        node = self._stack[-1][1]
        for _, left in reversed(self._stack[:-1]):
            node = merkle.node_hash(left, node)
        return node


def consistent(old: int, old_root: bytes, new: int, new_root: bytes, proof: Sequence[bytes]) -> bool:
    """Whether the tree of `new` leaves begins with that of `old` (RFC 6962 §2.1.2).

    The proof is used up from its lowest hash to its highest. With an empty tree every other begins.
    """
    rest = list(proof)

    def roots(size: int, wanted: int, whole: bool) -> tuple[bytes, bytes]:
        """The roots of the first `wanted` of these leaves, and of all `size`."""
        if size == wanted:
            node = old_root if whole else rest.pop(0)
            return node, node
        split = 1 << (size - 1).bit_length() - 1
        if wanted <= split:
            first, all_left = roots(split, wanted, whole)
            return first, merkle.node_hash(all_left, rest.pop(0))
        first, all_right = roots(size - split, wanted - split, False)
        left = rest.pop(0)
        return merkle.node_hash(left, first), merkle.node_hash(left, all_right)

    if not 0 < old <= new:
        return old == 0 and not rest and old_root == merkle.root(())
    try:
        found = roots(new, old, True)
    except IndexError:
        return False
    return not rest and found == (old_root, new_root)
