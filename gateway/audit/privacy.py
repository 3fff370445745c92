"""Privacy of an entry's fields: public, keyed pseudonym, or sealed under the data owner's own key. Pure.

The leaf of an entry covers the ciphertext. Destroying the key of a subject makes what was sealed unreadable for ever,
and changes no byte of the log: every proof stays valid.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import orjson

from gateway.core.canonical import canonical


class Privacy(StrEnum):
    PUBLIC = "public"
    PSEUDONYM = "pseudonym"  # HMAC; found again by those who hold the key and know the identity
    SEALED = "sealed"  # AES-256-GCM under the subject's key; in clear only where nobody is the subject


FIELDS: Mapping[str, Privacy] = {
    "v": Privacy.PUBLIC,
    "id": Privacy.PUBLIC,
    "time": Privacy.PUBLIC,
    "type": Privacy.PUBLIC,
    "direction": Privacy.PUBLIC,
    "actor": Privacy.PUBLIC,  # institutions and their certificates
    "counterparty": Privacy.PUBLIC,
    "interaction": Privacy.PUBLIC,  # random, as the ids of request and consent: it leads to nobody outside the store
    "request": Privacy.PUBLIC,
    "consent": Privacy.PUBLIC,
    "subject": Privacy.PSEUDONYM,
    "document.type": Privacy.PUBLIC,
    "document.issuer": Privacy.PUBLIC,
    "document.algorithm": Privacy.PUBLIC,
    "document.digest": Privacy.SEALED,  # who has the document could find its owner's entries by it
    "document.digests": Privacy.SEALED,
    "outcome": Privacy.PUBLIC,
    "reason": Privacy.PUBLIC,
    "evidence": Privacy.SEALED,  # leads to the ledger
    "latencyMs": Privacy.PUBLIC,
    "attempts": Privacy.PUBLIC,
    "count": Privacy.PUBLIC,
    "facts": Privacy.PUBLIC,
    "software": Privacy.PUBLIC,
    "schema": Privacy.PUBLIC,
    "config": Privacy.PUBLIC,
    "retention": Privacy.PUBLIC,
    "sealed": Privacy.PUBLIC,  # the ciphertext
}
"""Every field of an entry (`schemas/audit/v1/entry.json`). A test compares the two."""

_SEALED = tuple(path.split(".") for path, privacy in FIELDS.items() if privacy is Privacy.SEALED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ciphertext:
    key: str  # id of the subject's key
    data: str  # base64url of nonce, ciphertext and tag


Seal = Callable[[str, str, bytes], Ciphertext]
"""`seal(subject, entry_id, plaintext)`: the entry id is bound as associated data."""

Open = Callable[[str, str, Ciphertext], bytes | None]
"""`open(subject, entry_id, ciphertext)`: None when the subject's key was destroyed. Raises ValueError when the
ciphertext is not that entry's."""


def sealed(body: dict[str, Any], seal: Seal) -> dict[str, Any]:
    """The entry with its private fields moved into `sealed`. Changes `body`. Without a subject nothing is private."""
    subject = body.get("subject")
    if subject is None:
        return body
    private: dict[str, Any] = {}
    for path in _SEALED:
        holder, target = body, private
        for name in path[:-1]:
            holder = holder.get(name, {})
        if path[-1] in holder:
            for name in path[:-1]:
                target = target.setdefault(name, {})
            target[path[-1]] = holder.pop(path[-1])
    if private:
        ciphertext = seal(subject, body["id"], canonical(private))
        body["sealed"] = {"key": ciphertext.key, "data": ciphertext.data}
    return body


def opened(entry: bytes, open_: Open) -> dict[str, Any]:
    """The entry as people read it: private fields in their places; `"sealed": "erased"` where the key was destroyed.

    Raises ValueError for what is no entry.
    """
    return unsealed(_object(entry), open_)


def unsealed(body: dict[str, Any], open_: Open) -> dict[str, Any]:
    """`opened` for one who has parsed the entry before. Changes `body`. Raises ValueError for what is no entry."""
    found = body.pop("sealed", None)
    if found is None:
        return body
    subject, entry_id = body.get("subject"), body.get("id")
    key, data = (found.get("key"), found.get("data")) if isinstance(found, dict) else (None, None)
    if not (isinstance(subject, str) and isinstance(entry_id, str) and isinstance(key, str) and isinstance(data, str)):
        raise ValueError("not an audit entry")  # noqa: TRY004 - a wrong value, not a programmer's error
    plaintext = open_(subject, entry_id, Ciphertext(key=key, data=data))
    if plaintext is None:
        body["sealed"] = "erased"
        return body
    for name, value in _object(plaintext).items():
        present = body.get(name)
        if isinstance(value, dict) and isinstance(present, dict):
            present.update(value)
        else:
            body[name] = value
    return body


def _object(data: bytes) -> dict[str, Any]:
    body = orjson.loads(data)
    if not isinstance(body, dict):
        raise ValueError("not an audit entry")  # noqa: TRY004 - a wrong value, not a programmer's error
    return body
