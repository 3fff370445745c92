"""What of an entry can be searched: the row that the search index keeps and that a query is matched with. Pure.

Public fields are as they stand in the entry; a document's digests are keyed pseudonyms, and only while the data
owner's key lives.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)

Keyed = Callable[[str, str], str]
"""`keyed(kind, value)`: the pseudonym (64 hex) of a value; see `core.pseudonym`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Searchable:
    index: int
    time: int  # µs since 1970, UTC; not monotone in `index`: clocks are set back
    type: str
    record: str
    actor: str | None = None
    client: str | None = None
    consent: str | None = None
    request: str | None = None
    outcome: str | None = None
    subject: str | None = None
    digests: tuple[str, ...] = ()  # pseudonyms

    @property
    def family(self) -> str:
        """`verification` of `verification.decided`."""
        return self.type.partition(".")[0]


def searchable(index: int, body: dict[str, Any], keyed: Keyed) -> Searchable:
    """The row of an opened entry (`privacy.opened`). Raises ValueError for what is no entry."""
    try:
        actor = body.get("actor") or {}
        consent = body.get("consent")
        return Searchable(
            index=index,
            time=microseconds(datetime.fromisoformat(body["time"])),
            type=body["type"],
            record=body["id"],
            actor=actor.get("participant"),
            client=actor.get("client"),
            consent=consent["id"] if consent is not None else None,
            request=body.get("request"),
            outcome=body.get("outcome"),
            subject=body.get("subject"),
            digests=_digests(body.get("document"), keyed),
        )
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError("not an audit entry") from error


def microseconds(moment: datetime) -> int:
    """µs since 1970 of a time with a zone."""
    return (moment - _EPOCH) // _MICROSECOND


def digest_pseudonym(keyed: Keyed, algorithm: str, value: str) -> str:
    return keyed("digest", f"{algorithm}:{value}")


def _digests(document: dict[str, Any] | None, keyed: Keyed) -> tuple[str, ...]:
    if document is None or "digest" not in document:
        return ()
    found = {(document["algorithm"], document["digest"])}
    found.update((digest["algorithm"], digest["value"]) for digest in document.get("digests", ()))
    return tuple(sorted(digest_pseudonym(keyed, algorithm, value) for algorithm, value in found))
