"""What a source signs, the gateway's trust accepts."""

from __future__ import annotations

from adapters.sandbox.signing import KeySigner, jwks
from adapters.sandbox.source import IssuingSource
from gateway.core.digest import digests_of
from gateway.core.evidence import statement
from gateway.profiles.dvp_v1.signature import key_set
from gateway.profiles.dvp_v1.trust import issuer_signed
from tests.fakes_sandbox import DOCUMENT, DOCUMENT_TYPE, ISSUER_ID, VALIDATORS

DIGESTS = digests_of(DOCUMENT)


def test_a_registration_is_signed_by_its_source() -> None:
    signer = KeySigner.create("source-1")
    source = IssuingSource(participant_id=ISSUER_ID, signer=signer)
    body = source.registration(document_type=DOCUMENT_TYPE, digests=DIGESTS, valid_until=1_900_000_000)
    signed = statement(
        evidence_id=body["evidenceId"],
        document_type=DOCUMENT_TYPE,
        issuer_id=ISSUER_ID,
        digests=DIGESTS,
        valid_until=1_900_000_000,
    )
    keys = {ISSUER_ID: key_set(jwks([signer]))}
    assert issuer_signed(keys, ISSUER_ID, signed, body["issuerSignature"])
    assert VALIDATORS.is_valid("dvp/v1/evidence-registration", body)


def test_each_registration_has_its_own_evidence_id() -> None:
    source = IssuingSource(participant_id=ISSUER_ID, signer=KeySigner.create("source-1"))
    bodies = [source.registration(document_type=DOCUMENT_TYPE, digests=DIGESTS, valid_until=None) for _ in range(2)]
    assert bodies[0]["evidenceId"] != bodies[1]["evidenceId"]
