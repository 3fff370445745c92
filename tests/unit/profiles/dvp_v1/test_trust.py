from __future__ import annotations

from dataclasses import replace
from typing import Any

import orjson
import pytest

from gateway.core.canonical import canonical
from gateway.core.evidence import statement
from gateway.core.model import Evidence
from gateway.profiles.dvp_v1 import messages, signature, trust
from gateway.profiles.dvp_v1.signature import key_set
from tests.fakes_profiles import DOCUMENT_TYPE, ISSUER, KeySigner, evidence, leaf_of, validators, vectors

VECTORS = dict(vectors("trust"))
SOURCE = KeySigner("issuer")
LEDGER = KeySigner("ledger")
EVIDENCE = evidence(SOURCE, LEDGER)


class CountingKeys(dict[str, Any]):
    """Keys that know how often one was looked for."""

    looked = 0

    def get(self, key: str, default: Any = None) -> Any:
        self.looked += 1
        return super().get(key, default)


def anchors(keys: signature.KeySet | None = None, cache_max: int = 8) -> trust.Anchors:
    return trust.Anchors(
        keys if keys is not None else LEDGER.keys(),
        expected_system="SANDBOX",
        cache_max=cache_max,
        validators=validators(),
    )


def statement_of(found: Evidence, document_type: str) -> bytes:
    return statement(
        evidence_id=found.evidence_id,
        document_type=document_type,
        issuer_id=found.issuer_id,
        digests=found.digests,
        valid_until=found.valid_until,
    )


@pytest.mark.parametrize("name", VECTORS)
def test_evidence_holds_or_does_not(name: str) -> None:
    vector = VECTORS[name]
    found = messages.evidence_from(vector["evidence"])
    issuers = {found.issuer_id: key_set(orjson.dumps(vector["keys"]["issuer"]))}
    ledger = trust.Anchors(
        key_set(orjson.dumps(vector["keys"]["ledger"])),
        expected_system=vector["expectedSystem"],
        cache_max=8,
        validators=validators(),
    )
    signed = statement_of(found, vector["documentType"])
    assert trust.issuer_signed(issuers, found.issuer_id, signed, found.issuer_signature) is vector["issuerSigned"]
    assert ledger.anchored(found.chain, leaf_of(found)) is vector["anchored"]


def test_one_issuers_key_does_not_speak_for_another() -> None:
    keys = {ISSUER: SOURCE.keys(), "SZBANK0001DP": KeySigner("issuer").keys()}
    signed = statement_of(EVIDENCE, DOCUMENT_TYPE)
    assert trust.issuer_signed(keys, ISSUER, signed, EVIDENCE.issuer_signature)
    assert not trust.issuer_signed(keys, "SZBANK0001DP", signed, EVIDENCE.issuer_signature)
    assert not trust.issuer_signed(keys, "UNKNOWN1", signed, EVIDENCE.issuer_signature)


def test_issuers_message_signature_does_not_pass_as_a_statement() -> None:
    signed = statement_of(EVIDENCE, DOCUMENT_TYPE)
    token = signature.sign_detached(SOURCE, "dvp+jws", signed)
    assert not trust.issuer_signed({ISSUER: SOURCE.keys()}, ISSUER, signed, token)


def test_header_is_verified_once_for_all_transactions_of_its_block() -> None:
    keys = CountingKeys(LEDGER.keys())
    known = anchors(keys)
    assert all(known.anchored(EVIDENCE.chain, leaf_of(EVIDENCE)) for _ in range(3))
    assert keys.looked == 1


def test_remembered_headers_are_bounded() -> None:
    keys = CountingKeys(LEDGER.keys())
    known = anchors(keys, cache_max=1)
    first, second = EVIDENCE, evidence(SOURCE, LEDGER, block_number=8)
    for found in (first, second, first):
        assert known.anchored(found.chain, leaf_of(found))
    assert keys.looked == 3


def test_refused_header_is_not_remembered_as_good() -> None:
    known = anchors(KeySigner("ledger").keys())
    assert not any(known.anchored(EVIDENCE.chain, leaf_of(EVIDENCE)) for _ in range(2))


@pytest.mark.parametrize(
    "payload", [b"{}", b"[]", b"not json", canonical({"number": -1}), b'{"number":1,"number":2}'], ids=repr
)
def test_signed_header_of_another_shape_proves_nothing(payload: bytes) -> None:
    proof = EVIDENCE.chain.proof
    assert proof is not None
    header = signature.sign(LEDGER, trust.HEADER_TYPE, payload)
    chain = replace(EVIDENCE.chain, proof=replace(proof, header=header))
    assert not anchors().anchored(chain, leaf_of(EVIDENCE))


def test_single_transaction_is_the_whole_tree() -> None:
    alone = evidence(SOURCE, LEDGER, neighbours=0)
    assert anchors().anchored(alone.chain, leaf_of(alone))
    assert not anchors().anchored(alone.chain, b"another leaf")


def test_a_signature_by_a_key_that_we_do_not_have_is_told_from_a_wrong_one() -> None:
    rolled_over = KeySigner("issuer-2")
    signed = statement_of(EVIDENCE, DOCUMENT_TYPE)
    keys = {ISSUER: SOURCE.keys()}
    assert trust.issuer_key_known(keys, ISSUER, trust.detached_sign(SOURCE, signed))
    assert trust.issuer_key_known(
        keys, ISSUER, trust.detached_sign(KeySigner("issuer"), signed)
    )  # ours by name, forged
    assert not trust.issuer_key_known(keys, ISSUER, trust.detached_sign(rolled_over, signed))
    assert not trust.issuer_key_known({}, ISSUER, EVIDENCE.issuer_signature)


@pytest.mark.parametrize("token", ["", "..", "no base64!..x", "e30..x", "bnVsbA..x", "W10..x", "é..x"])
def test_what_names_no_key_is_left_to_the_signature_check(token: str) -> None:
    assert trust.issuer_key_known({ISSUER: SOURCE.keys()}, ISSUER, token)


def test_a_reference_is_provable_by_the_ledger_that_we_know_alone() -> None:
    proof = EVIDENCE.chain.proof
    assert proof is not None
    assert anchors().provable(EVIDENCE.chain)
    assert not anchors().provable(replace(EVIDENCE.chain, proof=None))
    assert not anchors().provable(replace(EVIDENCE.chain, system="another"))
    assert not anchors(KeySigner("ledger-2").keys()).provable(EVIDENCE.chain)
