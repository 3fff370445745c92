"""What leaves an entry for security monitoring: its public fields, where it stands in the log, and what became of it.

Nothing sealed and no pseudonym leaves, whatever the entry holds; `ocsf` and `cef` render what is here.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import IntEnum
from typing import Any

import orjson

from gateway.audit.privacy import FIELDS, Privacy

FACTS_BYTES_MAX = 2_048
PRODUCT = "cdi-dvp-gateway"


class Severity(IntEnum):
    """As OCSF numbers it."""

    INFORMATIONAL = 1
    LOW = 2
    MEDIUM = 3
    HIGH = 4


class Status(IntEnum):
    """As OCSF numbers it: whether what was asked for was done, not whether the answer was a good one."""

    SUCCESS = 1
    FAILURE = 2


_PSEUDONYM = re.compile(r"((?:subject|digest:keyed):)[0-9a-f]{64}")  # in the text of a query

_ALARMS = frozenset({"SIGNATURE_INVALID", "ANSWER_UNTRUSTED"})
_WARNINGS = frozenset({"MISMATCH", "REVOKED", "SUPERSEDED", "ISSUER_UNTRUSTED"})

_SEVERITY: Mapping[str, Severity] = {
    "audit.erased": Severity.MEDIUM,
    "audit.exported": Severity.MEDIUM,
    "audit.pruned": Severity.MEDIUM,
    "audit.recovered": Severity.HIGH,
    "audit.released": Severity.MEDIUM,
    "key.rotated": Severity.MEDIUM,
}
_REFUSALS = ("refused", "rejected")


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """`body`: the entry's public fields by their names in the entry."""

    origin: str
    index: int
    leaf_hash: bytes
    body: Mapping[str, Any]

    @property
    def type(self) -> str:
        return str(self.body["type"])

    @property
    def software(self) -> str:
        """The version of the gateway that wrote the entry."""
        return str(self.body.get("software", "")).rpartition("/")[2]

    @property
    def milliseconds(self) -> int:
        """Unix time of the entry."""
        # In whole numbers: as a float of seconds the last millisecond would be rounding's to choose.
        moment = datetime.fromisoformat(self.body["time"])
        return int(moment.replace(microsecond=0).timestamp()) * 1_000 + moment.microsecond // 1_000

    @property
    def status(self) -> Status:
        return Status.FAILURE if self.type.endswith(_REFUSALS) else Status.SUCCESS

    @property
    def severity(self) -> Severity:
        if _ALARMS & {self.body.get("outcome"), self.body.get("reason")}:
            return Severity.HIGH
        if self.body.get("outcome") in _WARNINGS:
            return Severity.MEDIUM
        usual = Severity.LOW if self.status is Status.FAILURE else Severity.INFORMATIONAL
        return _SEVERITY.get(self.type, usual)


@dataclass(frozen=True, slots=True, kw_only=True)
class Gap:
    """Entries that cannot be forwarded any more: they were pruned. From index `first` to below `below`.

    `noticed`: Unix seconds; the entries' own times are gone with them.
    """

    origin: str
    first: int
    below: int
    noticed: float

    @property
    def milliseconds(self) -> int:
        return int(self.noticed * 1_000)


def event(entry: bytes, *, origin: str, index: int, leaf_hash: bytes) -> Event:
    """The public part of an entry. Raises ValueError for what is no entry."""
    body = orjson.loads(entry)
    if not isinstance(body, dict) or not isinstance(body.get("type"), str) or not isinstance(body.get("time"), str):
        raise ValueError("not an audit entry")  # noqa: TRY004 - a wrong value, not a programmer's error
    public = _public(body, "")
    facts = public.get("facts")
    if isinstance(facts, dict) and isinstance(facts.get("query"), str):
        facts = public["facts"] = {**facts, "query": _PSEUDONYM.sub(r"\1*", facts["query"])}
    # Receivers of syslog need not take more than 2,048 bytes, and should take 8,192 (RFC 5425 §4.3.1). All other
    # fields are bounded by their schemas; the entry itself has the rest.
    if facts is not None and len(orjson.dumps(facts)) > FACTS_BYTES_MAX:
        public["facts"] = {"omitted": len(facts)}
    return Event(origin=origin, index=index, leaf_hash=leaf_hash, body=public)


def _public(value: Mapping[str, Any], prefix: str) -> dict[str, Any]:
    kept: dict[str, Any] = {}
    for name, item in value.items():
        path = prefix + name
        if path in _HOLDERS and isinstance(item, dict):
            if inner := _public(item, f"{path}."):
                kept[name] = inner
        elif path != "sealed" and FIELDS.get(path) is Privacy.PUBLIC:
            kept[name] = item
    return kept


_HOLDERS = frozenset(path.rpartition(".")[0] for path in FIELDS if "." in path)
