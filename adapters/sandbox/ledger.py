"""The sandbox's ledger: hash-linked blocks of transactions, each block a Merkle tree under a signed header.

It stands for the platform's chain: what is submitted waits until the next block is made. Nothing is ever changed;
whoever edits the file is noticed when it is read again.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from adapters.sandbox.files import append_line, read_json_lines, write_public
from adapters.sandbox.signing import KeySigner, jwks
from gateway.core.canonical import canonical
from gateway.core.evidence import ledger_leaf, statement
from gateway.core.merkle import inclusion_path, leaf_hash, root
from gateway.core.model import ChainProof, ChainReference, Digest, HashAlgorithm
from gateway.profiles.dvp_v1.signature import SignatureError, key_set, verify
from gateway.profiles.dvp_v1.trust import HEADER_TYPE, ChainHeader, header_sign

SYSTEM, GROUP, CONTRACT = "sandbox-ledger", "group0", "evidence-v1"
TRANSACTIONS_MAX = 256  # a block's proofs are made in one go
_FIRST_PREVIOUS_HASH = bytes(32)

Transaction = Mapping[str, Any]
"""Either `{type: "evidence", evidenceId, documentType, issuerId, digests, validUntil?, issuerSignature, at}`
or `{type: "status", evidenceId, status, reason, at}`."""


class LedgerBroken(Exception):
    """The ledger's file does not hold what was written."""

    def __init__(self, number: int, what: str) -> None:
        super().__init__(f"block {number}: {what}")
        self.number = number


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    number: int
    time: int
    header: str  # compact JWS
    transactions: tuple[Transaction, ...]
    leaves: tuple[bytes, ...]  # leaf hashes

    def reference(self, index: int) -> ChainReference:
        """Where transaction `index` is, with the proof that it is there."""
        return ChainReference(
            system=SYSTEM,
            group=GROUP,
            contract=CONTRACT,
            transaction_hash=self.leaves[index].hex(),
            block_number=self.number,
            proof=ChainProof(
                leaf_index=index,
                tree_size=len(self.leaves),
                path=inclusion_path(index, self.leaves),
                header=self.header,
            ),
        )


class Ledger:
    """One writer, two files: `blocks.jsonl` and, for what waits, `waiting.jsonl`. Everything is synced on return."""

    def __init__(self, folder: Path, signer: KeySigner) -> None:
        """Reads and checks the whole ledger. Raises LedgerBroken."""
        self._blocks_file = folder / "blocks.jsonl"
        self._waiting_file = folder / "waiting.jsonl"
        self._signer = signer
        self._keys = key_set(jwks([signer]))
        self._previous_hash = _FIRST_PREVIOUS_HASH
        self.blocks: list[Block] = []
        for line in read_json_lines(self._blocks_file):
            self._link(line["header"], tuple(line["transactions"]))
        held = {leaf for block in self.blocks for leaf in block.leaves}
        # A crash between the block and the removal of what waited leaves transactions in both files.
        self.waiting: list[Transaction] = [
            transaction for transaction in read_json_lines(self._waiting_file) if leaf(transaction) not in held
        ]

    def submit(self, transaction: Transaction) -> None:
        append_line(self._waiting_file, canonical(transaction))
        self.waiting.append(transaction)

    def make_block(self, *, now: int) -> Block | None:
        """A block of what waits, or None when nothing does."""
        transactions = tuple(self.waiting[:TRANSACTIONS_MAX])
        if not transactions:
            return None
        leaves = [leaf(transaction) for transaction in transactions]
        header = header_sign(
            self._signer,
            ChainHeader(
                number=len(self.blocks),
                previous_hash=self._previous_hash,
                time=now,
                tree_size=len(leaves),
                root_hash=root(leaves),
            ),
        )
        append_line(self._blocks_file, orjson.dumps({"header": header, "transactions": transactions}))
        block = self._link(header, transactions)
        self.waiting = self.waiting[TRANSACTIONS_MAX:]
        write_public(self._waiting_file, b"".join(canonical(waiting) + b"\n" for waiting in self.waiting))
        return block

    def _link(self, header: str, transactions: tuple[Transaction, ...]) -> Block:
        number = len(self.blocks)
        try:
            payload = orjson.loads(verify(header.encode(), self._keys, HEADER_TYPE))
        except SignatureError as error:
            raise LedgerBroken(number, "its header is not signed by the ledger") from error
        leaves = tuple(leaf(transaction) for transaction in transactions)
        if payload["number"] != number or payload["previousHash"] != self._previous_hash.hex():
            raise LedgerBroken(number, "it does not follow the block before it")
        if payload["treeSize"] != len(leaves) or payload["rootHash"] != root(leaves).hex():
            raise LedgerBroken(number, "its transactions are not those of its header")
        block = Block(number=number, time=payload["time"], header=header, transactions=transactions, leaves=leaves)
        self.blocks.append(block)
        self._previous_hash = hashlib.sha256(header.encode()).digest()
        return block


def leaf(transaction: Transaction) -> bytes:
    """The leaf hash: of evidence, over the issuer's signed statement alone, so that anyone can compute it."""
    if transaction["type"] != "evidence":
        return leaf_hash(canonical(transaction))
    return leaf_hash(
        ledger_leaf(statement_bytes=statement_of(transaction), issuer_signature=transaction["issuerSignature"])
    )


def statement_of(transaction: Transaction) -> bytes:
    return statement(
        evidence_id=transaction["evidenceId"],
        document_type=transaction["documentType"],
        issuer_id=transaction["issuerId"],
        digests=digests_of(transaction),
        valid_until=transaction.get("validUntil"),
    )


def digests_of(transaction: Transaction) -> tuple[Digest, ...]:
    return tuple(
        Digest(algorithm=HashAlgorithm(digest["algorithm"]), value=digest["value"]) for digest in transaction["digests"]
    )
