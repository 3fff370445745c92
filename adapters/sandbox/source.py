"""A mainland source of the sandbox: signs what it issues as its own institution, to be registered with the platform."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from gateway.core.evidence import statement
from gateway.core.model import Digest
from gateway.ports import Signer
from gateway.profiles.dvp_v1.messages import digests_body
from gateway.profiles.dvp_v1.trust import detached_sign


@dataclass(frozen=True, slots=True, kw_only=True)
class IssuingSource:
    participant_id: str
    signer: Signer

    def registration(self, *, document_type: str, digests: Sequence[Digest], valid_until: int | None) -> dict[str, Any]:
        """The body of an EvidenceRegistration for a new evidence id."""
        evidence_id = str(uuid.uuid4())
        signed = statement(
            evidence_id=evidence_id,
            document_type=document_type,
            issuer_id=self.participant_id,
            digests=tuple(digests),
            valid_until=valid_until,
        )
        body: dict[str, Any] = {
            "evidenceId": evidence_id,
            "documentType": document_type,
            "issuerId": self.participant_id,
            "digests": digests_body(digests),
            "issuerSignature": detached_sign(self.signer, signed),
        }
        if valid_until is not None:
            body["validUntil"] = valid_until
        return body
