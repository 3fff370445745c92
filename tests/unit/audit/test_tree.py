"""The growing tree against the reference tree of RFC 6962, and against the plain recursion for other sizes."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest

from gateway.audit.tree import Frontier, Node, consistency_path, consistent, frontier_at, inclusion_path, range_root
from gateway.core import merkle
from tests.fakes_profiles import vectors

ROOTS = dict(vectors("audit/merkle-root"))
INCLUSIONS = dict(vectors("audit/merkle-inclusion"))
CONSISTENCIES = dict(vectors("audit/merkle-consistency"))
REFERENCE = [bytes.fromhex(leaf) for leaf in ROOTS["audit/merkle-root/8-leaves"]["leaves"]]


def hashes(vector: dict[str, Any], name: str = "path") -> tuple[bytes, ...]:
    return tuple(bytes.fromhex(item) for item in vector[name])


def leaves_of(size: int) -> list[bytes]:
    return [merkle.leaf_hash(b"%d" % index) for index in range(size)]


def node_of(leaves: list[bytes]) -> Node:
    def node(level: int, place: int) -> bytes:
        part = leaves[place << level : (place + 1) << level]
        assert len(part) == 1 << level, "only complete subtrees are asked for"
        return merkle.root(part)

    return node


@pytest.mark.parametrize("name", ROOTS)
def test_root_is_that_of_the_reference_tree(name: str) -> None:
    vector = ROOTS[name]
    frontier = Frontier()
    frontier.extend(merkle.leaf_hash(leaf) for leaf in hashes(vector, "leaves"))
    assert frontier.size == len(vector["leaves"])
    assert frontier.root().hex() == vector["root"]


@pytest.mark.parametrize("name", INCLUSIONS)
def test_inclusion_path_is_that_of_the_reference_tree(name: str) -> None:
    vector = INCLUSIONS[name]
    leaves = [merkle.leaf_hash(leaf) for leaf in REFERENCE]
    path = inclusion_path(vector["index"], vector["size"], node_of(leaves[: vector["size"]]))
    assert path == hashes(vector)
    root = merkle.root_from_path(leaves[vector["index"]], vector["index"], vector["size"], path)
    assert root.hex() == vector["root"]


@pytest.mark.parametrize("name", [name for name, vector in CONSISTENCIES.items() if vector["consistent"]])
def test_consistency_path_is_that_of_the_reference_tree(name: str) -> None:
    vector = CONSISTENCIES[name]
    leaves = [merkle.leaf_hash(leaf) for leaf in REFERENCE[: vector["new"]]]
    assert consistency_path(vector["old"], vector["new"], node_of(leaves)) == hashes(vector)


@pytest.mark.parametrize("name", CONSISTENCIES)
def test_consistency_is_judged_as_the_vector_says(name: str) -> None:
    vector = CONSISTENCIES[name]
    roots = bytes.fromhex(vector["oldRoot"]), bytes.fromhex(vector["newRoot"])
    found = consistent(vector["old"], roots[0], vector["new"], roots[1], hashes(vector))
    assert found is vector["consistent"]


@pytest.mark.parametrize("size", [*range(1, 34), 255, 256, 257])
def test_frontier_goes_on_from_what_another_process_left(size: int) -> None:
    leaves = leaves_of(size)
    for first in {0, 1, size // 2, size}:
        started = Frontier()
        started.extend(leaves[:first])
        resumed = Frontier(first, started.packed)
        resumed.extend(leaves[first:])
        assert resumed.root() == merkle.root(leaves)
        assert resumed.packed == frontier_at(size, node_of(leaves)).packed


def test_frontier_of_a_wrong_length_is_refused() -> None:
    with pytest.raises(ValueError, match="do not fit"):
        Frontier(3, bytes(32))
    with pytest.raises(ValueError, match="do not fit"):
        Frontier(-1)


def test_root_of_the_empty_tree_is_the_hash_of_nothing() -> None:
    assert Frontier().root() == hashlib.sha256(b"").digest()


@pytest.mark.parametrize(("index", "size"), [(-1, 3), (3, 3), (0, 0)])
def test_index_outside_the_tree_has_no_path(index: int, size: int) -> None:
    with pytest.raises(IndexError):
        inclusion_path(index, size, node_of(leaves_of(3)))


@pytest.mark.parametrize(("old", "new"), [(0, 0), (0, 5), (6, 5), (-1, 5)])
def test_consistency_with_an_empty_or_longer_tree_is_an_error(old: int, new: int) -> None:
    with pytest.raises(ValueError, match="0 < old <= new"):
        consistency_path(old, new, node_of(leaves_of(5)))
    with pytest.raises(ValueError, match="0 < old <= new"):
        consistent(old, bytes(32), new, bytes(32), ())


@pytest.mark.parametrize(("low", "high"), [(0, 1), (0, 7), (4, 7), (8, 16), (8, 13)])
def test_root_of_a_part_is_that_of_its_leaves(low: int, high: int) -> None:
    leaves = leaves_of(16)
    assert range_root(low, high, node_of(leaves)) == merkle.root(leaves[low:high])
