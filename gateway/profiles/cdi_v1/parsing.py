"""Schema-valid CDI messages to values of the model, and the few rules that a schema cannot say."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from gateway.core.consent import DataRequest
from gateway.core.model import DataScope, Digest, Document, HashAlgorithm
from gateway.errors import SchemaInvalid, Violation


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsentRequest:
    """What the bank asks the data owner for. `private` never stays: only its commitment and a pseudonym do."""

    type: str
    provider_id: str
    scope: DataScope
    purpose: str
    expire_time: int  # Unix seconds
    max_uses: int
    private: dict[str, Any] = field(repr=False)
    hash_key: str | None  # as the bank computed it, to be checked


def consent_request(body: Mapping[str, Any]) -> ConsentRequest:
    return ConsentRequest(
        type=body["type"],
        provider_id=body["dataProviderId"],
        scope=_scope(body["scope"], "/scope"),
        purpose=body["purpose"],
        expire_time=body["expireTime"],
        max_uses=body["usage"]["maxUses"] if "usage" in body else 1,
        private=body["private"],
        hash_key=body.get("hashKey"),
    )


def data_request(body: Mapping[str, Any], at: str = "") -> DataRequest:
    """`at` is the pointer of `body` in the request's body. Raises SchemaInvalid."""
    document = body["document"]
    return DataRequest(
        consent_id=body["consentId"],
        scope=_scope(body["dataScope"], f"{at}/dataScope"),
        purpose=body["purpose"],
        document=Document(
            issuer_id=document["issuerId"],
            digests=_digests(document["digests"], f"{at}/document/digests"),
            size=document.get("size"),
        ),
    )


def _scope(body: Mapping[str, Any], at: str) -> DataScope:
    start, end = body.get("startDate"), body.get("endDate")
    if start is not None and end is not None and end < start:  # ISO 8601 calendar dates compare as text
        raise SchemaInvalid(violations=(Violation(f"{at}/endDate", "minimum", "Must not be before startDate"),))
    return DataScope(
        scope_type=body["scopeType"],
        document_type=body["documentType"],
        udr=body.get("udr"),
        start_date=start,
        end_date=end,
    )


def _digests(body: list[dict[str, str]], at: str) -> tuple[Digest, ...]:
    digests = tuple(Digest(algorithm=HashAlgorithm(item["algorithm"]), value=item["value"]) for item in body)
    if len({digest.algorithm for digest in digests}) != len(digests):
        raise SchemaInvalid(violations=(Violation(at, "uniqueItems", "Must hold one digest per algorithm"),))
    return digests
