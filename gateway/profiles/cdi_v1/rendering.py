"""Values of the model to CDI's objects. What is left out is left out on purpose: references, identities, pseudonyms."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

from gateway.core.model import (
    ChainReference,
    Consent,
    ConsentStatus,
    DataScope,
    Digest,
    Document,
    Evidence,
    Exchange,
    ExchangeStatus,
    Logged,
    Notice,
    Outcome,
    Reason,
    Report,
    Verdict,
)

_REASONS = frozenset(reason.value for reason in Reason)


def consent(value: Consent, secret: str | None = None) -> dict[str, Any]:
    """`secret` is given when the gateway made it: it is shown this once."""
    body: dict[str, Any] = {
        "consentId": value.consent_id,
        "type": value.type,
        "dataConsumerId": value.consumer_id,
        "dataConsumerName": value.consumer_name,
        "dataProviderId": value.provider_id,
        "dataProviderName": value.provider_name,
        "scope": scope(value.scope),
        "purpose": value.purpose,
        "hashKey": value.hash_key,
        "status": value.status.value,
        "expireTime": value.expire_time,
        "usage": {"maxUses": value.max_uses, "used": value.used},
        "createTime": time(value.created_at),
        "updateTime": time(value.updated_at),
    }
    if value.reject_code is not None:
        body["rejectReasonCode"] = value.reject_code
    if secret is not None:
        body["private"] = {"secret": secret}
    return body


def exchange(value: Exchange, public_url: str) -> dict[str, Any]:
    body: dict[str, Any] = {
        "dataRequestId": value.exchange_id,
        "consentId": value.consent_id,
        "dataScope": scope(value.scope),
        "purpose": value.purpose,
        "status": value.status.value,
        "createTime": time(value.created_at),
        "updateTime": time(value.updated_at),
    }
    if value.reject_code is not None:
        body["rejectReasonCode"] = value.reject_code
    if value.reject_detail is not None:
        body["rejectReasonDetail"] = value.reject_detail
    if value.status is ExchangeStatus.REJECTED:
        body["mayRetry"] = _nothing_found_out(value)
    if value.verdict is not None:
        body["verification"] = verification(value.verdict, proven=False)
    if value.report is not None and value.response_id is not None:
        _add_file(body, value, value.report, value.response_id, public_url)
    if value.receipt is not None:
        body["receipt"] = value.receipt.jws
    return body


def _add_file(body: dict[str, Any], value: Exchange, report: Report, response_id: str, public_url: str) -> None:
    path = f"/cdi/v1/data-requests/{value.exchange_id}/files/{report.name}"
    body["hashKeyOfData"] = report.sha256
    body["responseList"] = [
        {
            "dataResponseId": response_id,
            "publicKeyId": report.key_id,
            "dataFile": {
                "channel": "HTTPS",
                "endPoint": public_url,
                "fileType": "JWS",
                "filePath": path,
                "fileHash": report.sha256,
            },
        }
    ]
    if value.status is ExchangeStatus.RECEIVED:
        body["receptionList"] = [
            {"dataResponseId": response_id, "dataFile": {"filePath": path, "fileHash": report.sha256}}
        ]


def _nothing_found_out(value: Exchange) -> bool:
    if value.verdict is not None:
        return value.verdict.outcome is Outcome.INDETERMINATE
    return value.reject_detail in _REASONS


CONSENT_EVENTS = {
    "CONSENT_VALID": ("consent-valid", ConsentStatus.VALID),
    "CONSENT_REJECTED": ("consent-rejected", ConsentStatus.REJECTED),
    "CONSENT_REVOKED": ("consent-revoked", ConsentStatus.REVOKED),
    "CONSENT_EXPIRED": ("consent-expired", ConsentStatus.EXPIRED),
    "CONSENT_CONSUMED": ("consent-consumed", ConsentStatus.CONSUMED),
}
"""Notices that a bank may have to show to somebody else, and what is signed of them (RFC 8417)."""


def consent_event(value: Notice, *, gateway_id: str, now: int) -> dict[str, Any]:
    name, status = CONSENT_EVENTS[value.type]
    event: dict[str, Any] = {"consentId": value.consent_id, "status": status.value}
    if value.detail is not None:
        event["reason"] = value.detail
    return {
        "iss": gateway_id,
        "aud": value.participant_id,
        "iat": now,
        "jti": f"notice-{value.sequence}",
        "toe": value.time,
        "events": {f"urn:cdi-gateway:event:{name}": event},
    }


def consent_receipt(value: Consent, *, gateway_id: str, now: int) -> dict[str, Any]:
    """What a data owner keeps of a consent. Without `udr`: see `scope`."""
    return {
        "iss": gateway_id,
        "iat": now,
        "consentId": value.consent_id,
        "consentHash": value.hash_key,
        "dataConsumerId": value.consumer_id,
        "dataConsumerName": value.consumer_name,
        "dataProviderId": value.provider_id,
        "dataProviderName": value.provider_name,
        "scope": scope(value.scope),
        "purpose": value.purpose,
        "status": value.status.value,
        "createTime": value.created_at,
        "updateTime": value.updated_at,
        "expireTime": value.expire_time,
        "usage": {"maxUses": value.max_uses, "used": value.used},
    }


def notice(value: Notice, token: str | None = None) -> dict[str, Any]:
    """`token`: its signed form."""
    body: dict[str, Any] = {"sequence": value.sequence, "type": value.type, "time": time(value.time)}
    if value.consent_id is not None:
        body["consentId"] = value.consent_id
    if value.exchange_id is not None:
        body["dataRequestId"] = value.exchange_id
    if value.evidence_id is not None:
        body["evidenceId"] = value.evidence_id
    if value.detail is not None:
        body["detail"] = value.detail
    if token is not None:
        body["token"] = token
    return body


def report(value: Exchange, verdict: Verdict, *, gateway_id: str, now: int) -> dict[str, Any]:
    """The payload of the signed report: enough to check the evidence offline, without the gateway."""
    return {
        "version": "1.0",
        "gateway": gateway_id,
        "dataRequestId": value.exchange_id,
        "consentId": value.consent_id,
        "dataConsumerId": value.consumer_id,
        "purpose": value.purpose,
        "documentType": value.scope.document_type,
        "document": _document(value.document),
        "verification": verification(verdict, proven=True),
        "time": now,
    }


def receipt(
    value: Exchange,
    consent: Consent,
    verdict: Verdict,
    *,
    gateway_id: str,
    log: dict[str, Any],
    record_id: str,
    now: int,
) -> dict[str, Any]:
    """The claims of the receipt. No identity: the consent's hash commits to the data owner, who can open it."""
    body: dict[str, Any] = {
        "iss": gateway_id,
        "aud": value.consumer_id,
        "iat": now,
        "jti": record_id,
        "dataRequestId": value.exchange_id,
        "consentId": value.consent_id,
        "consentHash": consent.hash_key,
        "purpose": value.purpose,
        "outcome": verdict.outcome.value,
        "integrity": verdict.integrity.value,
        "status": verdict.status.value,
        "issuer": verdict.issuer.value,
        "document": {
            "type": value.scope.document_type,
            "issuerId": value.document.issuer_id,
            "digests": digests(value.document.digests),
        },
        "checkedAt": verdict.checked_at,
        "log": log,
    }
    if verdict.evidence is not None:
        body["evidence"] = verdict.evidence.evidence_id
    return body


def place(logged: Logged, log_origin: str) -> dict[str, Any]:
    """Where a record stands: the log's name, the index from 0, the RFC 6962 leaf hash."""
    return {"origin": log_origin, "index": logged.index, "leafHash": logged.leaf_hash.hex()}


def verification(verdict: Verdict, *, proven: bool) -> dict[str, Any]:
    """`proven` adds the issuer's signature and the chain proof."""
    body: dict[str, Any] = {
        "outcome": verdict.outcome.value,
        "integrity": verdict.integrity.value,
        "status": verdict.status.value,
        "issuer": verdict.issuer.value,
        "checkedAt": verdict.checked_at,
    }
    if verdict.reason is not None:
        body["reason"] = verdict.reason.value
    if verdict.evidence is not None:
        body["evidence"] = _evidence(verdict.evidence, proven=proven)
    return body


def scope(value: DataScope) -> dict[str, Any]:
    """Without `udr`: the voucher is a bearer reference, and whoever may use it has it."""
    body = {"scopeType": value.scope_type, "documentType": value.document_type}
    if value.start_date is not None:
        body["startDate"] = value.start_date
    if value.end_date is not None:
        body["endDate"] = value.end_date
    return body


def digests(values: Iterable[Digest]) -> list[dict[str, str]]:
    return [{"algorithm": digest.algorithm.value, "value": digest.value} for digest in values]


def time(seconds: int) -> dict[str, Any]:
    """CDI's time object: Unix seconds, and RFC 3339 in UTC."""
    return {"t": seconds, "humanT": _human(seconds)}


@lru_cache(maxsize=1_024)  # most of what is rendered now happened in the last seconds
def _human(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _document(document: Document) -> dict[str, Any]:
    body: dict[str, Any] = {"issuerId": document.issuer_id, "digests": digests(document.digests)}
    if document.size is not None:
        body["size"] = document.size
    return body


def _evidence(evidence: Evidence, *, proven: bool) -> dict[str, Any]:
    body: dict[str, Any] = {
        "evidenceId": evidence.evidence_id,
        "issuerId": evidence.issuer_id,
        "digests": digests(evidence.digests),
        "anchoredAt": evidence.anchored_at,
        "status": evidence.status.value,
        "statusAt": evidence.status_at,
        "chain": _chain(evidence.chain, proven=proven),
    }
    if evidence.valid_until is not None:
        body["validUntil"] = evidence.valid_until
    if proven:
        body["issuerSignature"] = evidence.issuer_signature
    return body


def _chain(chain: ChainReference, *, proven: bool) -> dict[str, Any]:
    body: dict[str, Any] = {
        "system": chain.system,
        "group": chain.group,
        "contract": chain.contract,
        "transactionHash": chain.transaction_hash,
        "blockNumber": chain.block_number,
    }
    if proven and chain.proof is not None:
        body["proof"] = {
            "leafIndex": chain.proof.leaf_index,
            "treeSize": chain.proof.tree_size,
            "path": [sibling.hex() for sibling in chain.proof.path],
            "header": chain.proof.header,
        }
    return body
