"""What is signed about evidence: the issuer's statement, and the ledger's leaf. `dvp/v1`, our own model."""

from __future__ import annotations

from gateway.core.canonical import canonical
from gateway.core.model import Digest


def statement(
    *, evidence_id: str, document_type: str, issuer_id: str, digests: tuple[Digest, ...], valid_until: int | None
) -> bytes:
    """The RFC 8785 bytes that an issuer signs (`issuerSignature`, detached JWS): which document, whose, until when."""
    body: dict[str, object] = {
        "evidenceId": evidence_id,
        "documentType": document_type,
        "issuerId": issuer_id,
        "digests": [
            {"algorithm": digest.algorithm.value, "value": digest.value}
            for digest in sorted(digests, key=lambda digest: digest.algorithm)
        ],
    }
    if valid_until is not None:
        body["validUntil"] = valid_until
    return canonical(body)


def ledger_leaf(*, statement_bytes: bytes, issuer_signature: str) -> bytes:
    """The bytes of the ledger's leaf for this evidence: the signed statement with its signature."""
    return canonical({"statement": statement_bytes.decode(), "issuerSignature": issuer_signature})
