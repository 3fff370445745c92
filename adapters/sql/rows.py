"""Rows of the store's tables and the objects of the model, in both directions. No SQL and no decisions. Those of the
outbox are in `outbox_rows`.

Vouchers leave their object here: they are sealed into a column of their own and are in no JSON value.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import orjson

from gateway.core.model import (
    Approval,
    ChainProof,
    ChainReference,
    Consent,
    ConsentStatus,
    DataScope,
    Digest,
    Document,
    Evidence,
    EvidenceStatus,
    Exchange,
    ExchangeStatus,
    Fact,
    HashAlgorithm,
    Logged,
    Notice,
    Outcome,
    Reason,
    Receipt,
    Report,
    Verdict,
)
from gateway.ports import Idempotency, NewNotice, Sealer

Row = Sequence[Any]
Values = dict[str, Any]

CONSENT_COLUMNS = (
    "consent_id",
    "consumer_id",
    "status",
    "expire_time",
    "subject",
    "approval",
    "reserved",
    "used",
    "reject_code",
    "created_at",
    "updated_at",
    "voucher",
    "terms",
)
EXCHANGE_COLUMNS = (
    "exchange_id",
    "consumer_id",
    "consent_id",
    "status",
    "version",
    "next_attempt_at",
    "voucher",
    "request",
    "progress",
)
# What may change after submission, and after acceptance.
CONSENT_STATE_COLUMNS = ("status", "approval", "reserved", "used", "reject_code", "updated_at")
EXCHANGE_STATE_COLUMNS = (
    "status",
    "version",
    "next_attempt_at",
    "lease_until",
    "lease_owner",
    "evidence_id",
    "progress",
)
NOTICE_COLUMNS = (
    "sequence",
    "participant_id",
    "type",
    "time",
    "consent_id",
    "exchange_id",
    "evidence_id",
    "detail",
)

_DELIVERED = frozenset({ExchangeStatus.SHARED, ExchangeStatus.RECEIVED})


# --- consents ------------------------------------------------------------------------------------------------


def consent_row(consent: Consent, idempotency: Idempotency, sealer: Sealer) -> Values:
    return {
        "consent_id": consent.consent_id,
        "consumer_id": consent.consumer_id,
        "status": consent.status.value,
        "expire_time": consent.expire_time,
        "subject": consent.subject,
        "approval": consent.approval.value if consent.approval is not None else None,
        "reserved": consent.reserved,
        "used": consent.used,
        "reject_code": consent.reject_code,
        "created_at": consent.created_at,
        "updated_at": consent.updated_at,
        "voucher": _seal(consent.scope, consent.consent_id, sealer),
        "terms": orjson.dumps(_terms(consent)),
        "idempotency_key": idempotency.key,
        "fingerprint": idempotency.fingerprint,
    }


def consent_state(consent: Consent) -> Values:
    """CONSENT_STATE_COLUMNS; `row_id` is the consent's."""
    return {
        "row_id": consent.consent_id,
        "status": consent.status.value,
        "approval": consent.approval.value if consent.approval is not None else None,
        "reserved": consent.reserved,
        "used": consent.used,
        "reject_code": consent.reject_code,
        "updated_at": consent.updated_at,
    }


def consent(row: Row, sealer: Sealer) -> Consent:
    """From CONSENT_COLUMNS. Raises ValueError when the voucher cannot be opened."""
    columns: dict[str, Any] = dict(zip(CONSENT_COLUMNS, row, strict=True))
    status, approval, voucher = columns.pop("status"), columns.pop("approval"), columns.pop("voucher")
    terms = orjson.loads(columns.pop("terms"))
    terms.pop("subject", None)  # rows of earlier versions have it here too
    scope = terms.pop("scope")
    return Consent(
        **columns,
        **terms,
        status=ConsentStatus(status),
        approval=Approval(approval) if approval is not None else None,
        scope=_scope(scope, voucher, columns["consent_id"], sealer),
    )


def _terms(consent: Consent) -> Values:
    return {
        "consumer_name": consent.consumer_name,
        "provider_id": consent.provider_id,
        "provider_name": consent.provider_name,
        "type": consent.type,
        "scope": _open_scope(consent.scope),
        "purpose": consent.purpose,
        "hash_key": consent.hash_key,
        "max_uses": consent.max_uses,
    }


# --- exchanges -----------------------------------------------------------------------------------------------


def exchange_row(
    exchange: Exchange, idempotency: Idempotency, *, lease_until: float, lease_owner: str, sealer: Sealer
) -> Values:
    state = exchange_state(exchange, lease_until=lease_until, lease_owner=lease_owner)
    del state["row_id"]
    request = {
        "request_id": exchange.request_id,
        "scope": _open_scope(exchange.scope),
        "purpose": exchange.purpose,
        "document": exchange.document,
        "interaction": exchange.interaction,
        "client_id": exchange.client_id,
        "certificate": exchange.certificate,
        "created_at": exchange.created_at,
        "deadline_at": exchange.deadline_at,
    }
    return state | {
        "exchange_id": exchange.exchange_id,
        "consumer_id": exchange.consumer_id,
        "consent_id": exchange.consent_id,
        "voucher": _seal(exchange.scope, exchange.exchange_id, sealer),
        "request": orjson.dumps(request),
        "idempotency_key": idempotency.key,
        "fingerprint": idempotency.fingerprint,
    }


def exchange_state(exchange: Exchange, *, lease_until: float, lease_owner: str) -> Values:
    """EXCHANGE_STATE_COLUMNS; `row_id` is the exchange's."""
    verdict = exchange.verdict
    matched = verdict is not None and verdict.outcome is Outcome.MATCH and exchange.status in _DELIVERED
    progress = {
        "updated_at": exchange.updated_at,
        "attempts": exchange.attempts,
        "reject_code": exchange.reject_code,
        "reject_detail": exchange.reject_detail,
        "verdict": verdict,
        "report": exchange.report,
        "receipt": exchange.receipt,
        "response_id": exchange.response_id,
    }
    return {
        "row_id": exchange.exchange_id,
        "status": exchange.status.value,
        "version": exchange.version,
        "next_attempt_at": exchange.next_attempt_at,
        "lease_until": lease_until,
        "lease_owner": lease_owner,
        "evidence_id": verdict.evidence.evidence_id if matched and verdict and verdict.evidence else None,
        "progress": orjson.dumps(progress, default=_hex),
    }


def exchange(row: Row, sealer: Sealer) -> Exchange:
    """From EXCHANGE_COLUMNS. Raises ValueError when the voucher cannot be opened."""
    exchange_id, consumer_id, consent_id, status, version, next_attempt_at, voucher, request_data, progress_data = row
    request = orjson.loads(request_data)
    progress = orjson.loads(progress_data)
    verdict, report = progress["verdict"], progress["report"]
    receipt = progress.get("receipt")  # rows of earlier versions have none
    return Exchange(
        exchange_id=exchange_id,
        request_id=request["request_id"],
        consumer_id=consumer_id,
        consent_id=consent_id,
        scope=_scope(request["scope"], voucher, exchange_id, sealer),
        purpose=request["purpose"],
        document=document_of(request["document"]),
        status=ExchangeStatus(status),
        interaction=request["interaction"],
        client_id=request["client_id"],
        certificate=request["certificate"],
        created_at=request["created_at"],
        updated_at=progress["updated_at"],
        deadline_at=request["deadline_at"],
        next_attempt_at=next_attempt_at,
        attempts=progress["attempts"],
        reject_code=progress["reject_code"],
        reject_detail=progress["reject_detail"],
        verdict=_verdict(verdict) if verdict else None,
        report=Report(**report) if report else None,
        receipt=_receipt(receipt) if receipt else None,
        response_id=progress["response_id"],
        version=version,
    )


def document_of(value: Values) -> Document:
    return Document(issuer_id=value["issuer_id"], digests=_digests(value["digests"]), size=value["size"])


def _digests(values: list[Values]) -> tuple[Digest, ...]:
    return tuple(Digest(algorithm=HashAlgorithm(value["algorithm"]), value=value["value"]) for value in values)


def _verdict(value: Values) -> Verdict:
    evidence, reason = value["evidence"], value["reason"]
    return Verdict(
        outcome=Outcome(value["outcome"]),
        reason=Reason(reason) if reason else None,
        integrity=Fact(value["integrity"]),
        status=Fact(value["status"]),
        issuer=Fact(value["issuer"]),
        evidence=_evidence(evidence) if evidence else None,
        checked_at=value["checked_at"],
        alarm=value["alarm"],
    )


def _receipt(value: Values) -> Receipt:
    logged = value["logged"]
    return Receipt(jws=value["jws"], logged=Logged(**(logged | {"leaf_hash": bytes.fromhex(logged["leaf_hash"])})))


def _evidence(value: Values) -> Evidence:
    chain = value["chain"]
    proof = chain["proof"]
    if proof is not None:
        proof = ChainProof(**(proof | {"path": tuple(bytes.fromhex(node) for node in proof["path"])}))
    return Evidence(
        **(
            value
            | {
                "digests": _digests(value["digests"]),
                "status": EvidenceStatus(value["status"]),
                "chain": ChainReference(**(chain | {"proof": proof})),
            }
        )
    )


# --- notices -------------------------------------------------------------------------------------------------


def notice_row(sequence: int, notice: NewNotice) -> Values:
    return {
        "sequence": sequence,
        "participant_id": notice.participant_id,
        "type": notice.type,
        "time": notice.time,
        "consent_id": notice.consent_id,
        "exchange_id": notice.exchange_id,
        "evidence_id": notice.evidence_id,
        "detail": notice.detail,
    }


def notice(row: Row) -> Notice:
    return Notice(**dict(zip(NOTICE_COLUMNS, row, strict=True)))


def _open_scope(scope: DataScope) -> Values:
    return {
        "scope_type": scope.scope_type,
        "document_type": scope.document_type,
        "start_date": scope.start_date,
        "end_date": scope.end_date,
    }


def _scope(value: Values, voucher: bytes | None, context: str, sealer: Sealer) -> DataScope:
    return DataScope(**value, udr=sealer.open(voucher, context=context) if voucher is not None else None)


def _seal(scope: DataScope, context: str, sealer: Sealer) -> bytes | None:
    return sealer.seal(scope.udr, context=context) if scope.udr is not None else None


def _hex(value: Any) -> str:
    if isinstance(value, bytes):
        return value.hex()
    raise TypeError(type(value).__name__)
