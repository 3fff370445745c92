"""Whether evidence holds: the issuer's signature over its statement, and the ledger's signed block around its leaf."""

from __future__ import annotations

import hmac
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass

from gateway.core import ijson
from gateway.core.canonical import canonical
from gateway.core.merkle import leaf_hash, root_from_path
from gateway.core.model import ChainReference
from gateway.errors import SchemaInvalid
from gateway.profiles.dvp_v1.signature import (
    KeySet,
    SignatureError,
    Signer,
    names_another_key,
    sign,
    sign_detached,
    verify,
    verify_detached,
)
from gateway.profiles.validation import Validators

STATEMENT_TYPE = "dvp-evidence+jws"
HEADER_TYPE = "dvp-block+jws"


@dataclass(frozen=True, slots=True, kw_only=True)
class ChainHeader:
    """A block's header as the ledger signs it. `time` in Unix seconds; hashes have 32 bytes."""

    number: int
    previous_hash: bytes
    time: int
    tree_size: int
    root_hash: bytes


def detached_sign(signer: Signer, statement: bytes) -> str:
    """An issuer's signature over `core.evidence.statement`: detached compact JWS."""
    return sign_detached(signer, STATEMENT_TYPE, statement)


def issuer_signed(keys: Mapping[str, KeySet], issuer_id: str, statement: bytes, detached_jws: str) -> bool:
    """Whether this issuer, by one of its own keys, signed exactly this statement."""
    issuer_keys = keys.get(issuer_id)
    return issuer_keys is not None and verify_detached(detached_jws, statement, issuer_keys, STATEMENT_TYPE)


def issuer_key_known(keys: Mapping[str, KeySet], issuer_id: str, detached_jws: str) -> bool:
    """False when the signature names a key of this issuer that we do not have."""
    return not names_another_key(detached_jws, keys.get(issuer_id, {}))


def header_sign(signer: Signer, header: ChainHeader) -> str:
    """The compact JWS of a block's header (RFC 8785 payload)."""
    return sign(
        signer,
        HEADER_TYPE,
        canonical(
            {
                "number": header.number,
                "previousHash": header.previous_hash.hex(),
                "time": header.time,
                "treeSize": header.tree_size,
                "rootHash": header.root_hash.hex(),
            }
        ),
    )


class Anchors:
    """Checks chain references. A block holds many transactions: headers that were verified once are remembered.

    Remembered by their whole text, so what was never verified is never believed. Bounded; not for several threads.
    """

    def __init__(self, ledger_keys: KeySet, *, expected_system: str, cache_max: int, validators: Validators) -> None:
        """`expected_system`: the kind of ledger that these keys speak for. `cache_max`: remembered headers."""
        self._keys = ledger_keys
        self._validators = validators
        self._system = expected_system
        self._cache_max = cache_max
        self._verified: OrderedDict[str, ChainHeader] = OrderedDict()

    def provable(self, chain: ChainReference) -> bool:
        """Whether the reference brings a proof that these keys can check: of this ledger, under a key that we have."""
        proof = chain.proof
        if proof is None or chain.system != self._system:
            return False
        return proof.header in self._verified or not names_another_key(proof.header, self._keys)

    def anchored(self, chain: ChainReference, leaf: bytes) -> bool:
        """Whether the ledger holds this leaf in the block that the reference names."""
        proof = chain.proof
        if proof is None or chain.system != self._system:
            return False
        leaf_digest = leaf_hash(leaf)
        if not hmac.compare_digest(leaf_digest.hex(), chain.transaction_hash):
            return False
        header = self._header(proof.header)
        if header is None or header.number != chain.block_number or header.tree_size != proof.tree_size:
            return False
        try:
            root = root_from_path(leaf_digest, proof.leaf_index, proof.tree_size, proof.path)
        except ValueError:
            return False
        return hmac.compare_digest(root, header.root_hash)

    def _header(self, token: str) -> ChainHeader | None:
        known = self._verified.get(token)
        if known is not None:
            self._verified.move_to_end(token)
            return known
        header = self._verify(token)
        if header is not None:
            self._verified[token] = header
            if len(self._verified) > self._cache_max:
                self._verified.popitem(last=False)
        return header

    def _verify(self, token: str) -> ChainHeader | None:
        try:
            body = ijson.parse(verify(token.encode(), self._keys, HEADER_TYPE))
        except (SignatureError, SchemaInvalid):
            return None
        if not self._validators.is_valid("dvp/v1/chain-header", body):
            return None
        return ChainHeader(
            number=body["number"],
            previous_hash=bytes.fromhex(body["previousHash"]),
            time=body["time"],
            tree_size=body["treeSize"],
            root_hash=bytes.fromhex(body["rootHash"]),
        )
