"""Records on their way to the audit log, as the outbox keeps them. No SQL and no decisions."""

from __future__ import annotations

from dataclasses import replace

import orjson

from adapters.sql.rows import document_of
from gateway.audit.record import Actor, Record
from gateway.core.model import Approval, Consent, ConsentStatus, DataScope, Direction


def record_data(record: Record) -> bytes:
    """A record on its way to the audit log. No entry holds a voucher, so its consent loses it here."""
    if record.consent is not None and record.consent.scope.udr is not None:
        record = replace(record, consent=replace(record.consent, scope=replace(record.consent.scope, udr=None)))
    return orjson.dumps(record)


def record(data: bytes) -> Record:
    value = orjson.loads(data)
    actor, direction, agreed, document = value["actor"], value["direction"], value["consent"], value["document"]
    if agreed is not None:
        scope = DataScope(**agreed["scope"])
        approval = agreed.get("approval")  # records of earlier versions have none
        status = {
            "status": ConsentStatus(agreed["status"]),
            "approval": Approval(approval) if approval is not None else None,
        }
        agreed = Consent(**(agreed | status | {"scope": scope}))
    return Record(
        **(
            value
            | {
                "actor": Actor(**actor) if actor else None,
                "direction": Direction(direction) if direction else None,
                "consent": agreed,
                "document": document_of(document) if document else None,
            }
        )
    )
