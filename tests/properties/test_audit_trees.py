"""Trees, tiles, notes and proofs: what is right verifies for every index and size, and nothing else does."""

from __future__ import annotations

import contextlib

import pytest
import rfc8785
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from gateway.audit import note, proof, tree
from gateway.audit.note import COSIGNATURE_V1, Checkpoint, NoteInvalid, NoteSigner
from gateway.audit.privacy import opened
from gateway.audit.proof import InclusionProof, ProofInvalid
from gateway.audit.tiles import TileHashes, bundle, unbundle
from gateway.audit.verifying.entries import examined
from gateway.audit.verifying.layout import name_of, split
from gateway.core import merkle
from tests.published_log import ORIGIN, checkpoint, entries_of, log_signer, published, witness_signer

LOG = entries_of(1_200)
LEAVES = [merkle.leaf_hash(entry) for entry in LOG]
KEYS = [log_signer().verifier, witness_signer().verifier]
sizes = st.integers(1, len(LOG))
names = st.from_regex(r"[^\s+\x00-\x1f\x7f]{1,20}", fullmatch=True).filter(lambda name: name.isprintable())
flips = st.tuples(st.integers(0, 10**9), st.integers(0, 7))


def flipped(data: bytes, flip: tuple[int, int]) -> bytes:
    changed = bytearray(data)
    changed[flip[0] % len(changed)] ^= 1 << flip[1]
    return bytes(changed)


def node_of(leaves: list[bytes]) -> tree.Node:
    return lambda level, place: merkle.root(leaves[place << level : (place + 1) << level])


@given(st.data(), sizes)
def test_every_entry_of_every_size_is_proven(data: st.DataObject, size: int) -> None:
    index = data.draw(st.integers(0, size - 1))
    files = published(LOG[:size])
    node = TileHashes(size, lambda tile: files[tile.path])
    path = tree.inclusion_path(index, size, node)
    assert path == tree.inclusion_path(index, size, node_of(LEAVES[:size]))
    assert merkle.root_from_path(LEAVES[index], index, size, path) == merkle.root(LEAVES[:size])


@pytest.mark.parametrize("size", [1, 2, 3, 7, 8, 255, 256, 257, 300])
def test_every_index_of_a_size_is_proven(size: int) -> None:
    node, root = node_of(LEAVES[:size]), merkle.root(LEAVES[:size])
    for index in range(size):
        path = tree.inclusion_path(index, size, node)
        assert merkle.root_from_path(LEAVES[index], index, size, path) == root


@given(st.data(), sizes)
def test_every_prefix_is_consistent_and_nothing_else_is(data: st.DataObject, new: int) -> None:
    old = data.draw(st.integers(1, new))
    roots = merkle.root(LEAVES[:old]), merkle.root(LEAVES[:new])
    path = tree.consistency_path(old, new, node_of(LEAVES[:new]))
    assert tree.consistent(old, roots[0], new, roots[1], path)
    other = data.draw(st.integers(1, new).filter(lambda size: size != old)) if new > 1 else None
    if other is not None:
        assert not tree.consistent(other, roots[0], new, roots[1], path)
        assert not tree.consistent(old, merkle.root(LEAVES[:other]), new, roots[1], path)
    wrong = data.draw(st.sampled_from([path[:-1], path[1:], (*path, bytes(32)), (bytes(32), *path), path[::-1]]))
    if wrong != path:
        assert not tree.consistent(old, roots[0], new, roots[1], wrong)
    if path:
        place = data.draw(st.integers(0, len(path) - 1))
        changed = flipped(path[place], data.draw(flips))
        assert not tree.consistent(old, roots[0], new, roots[1], (*path[:place], changed, *path[place + 1 :]))


@given(st.lists(sizes, min_size=1, max_size=6))
def test_frontier_grown_in_any_steps_is_that_of_the_whole(steps: list[int]) -> None:
    ordered = sorted(steps)
    frontier = tree.Frontier()
    for start, end in zip([0, *ordered], ordered, strict=False):
        frontier.extend(LEAVES[start:end])
        frontier = tree.Frontier(frontier.size, frontier.packed)
    assert frontier.root() == merkle.root(LEAVES[: ordered[-1]])
    assert frontier.packed == tree.frontier_at(ordered[-1], node_of(LEAVES)).packed


@given(st.data(), st.integers(2, 600), flips)
def test_flipped_bit_in_a_tile_is_in_every_proof_through_it(
    data: st.DataObject, size: int, flip: tuple[int, int]
) -> None:
    """A proof is either the right one or proves nothing."""
    files = published(LOG[:size])
    path = data.draw(st.sampled_from([name for name in files if name.startswith(("tile/0", "tile/1"))]))
    files[path] = flipped(files[path], flip)
    node, index = TileHashes(size, lambda tile: files[tile.path]), data.draw(st.integers(0, size - 1))
    found = tree.inclusion_path(index, size, node)
    right = tree.inclusion_path(index, size, node_of(LEAVES[:size]))
    root = merkle.root_from_path(LEAVES[index], index, size, found)
    assert (root == merkle.root(LEAVES[:size])) is (found == right)


@given(st.lists(st.binary(max_size=300), max_size=20))
def test_bundle_round_trip(entries: list[bytes]) -> None:
    assert unbundle(bundle(entries)) == entries
    assert split(bundle(entries)) == (entries, True)


@given(st.binary(max_size=400))
def test_writer_and_verifier_read_any_bytes_as_the_same_bundle(data: bytes) -> None:
    entries, whole = split(data)
    if whole:
        assert unbundle(data) == entries
        assert bundle(entries) == data
    else:
        with pytest.raises(ValueError, match="cut short"):
            unbundle(data)


@given(names, st.integers(0, 2**63 - 1), st.binary(min_size=32, max_size=32))
def test_checkpoint_round_trip(name: str, size: int, root: bytes) -> None:
    head = Checkpoint(origin=name, size=size, root=root)
    assert note.checkpoint(head.text) == head
    signer = NoteSigner(name, Ed25519PrivateKey.from_private_bytes(root))
    assert note.verifier_key(str(signer.verifier)) == signer.verifier
    signed = note.signed(head.text, [signer.line(head.text)])
    assert str(note.parse(signed)) == signed
    assert note.open_checkpoint(signed, origin=name, keys=[signer.verifier]) == head


@given(names, st.integers(0, 2**63 - 1))
def test_cosignature_round_trip(name: str, time: int) -> None:
    witness = NoteSigner(name, Ed25519PrivateKey.from_private_bytes(bytes(32)), type=COSIGNATURE_V1)
    text = Checkpoint(origin=ORIGIN, size=1, root=bytes(32)).text
    found = note.verify(note.parse(note.signed(text, [witness.line(text, time=time)])), [witness.verifier])
    assert [(item.key, item.time) for item in found] == [(witness.verifier, time)]


@given(flips)
def test_flipped_bit_in_a_note_is_found(flip: tuple[int, int]) -> None:
    """Either the note is refused, or a line became one of a key that nobody knows and counts no more."""
    signed = checkpoint(LOG[:3], witnesses=[witness_signer()]).encode()
    try:
        parsed = note.parse(flipped(signed, flip))
        found = note.verify(parsed, KEYS)
    except NoteInvalid:
        return
    assert len(found) < 2
    assert parsed.text == note.parse(signed).text or not found


@given(st.binary(max_size=300))
def test_arbitrary_bytes_are_a_note_or_refused(data: bytes) -> None:
    try:
        parsed = note.parse(data)
    except NoteInvalid:
        return
    assert str(parsed).encode() == data
    assert note.verify(parsed, KEYS) == ()


@given(st.one_of(st.text(max_size=120), st.text("+0aA/=\n —\ud800", max_size=80)))
def test_arbitrary_text_is_read_or_refused(text: str) -> None:
    for read in (note.verifier_key, note.parse, note.checkpoint, note.signature_line):
        try:
            read(text)
        except NoteInvalid:
            continue
    with contextlib.suppress(ProofInvalid):
        assert proof.parse(text).index >= 0


def proof_of(index: int, size: int) -> InclusionProof:
    path = tree.inclusion_path(index, size, node_of(LEAVES[:size]))
    return InclusionProof(index=index, path=path, checkpoint=checkpoint(LOG[:size]))


@given(st.data(), st.integers(1, 300))
def test_proof_round_trip(data: st.DataObject, size: int) -> None:
    found = proof_of(data.draw(st.integers(0, size - 1)), size)
    assert proof.parse(str(found)) == found
    assert proof.verify(found, LEAVES[found.index], origin=ORIGIN, keys=KEYS).size == size


@given(st.data(), st.integers(2, 300), flips)
def test_flipped_bit_in_a_proof_is_found(data: st.DataObject, size: int, flip: tuple[int, int]) -> None:
    good = proof_of(data.draw(st.integers(0, size - 1)), size)
    text = flipped(str(good).encode(), flip).decode("utf-8", "surrogateescape")
    with pytest.raises(ProofInvalid):
        proof.verify(proof.parse(text), LEAVES[good.index], origin=ORIGIN, keys=KEYS)


@given(st.data(), st.integers(2, 300))
def test_proof_of_another_path_is_refused(data: st.DataObject, size: int) -> None:
    good = proof_of(data.draw(st.integers(0, size - 1)), size)
    paths = [good.path[:-1], good.path[1:], (*good.path, bytes(32)), (bytes(32), *good.path), good.path[::-1]]
    wrong = data.draw(st.sampled_from(paths).filter(lambda path: path != good.path))
    moved = InclusionProof(index=good.index, path=wrong, checkpoint=good.checkpoint)
    with pytest.raises(ProofInvalid):
        proof.verify(moved, LEAVES[good.index], origin=ORIGIN, keys=KEYS)


json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
)


@given(st.dictionaries(st.text(max_size=5), json, max_size=4))
def test_entry_that_the_verifier_takes_is_rfc_8785(body: dict[str, object]) -> None:
    try:
        data = rfc8785.dumps({**body, "v": 1})
    except (rfc8785.CanonicalizationError, UnicodeEncodeError):
        return
    found = examined(data)
    assert isinstance(found, str) or rfc8785.dumps(found) == data


@given(st.binary(max_size=60))
def test_arbitrary_bytes_are_an_entry_or_refused(data: bytes) -> None:
    assert isinstance(examined(data), str | dict)
    try:
        opened(data, lambda subject, entry_id, ciphertext: b"{}")
    except ValueError:
        return


@given(st.text(max_size=40))
def test_arbitrary_text_is_a_path_of_a_log_or_not(text: str) -> None:
    for path in (text, f"tile/{text}", f"tile/0/{text}"):
        name = name_of(path)
        assert name is None or name.path == path
