"""The ledger over restarts, crashes and edits of its file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import orjson
import pytest

from adapters.sandbox.ledger import Ledger, LedgerBroken, leaf
from adapters.sandbox.signing import KeySigner, jwks
from gateway.core.merkle import root_from_path
from gateway.profiles.dvp_v1.signature import key_set, verify

NOW = 1_790_000_000


def evidence(number: int) -> dict[str, Any]:
    return {
        "type": "evidence",
        "evidenceId": f"evidence-{number}",
        "documentType": "BANK_STATEMENT",
        "issuerId": "SZBANK0001DP",
        "digests": [{"algorithm": "SM3", "value": f"{number:064x}"}],
        "issuerSignature": "e30..c2lnbmF0dXJl",
        "at": NOW,
    }


@pytest.fixture
def signer() -> KeySigner:
    return KeySigner.create("ledger-1")


def test_every_transaction_of_a_block_is_proved_by_its_reference(tmp_path: Path, signer: KeySigner) -> None:
    ledger = Ledger(tmp_path, signer)
    for number in range(7):
        ledger.submit(evidence(number))
    block = ledger.make_block(now=NOW)
    assert block is not None
    header = orjson.loads(verify(block.header.encode(), key_set(jwks([signer])), "dvp-block+jws"))
    for index, transaction in enumerate(block.transactions):
        reference = block.reference(index)
        assert reference.proof is not None
        reached = root_from_path(leaf(transaction), index, reference.proof.tree_size, reference.proof.path)
        assert reached.hex() == header["rootHash"]
        assert reference.transaction_hash == leaf(transaction).hex()


def test_without_transactions_no_block_is_made(tmp_path: Path, signer: KeySigner) -> None:
    assert Ledger(tmp_path, signer).make_block(now=NOW) is None


def test_a_restart_keeps_blocks_and_what_waits(tmp_path: Path, signer: KeySigner) -> None:
    ledger = Ledger(tmp_path, signer)
    ledger.submit(evidence(1))
    ledger.make_block(now=NOW)
    ledger.submit(evidence(2))
    again = Ledger(tmp_path, signer)
    assert [block.header for block in again.blocks] == [block.header for block in ledger.blocks]
    assert [dict(transaction) for transaction in again.waiting] == [evidence(2)]
    second = again.make_block(now=NOW + 1)
    assert second is not None
    assert second.number == 1


def test_a_crash_between_the_block_and_its_clean_up_repeats_nothing(tmp_path: Path, signer: KeySigner) -> None:
    ledger = Ledger(tmp_path, signer)
    ledger.submit(evidence(1))
    waiting = (tmp_path / "waiting.jsonl").read_bytes()
    ledger.make_block(now=NOW)
    (tmp_path / "waiting.jsonl").write_bytes(waiting)
    assert Ledger(tmp_path, signer).waiting == []


def test_a_block_cut_off_by_a_crash_is_made_again(tmp_path: Path, signer: KeySigner) -> None:
    ledger = Ledger(tmp_path, signer)
    ledger.submit(evidence(1))
    waiting = (tmp_path / "waiting.jsonl").read_bytes()
    ledger.make_block(now=NOW)
    blocks = tmp_path / "blocks.jsonl"
    blocks.write_bytes(blocks.read_bytes()[:-20])
    (tmp_path / "waiting.jsonl").write_bytes(waiting)
    again = Ledger(tmp_path, signer)
    assert again.blocks == []
    assert again.make_block(now=NOW) is not None


def _edit_digest(lines: list[bytes]) -> list[bytes]:
    return [lines[0].replace(b"0001", b"0009"), *lines[1:]]


def _drop_first(lines: list[bytes]) -> list[bytes]:
    return lines[1:]


def _swap(lines: list[bytes]) -> list[bytes]:
    return [lines[1], lines[0], *lines[2:]]


def _other_signer(lines: list[bytes]) -> list[bytes]:
    block = orjson.loads(lines[0])
    block["header"] = KeySigner.create("ledger-1").sign_jws({"typ": "dvp-block+jws"}, b"{}")
    return [orjson.dumps(block), *lines[1:]]


@pytest.mark.parametrize("edit", [_edit_digest, _drop_first, _swap, _other_signer])
def test_an_edited_ledger_is_noticed_at_the_block(tmp_path: Path, signer: KeySigner, edit: Any) -> None:
    ledger = Ledger(tmp_path, signer)
    for number in range(1, 4):
        ledger.submit(evidence(number))
        ledger.make_block(now=NOW + number)
    file = tmp_path / "blocks.jsonl"
    file.write_bytes(b"\n".join(edit(file.read_bytes().splitlines())) + b"\n")
    with pytest.raises(LedgerBroken) as broken:
        Ledger(tmp_path, signer)
    assert broken.value.number == 0
