"""Trees put together from parts, and consistency proofs, on the published vectors and against the plain recursion."""

from __future__ import annotations

import pytest

from gateway.audit import tree
from gateway.audit.verifying.subtrees import Subtrees, consistent
from gateway.core import merkle
from tests.fakes_profiles import vectors

VECTORS = dict(vectors("audit/merkle-consistency"))


def leaves_of(size: int) -> list[bytes]:
    return [merkle.leaf_hash(b"%d" % index) for index in range(size)]


@pytest.mark.parametrize("name", VECTORS)
def test_consistency_is_judged_as_the_vector_says(name: str) -> None:
    vector = VECTORS[name]
    roots = bytes.fromhex(vector["oldRoot"]), bytes.fromhex(vector["newRoot"])
    proof = [bytes.fromhex(item) for item in vector["path"]]
    assert consistent(vector["old"], roots[0], vector["new"], roots[1], proof) is vector["consistent"]


@pytest.mark.parametrize("new", range(1, 40))
def test_every_prefix_is_consistent_as_the_writer_proves_it(new: int) -> None:
    leaves = leaves_of(new)
    for old in range(1, new + 1):
        proof = tree.consistency_path(
            old, new, lambda level, place: merkle.root(leaves[place << level : (place + 1) << level])
        )
        assert consistent(old, merkle.root(leaves[:old]), new, merkle.root(leaves), proof)
        assert not consistent(old, merkle.root(leaves[:old]), new, merkle.root(leaves), (*proof, bytes(32)))
        assert not consistent(old, bytes(32), new, merkle.root(leaves), proof)


def test_every_tree_begins_with_the_empty_one() -> None:
    assert consistent(0, merkle.root(()), 5, merkle.root(leaves_of(5)), ())
    assert not consistent(0, bytes(32), 5, merkle.root(leaves_of(5)), ())
    assert not consistent(6, bytes(32), 5, merkle.root(leaves_of(5)), ())


@pytest.mark.parametrize("size", [0, 1, 2, 3, 5, 8, 13])
def test_leaves_make_the_tree(size: int) -> None:
    found = Subtrees()
    for leaf in leaves_of(size):
        found.push(0, leaf)
    assert (found.size, found.root()) == (size, merkle.root(leaves_of(size)))


def test_subtrees_make_the_tree() -> None:
    leaves = leaves_of(7)
    found = Subtrees()
    for level, part in ((2, leaves[:4]), (0, leaves[4:5]), (0, leaves[5:6]), (0, leaves[6:])):
        found.push(level, merkle.root(part))
    assert (found.size, found.root()) == (7, merkle.root(leaves))


@pytest.mark.parametrize(("level", "node"), [(1, bytes(32)), (-1, bytes(32)), (64, bytes(32)), (0, bytes(31))])
def test_subtree_where_none_can_stand_is_refused(level: int, node: bytes) -> None:
    found = Subtrees()
    found.push(0, bytes(32))
    with pytest.raises(ValueError, match="where none can"):
        found.push(level, node)
