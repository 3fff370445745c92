from __future__ import annotations

import hashlib

import pytest

from gateway.core.merkle import inclusion_path, leaf_hash, node_hash, root, root_from_path

# The eight inputs that the reference implementation of Certificate Transparency tests with, and its roots.
INPUTS = [
    bytes.fromhex(data)
    for data in (
        "",
        "00",
        "10",
        "2021",
        "3031",
        "40414243",
        "5051525354555657",
        "606162636465666768696a6b6c6d6e6f",
    )
]
ROOTS = {
    0: "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    1: "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    2: "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    3: "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    4: "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    5: "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    6: "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    7: "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    8: "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
}


@pytest.mark.parametrize("size", ROOTS)
def test_roots_are_those_of_certificate_transparency(size: int) -> None:
    assert root([leaf_hash(data) for data in INPUTS[:size]]).hex() == ROOTS[size]


def test_leaves_and_nodes_are_told_apart() -> None:
    left, right = leaf_hash(b"a"), leaf_hash(b"b")
    assert node_hash(left, right) != leaf_hash(left + right)
    assert leaf_hash(b"") == hashlib.sha256(b"\x00").digest()


def leaves(size: int) -> list[bytes]:
    return [leaf_hash(bytes([number])) for number in range(size)]


@pytest.mark.parametrize("size", range(1, 65))
def test_every_path_leads_to_the_root(size: int) -> None:
    tree = leaves(size)
    expected = root(tree)
    for index in range(size):
        assert root_from_path(tree[index], index, size, inclusion_path(index, tree)) == expected


@pytest.mark.parametrize("size", [1, 2, 3, 7, 8, 13])
def test_a_path_of_a_wrong_length_is_refused(size: int) -> None:
    tree = leaves(size)
    for index in range(size):
        path = inclusion_path(index, tree)
        with pytest.raises(ValueError, match="too long"):
            root_from_path(tree[index], index, size, (*path, path[-1] if path else tree[0]))
        if path:
            with pytest.raises(ValueError, match="too short"):
                root_from_path(tree[index], index, size, path[:-1])


@pytest.mark.parametrize(("index", "size"), [(-1, 3), (3, 3), (0, 0)])
def test_an_index_outside_the_tree_is_refused(index: int, size: int) -> None:
    with pytest.raises(IndexError):
        inclusion_path(index, leaves(size))
    with pytest.raises(ValueError, match="outside"):
        root_from_path(leaf_hash(b""), index, size, ())
