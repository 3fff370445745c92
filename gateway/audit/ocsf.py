"""Events as OCSF 1.3.0 JSON (https://schema.ocsf.io/1.3.0): which class each type of record is, and its attributes.

What OCSF has no attribute for stands in `unmapped`, by its name in the entry. Where the event stands in the log is
`metadata.sequence` (its index, so that gaps show) and `unmapped.log`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from gateway.audit.event import PRODUCT, Event, Gap, Severity, Status

VERSION = "1.3.0"

_BASE, _AUTHENTICATION, _LIFECYCLE, _API = 0, 3002, 6002, 6003
_CLASS_NAMES = {
    _BASE: "Base Event",
    _AUTHENTICATION: "Authentication",
    _LIFECYCLE: "Application Lifecycle",
    _API: "API Activity",
}
_LOGON, _LOGOFF = 1, 2
_START, _STOP = 3, 4
_CREATE, _READ, _UPDATE, _DELETE = 1, 2, 3, 4
_OTHER = 99

_ENTRY_TO_OCSF = frozenset({"v", "id", "time", "type", "actor", "counterparty", "interaction", "count", "software"})
"""Fields of an entry that have an attribute of their own; the rest is `unmapped`."""


@dataclass(frozen=True, slots=True)
class _Kind:
    class_uid: int
    activity: int


_KINDS: Mapping[str, _Kind] = {
    "admission.refused": _Kind(_API, _OTHER),
    "audit.erased": _Kind(_API, _DELETE),
    "audit.exported": _Kind(_API, _READ),
    "audit.held": _Kind(_API, _CREATE),
    "audit.pruned": _Kind(_API, _DELETE),
    "audit.read": _Kind(_API, _READ),
    "audit.released": _Kind(_API, _DELETE),
    "config.loaded": _Kind(_LIFECYCLE, _OTHER),
    "consent.submitted": _Kind(_API, _CREATE),
    "key.rotated": _Kind(_LIFECYCLE, _OTHER),
    "service.started": _Kind(_LIFECYCLE, _START),
    "service.stopped": _Kind(_LIFECYCLE, _STOP),
    "token.issued": _Kind(_AUTHENTICATION, _LOGON),
    "token.refused": _Kind(_AUTHENTICATION, _LOGON),
    "token.revoked": _Kind(_AUTHENTICATION, _LOGOFF),
    "verification.intended": _Kind(_API, _CREATE),
    "verification.decided": _Kind(_API, _READ),
    "verification.delivered": _Kind(_API, _READ),
}
_GROUPS: Mapping[str, _Kind] = {"consent": _Kind(_API, _UPDATE), "evidence": _Kind(_API, _UPDATE)}
_UNNAMED = _Kind(_API, _OTHER)


def ocsf(item: Event | Gap) -> bytes:
    """One JSON object, without a line end."""
    return orjson.dumps(_gap(item) if isinstance(item, Gap) else _event(item))


def _event(event: Event) -> dict[str, Any]:
    kind = _KINDS.get(event.type) or _GROUPS.get(event.type.partition(".")[0], _UNNAMED)
    body = event.body
    rendered: dict[str, Any] = {
        **_classification(kind, event.type),
        "time": event.milliseconds,
        "message": event.type,
        "severity_id": int(event.severity),
        "severity": event.severity.name.title(),
        "status_id": int(event.status),
        "status": event.status.name.title(),
        "metadata": {
            **_metadata(event.origin, event.index, event.software),
            "uid": body["id"],
            "event_code": event.type,
            "original_time": body["time"],
        },
        **_attributes(kind.class_uid, event),
        "unmapped": {
            "log": {"origin": event.origin, "index": event.index, "leafHash": event.leaf_hash.hex()},
            **{name: value for name, value in body.items() if name not in _ENTRY_TO_OCSF},
        },
    }
    if "reason" in body:
        rendered["status_detail"] = body["reason"]
    if "count" in body:
        rendered["count"] = body["count"]
    if "interaction" in body:
        rendered["metadata"]["correlation_uid"] = body["interaction"]
    return rendered


def _attributes(class_uid: int, event: Event) -> dict[str, Any]:
    """What the class asks for, beyond the base event."""
    if class_uid == _LIFECYCLE:
        return {"app": {"name": PRODUCT, "vendor_name": PRODUCT, "version": event.software}}
    actor: Mapping[str, Any] = event.body.get("actor") or {"participant": PRODUCT, "role": "gateway"}
    # An institution is the endpoint too: the log holds no address of anybody.
    endpoint = {"uid": actor["participant"]}
    user: dict[str, Any] = {"uid": actor["participant"], "type": actor["role"], "type_id": _OTHER}
    if "client" in actor:
        user["name"] = actor["client"]
    if "certificate" in actor:
        user["credential_uid"] = actor["certificate"]
    if class_uid == _AUTHENTICATION:
        return {"user": user, "service": {"name": PRODUCT}, "src_endpoint": endpoint}
    attributes: dict[str, Any] = {
        "actor": {"user": user},
        "src_endpoint": endpoint,
        "api": {"operation": event.type, "service": {"name": PRODUCT}, "response": _response(event)},
    }
    if "request" in event.body:
        attributes["api"]["request"] = {"uid": event.body["request"]}
    if "counterparty" in event.body:
        attributes["dst_endpoint"] = {"uid": event.body["counterparty"]}
    if "consent" in event.body:
        attributes["resources"] = [{"type": "consent", "uid": event.body["consent"]["id"]}]
    return attributes


def _response(event: Event) -> dict[str, Any]:
    failed = event.status is Status.FAILURE
    response: dict[str, Any] = {"message": event.body.get("outcome", event.status.name.title())}
    if failed and "reason" in event.body:
        response["error"] = event.body["reason"]
    return response


def _gap(gap: Gap) -> dict[str, Any]:
    return {
        **_classification(_Kind(_BASE, _OTHER), "log.gap"),
        "time": gap.milliseconds,
        "message": f"entries {gap.first} to {gap.below - 1} were pruned before they could be forwarded",
        "severity_id": int(Severity.MEDIUM),
        "severity": Severity.MEDIUM.name.title(),
        "metadata": {**_metadata(gap.origin, gap.first, ""), "event_code": "log.gap"},
        "count": gap.below - gap.first,
        "unmapped": {"log": {"origin": gap.origin, "index": gap.first, "below": gap.below}},
    }


def _classification(kind: _Kind, name: str) -> dict[str, Any]:
    return {
        "category_uid": kind.class_uid // 1_000,
        "class_uid": kind.class_uid,
        "class_name": _CLASS_NAMES[kind.class_uid],
        "activity_id": kind.activity,
        "activity_name": name if kind.activity == _OTHER else _ACTIVITIES[kind.class_uid][kind.activity],
        "type_uid": kind.class_uid * 100 + kind.activity,
    }


_ACTIVITIES = {
    _AUTHENTICATION: {_LOGON: "Logon", _LOGOFF: "Logoff"},
    _LIFECYCLE: {_START: "Start", _STOP: "Stop"},
    _API: {_CREATE: "Create", _READ: "Read", _UPDATE: "Update", _DELETE: "Delete"},
}


def _metadata(origin: str, sequence: int, software: str) -> dict[str, Any]:
    product = {"name": PRODUCT, "vendor_name": PRODUCT}
    if software:
        product["version"] = software
    return {"version": VERSION, "product": product, "log_name": origin, "sequence": sequence}
