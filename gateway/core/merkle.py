"""RFC 6962 §2.1 hashing: leaves, nodes, inclusion proofs. SHA-256, domain-separated."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence


def leaf_hash(data: bytes) -> bytes:
    return hashlib.sha256(b"\x00" + data).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    return hashlib.sha256(b"\x01" + left + right).digest()


def root(leaves: Sequence[bytes]) -> bytes:
    """Merkle tree hash over leaf hashes; of no leaves, SHA-256 of nothing."""
    if not leaves:
        return hashlib.sha256(b"").digest()
    if len(leaves) == 1:
        return leaves[0]
    split = _split(len(leaves))
    return node_hash(root(leaves[:split]), root(leaves[split:]))


def inclusion_path(index: int, leaves: Sequence[bytes]) -> tuple[bytes, ...]:
    """RFC 6962 §2.1.1, lowest sibling first. Raises IndexError outside the tree."""
    if not 0 <= index < len(leaves):
        raise IndexError(index)
    if len(leaves) == 1:
        return ()
    split = _split(len(leaves))
    if index < split:
        return (*inclusion_path(index, leaves[:split]), root(leaves[split:]))
    return (*inclusion_path(index - split, leaves[split:]), root(leaves[:split]))


def root_from_path(leaf: bytes, index: int, size: int, path: Sequence[bytes]) -> bytes:
    """The root that this inclusion path leads to (RFC 9162 §2.1.3.2). Raises ValueError when it has a wrong length."""
    if not 0 <= index < size:
        raise ValueError("index outside the tree")
    node, last, current = index, size - 1, leaf
    for sibling in path:
        if last == 0:
            raise ValueError("path too long")
        if node & 1 or node == last:
            current = node_hash(sibling, current)
            while not node & 1 and node:
                node >>= 1
                last >>= 1
        else:
            current = node_hash(current, sibling)
        node >>= 1
        last >>= 1
    if last:
        raise ValueError("path too short")
    return current


def _split(size: int) -> int:
    """The largest power of two below `size`."""
    return 1 << (size - 1).bit_length() - 1
