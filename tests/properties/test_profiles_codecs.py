"""What was written is read back the same; what was touched is noticed; what is garbage is refused and nothing else."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.core import ijson
from gateway.core.model import ChainProof, ChainReference, Digest, Evidence, EvidenceStatus, HashAlgorithm
from gateway.errors import SchemaInvalid, Violation
from gateway.profiles.cdi_v1 import CdiV1
from gateway.profiles.dvp_v1 import messages, trust
from gateway.profiles.dvp_v1.envelope import Envelope, EnvelopeError, seal, unseal
from tests.fakes_profiles import (
    ISSUER,
    MESSAGE_ID,
    NOW,
    REQUEST_ID,
    KeySigner,
    evidence,
    leaf_of,
    validators,
    vectors,
)

SIGNER = KeySigner("dvp-1")
KEYS = SIGNER.keys()
SOURCE, LEDGER = KeySigner("issuer"), KeySigner("ledger")
EVIDENCE = evidence(SOURCE, LEDGER)
CODEC = CdiV1(
    validators(), public_url="https://gateway.example", gateway_id="HKGATEWAY01", log_origin="gateway.example/log"
)
BODIES = [vector["message"] for _, vector in vectors("schemas/cdi/v1")]

INTEGERS = st.integers(min_value=-(2**53 - 1), max_value=2**53 - 1)
CHARACTERS = st.characters(exclude_categories=["Cs"]).filter(
    lambda character: (ord(character) & 0xFFFE) != 0xFFFE and not 0xFDD0 <= ord(character) <= 0xFDEF
)
TEXT = st.text(CHARACTERS, max_size=12)
I_JSON = st.recursive(
    st.none() | st.booleans() | INTEGERS | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=12,
)

HEX = st.binary(min_size=32, max_size=32).map(bytes.hex)
TIMES = st.integers(0, 253402300799)
NAMES = st.from_regex(r"[A-Za-z0-9._:-]{1,128}", fullmatch=True)
COUNTS = st.integers(0, 2**53 - 1)
PROOFS = st.builds(
    ChainProof,
    leaf_index=COUNTS,
    tree_size=st.integers(1, 2**53 - 1),
    path=st.lists(st.binary(min_size=32, max_size=32), max_size=53).map(tuple),
    header=st.just("aa.bb.cccc"),
)
EVIDENCES = st.builds(
    Evidence,
    evidence_id=NAMES,
    issuer_id=st.from_regex(r"[A-Z0-9]{4,32}", fullmatch=True),
    digests=st.lists(
        st.builds(Digest, algorithm=st.sampled_from(HashAlgorithm), value=HEX),
        min_size=1,
        max_size=2,
        unique_by=lambda digest: digest.algorithm,
    ).map(tuple),
    anchored_at=TIMES,
    valid_until=st.none() | TIMES,
    status=st.sampled_from(EvidenceStatus),
    status_at=TIMES,
    issuer_signature=st.just(EVIDENCE.issuer_signature),
    chain=st.builds(
        ChainReference,
        system=st.from_regex(r"[A-Za-z0-9._-]{1,64}", fullmatch=True),
        group=NAMES,
        contract=NAMES,
        transaction_hash=HEX,
        block_number=COUNTS,
        proof=st.none() | PROOFS,
    ),
)


def opened(token: bytes) -> Envelope:
    return unseal(
        token,
        keys=KEYS,
        sender="DVPPLATFORM1",
        receiver="HKGATEWAY01",
        now=float(NOW),
        validators=validators(),
    )


MESSAGE = Envelope(
    message_id=MESSAGE_ID,
    message_type="EvidenceStatus",
    sender="DVPPLATFORM1",
    receiver="HKGATEWAY01",
    issued_at=NOW,
    expires_at=NOW + 120,
    nonce="bm9uY2Utbm9uY2UtMQ",
    in_reply_to=REQUEST_ID,
    body={"evidenceId": "EV-0001", "status": "ANCHORED", "statusAt": NOW},
)
TOKEN = seal(MESSAGE, SIGNER).encode()


@given(value=I_JSON)
def test_i_json_makes_the_round(value: Any) -> None:
    assert ijson.parse(orjson.dumps(value)) == value


@given(data=st.binary(max_size=64) | st.text('[]{}",:\\u0129aef.-+ntrsl ', max_size=40).map(str.encode))
def test_what_is_read_is_what_every_parser_reads(data: bytes) -> None:
    try:
        value = ijson.parse(data)
    except SchemaInvalid:
        return
    assert value == orjson.loads(data) == json.loads(data)


@settings(max_examples=200)
@given(found=EVIDENCES)
def test_evidence_makes_the_round(found: Evidence) -> None:
    body = messages.evidence_body(found)
    assert messages.evidence_from(orjson.loads(orjson.dumps(body))) == found
    validators().assert_valid(
        "dvp/v1/verification-result",
        {"requestId": REQUEST_ID, "outcome": "MATCH", "evidence": body, "checkedAt": NOW},
    )


@given(
    evidence_id=NAMES,
    issued_at=st.integers(NOW - 60, NOW + 60),
    life=st.integers(1, 300),
    nonce=st.from_regex(r"[A-Za-z0-9_-]{16,64}", fullmatch=True),
)
def test_envelope_makes_the_round(evidence_id: str, issued_at: int, life: int, nonce: str) -> None:
    message = replace(
        MESSAGE,
        issued_at=issued_at,
        expires_at=issued_at + life,
        nonce=nonce,
        body=MESSAGE.body | {"evidenceId": evidence_id},
    )
    if message.expires_at > NOW - 60:
        assert opened(seal(message, SIGNER).encode()) == message


@pytest.mark.parametrize("mask", [0x01, 0x02, 0x20, 0x80])
def test_every_flipped_byte_of_an_envelope_is_noticed(mask: int) -> None:
    assert opened(TOKEN) == MESSAGE
    for position in range(len(TOKEN)):
        flipped = bytearray(TOKEN)
        flipped[position] ^= mask
        with pytest.raises(EnvelopeError):
            opened(bytes(flipped))


@given(position=st.integers(0, len(TOKEN) - 1), mask=st.integers(1, 255))
def test_any_change_of_a_byte_of_an_envelope_is_noticed(position: int, mask: int) -> None:
    changed = bytearray(TOKEN)
    changed[position] ^= mask
    with pytest.raises(EnvelopeError):
        opened(bytes(changed))


@given(cut=st.integers(0, len(TOKEN) - 1))
def test_cut_envelope_is_noticed(cut: int) -> None:
    with pytest.raises(EnvelopeError):
        opened(TOKEN[:cut])


def test_every_flipped_character_of_a_signature_or_header_is_noticed() -> None:
    leaf, proof = leaf_of(EVIDENCE), EVIDENCE.chain.proof
    assert proof is not None
    statement = orjson.loads(leaf)["statement"].encode()
    issuers = {ISSUER: SOURCE.keys()}
    anchors = trust.Anchors(LEDGER.keys(), expected_system="SANDBOX", cache_max=4, validators=validators())
    assert trust.issuer_signed(issuers, ISSUER, statement, EVIDENCE.issuer_signature)
    for position in range(len(EVIDENCE.issuer_signature)):
        assert not trust.issuer_signed(issuers, ISSUER, statement, _flip(EVIDENCE.issuer_signature, position))
    assert anchors.anchored(EVIDENCE.chain, leaf)
    for position in range(len(proof.header)):
        header = _flip(proof.header, position)
        assert not anchors.anchored(replace(EVIDENCE.chain, proof=replace(proof, header=header)), leaf)


@given(index=st.integers(0, 10), mask=st.integers(1, 255), sibling=st.integers(0, 31))
def test_changed_sibling_of_a_path_is_noticed(index: int, mask: int, sibling: int) -> None:
    proof = EVIDENCE.chain.proof
    assert proof is not None
    path = [bytearray(node) for node in proof.path]
    path[index % len(path)][sibling] ^= mask
    changed = replace(EVIDENCE.chain, proof=replace(proof, path=tuple(bytes(node) for node in path)))
    anchors = trust.Anchors(LEDGER.keys(), expected_system="SANDBOX", cache_max=4, validators=validators())
    assert not anchors.anchored(changed, leaf_of(EVIDENCE))


@given(
    data=st.binary(max_size=200) | st.from_regex(rb"[A-Za-z0-9_-]{0,40}(\.[A-Za-z0-9_-]{0,40}){0,3}", fullmatch=True)
)
def test_garbage_is_no_envelope(data: bytes) -> None:
    with pytest.raises(EnvelopeError):
        opened(data)


@pytest.mark.parametrize(
    "parse",
    [
        CODEC.parse_consent_request,
        CODEC.parse_data_request,
        lambda body: CODEC.parse_batch(body, items_max=10),
        CODEC.parse_revocation,
        CODEC.parse_reception,
        CODEC.parse_cancellation,
    ],
)
@settings(deadline=None)
@given(body=st.binary(max_size=60) | I_JSON.map(orjson.dumps) | st.sampled_from(BODIES).map(orjson.dumps))
def test_any_body_is_parsed_or_refused_as_invalid(parse: Any, body: bytes) -> None:
    refused: tuple[Violation, ...] = (Violation("", "", ""),)
    try:
        parse(body)
    except SchemaInvalid as refusal:
        refused = refusal.violations
    assert refused


def _flip(text: str, position: int) -> str:
    return text[:position] + chr(ord(text[position]) ^ 1) + text[position + 1 :]
