"""Proofs of one entry's place: the published format, and nothing but the right entry at the right place verifies."""

from __future__ import annotations

import base64

import pytest

from gateway.audit import proof, tree
from gateway.audit.proof import InclusionProof, ProofInvalid
from gateway.audit.tiles import TileHashes
from gateway.core.merkle import leaf_hash
from tests.fakes_profiles import vectors
from tests.published_log import ORIGIN, checkpoint, entries_of, log_signer, published

PROOFS = dict(vectors("audit/proof"))
SIZE = 300
ENTRIES = entries_of(SIZE)
FILES = published(ENTRIES)
KEYS = [log_signer().verifier]


def proof_of(index: int) -> InclusionProof:
    node = TileHashes(SIZE, lambda tile: FILES[tile.path])
    path = tree.inclusion_path(index, SIZE, node)
    return InclusionProof(index=index, path=path, checkpoint=checkpoint(ENTRIES))


@pytest.mark.parametrize("name", PROOFS)
def test_published_format_is_read_or_refused(name: str) -> None:
    vector = PROOFS[name]
    expected = vector["expected"]
    if expected is None:
        with pytest.raises(ProofInvalid):
            proof.parse(vector["proof"])
        return
    found = proof.parse(vector["proof"])
    assert (found.index, [item.hex() for item in found.path]) == (expected["index"], expected["path"])
    assert found.checkpoint == expected["checkpoint"]
    assert expected["extra"] or str(found) == vector["proof"]


@pytest.mark.parametrize("index", [0, 1, 255, 256, 299])
def test_proof_verifies_its_entry(index: int) -> None:
    found = proof.parse(str(proof_of(index)))
    head = proof.verify(found, leaf_hash(ENTRIES[index]), origin=ORIGIN, keys=KEYS)
    assert (head.origin, head.size) == (ORIGIN, SIZE)


def test_proof_of_another_entry_is_refused() -> None:
    with pytest.raises(ProofInvalid, match="not at this index"):
        proof.verify(proof_of(7), leaf_hash(ENTRIES[8]), origin=ORIGIN, keys=KEYS)


def test_proof_for_another_index_is_refused() -> None:
    good = proof_of(7)
    for index in {0, 6, 8, SIZE - 1, SIZE, 2**63}:
        moved = InclusionProof(index=index, path=good.path, checkpoint=good.checkpoint)
        with pytest.raises(ProofInvalid):
            proof.verify(moved, leaf_hash(ENTRIES[7]), origin=ORIGIN, keys=KEYS)


def test_path_of_a_wrong_length_or_order_is_refused() -> None:
    good = proof_of(7)
    for path in (good.path[:-1], good.path[1:], (*good.path, good.path[0]), good.path[::-1], ()):
        wrong = InclusionProof(index=7, path=path, checkpoint=good.checkpoint)
        with pytest.raises(ProofInvalid):
            proof.verify(wrong, leaf_hash(ENTRIES[7]), origin=ORIGIN, keys=KEYS)


def test_proof_under_a_foreign_checkpoint_is_refused() -> None:
    good = proof_of(7)
    for keys, origin in (([log_signer(2).verifier], ORIGIN), (KEYS, "log.example.com/other"), ([], ORIGIN)):
        with pytest.raises(ProofInvalid):
            proof.verify(good, leaf_hash(ENTRIES[7]), origin=origin, keys=keys)


def test_endless_path_is_refused() -> None:
    line = base64.b64encode(bytes(32)).decode() + "\n"
    with pytest.raises(ProofInvalid):
        proof.parse(f"c2sp.org/tlog-proof@v1\nindex 0\n{line * 64}\ncheckpoint\n")


def test_a_proof_leads_from_its_own_entry_alone() -> None:
    text, leaf = str(proof_of(7)), leaf_hash(ENTRIES[7])
    assert proof.leads(text, 7, leaf)
    assert not proof.leads(text, 8, leaf)
    assert not proof.leads(text, 7, leaf_hash(ENTRIES[8]))
    assert not proof.leads(str(proof_of(8)), 7, leaf)
    assert not proof.leads(text.partition("\n\n")[0], 7, leaf)
    assert not proof.leads("nothing of a proof", 7, leaf)


def test_who_signed_the_checkpoint_is_not_what_a_proof_leads_to() -> None:
    other = checkpoint(ENTRIES, signers=[log_signer(2)])
    moved = InclusionProof(index=7, path=proof_of(7).path, checkpoint=other)
    assert proof.leads(str(moved), 7, leaf_hash(ENTRIES[7]))
