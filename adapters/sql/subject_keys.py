"""The keys of the data owners: what an entry seals is sealed under its subject's own AES-256-GCM key.

Keys are kept wrapped by the storage key, and in clear only in the memory of a process. Erasing is deleting the rows;
that the database keeps no copy of them is said at `engine.create` (`erases`).
"""

from __future__ import annotations

import os
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from sqlalchemy import Connection, bindparam, delete, select

from adapters.sql import tables
from adapters.sql.prepared import Prepared, PreparedLookup, insertion
from gateway.audit.privacy import Ciphertext, Open
from gateway.errors import AuditUnavailable
from gateway.ports import Sealer

SUBJECT_CHARACTERS_MAX = 256
_KEY_BITS = 256
_NONCE_BYTES = 12  # random, NIST SP 800-38D §8.2.2: at most 2^32 values under one key
_NONCES_AT_ONCE = 1_024
_LOOKUP_MAX = 1_024

_keys = tables.subject_keys.c

# Of several keys of one subject the newest comes last.
_FIND = PreparedLookup(
    select(_keys.subject, _keys.key_id, _keys.wrapped).order_by(_keys.created_at, _keys.key_id), _keys.subject
)
_INSERT = insertion(tables.subject_keys)
_DELETE = Prepared(delete(tables.subject_keys).where(_keys.subject == bindparam("of_subject")))
_SOME = Prepared(select(_keys.key_id, _keys.wrapped).limit(16))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Key:
    key_id: str
    cipher: AESGCM


class KeyRing:
    """The keys that one writing thread remembers, `keys_max` at most between two transactions. `seal` is a
    `privacy.Seal` for the subjects that were loaded in this transaction."""

    def __init__(self, sealer: Sealer, *, keys_max: int, damaged: Callable[[str], None]) -> None:
        """`damaged` is told the id of each key that does not open and had to be replaced."""
        self._sealer = sealer
        self._damaged = damaged
        self._keys_max = keys_max
        self._erasures = -1
        self._known: OrderedDict[str, _Key] = OrderedDict()
        self._nonces = b""

    def begin(self, erasures: int) -> None:
        """A transaction begins. When anybody erased since the last one, nothing that is remembered can be trusted."""
        if erasures != self._erasures:
            self._known.clear()
            self._erasures = erasures
        while len(self._known) > self._keys_max:
            self._known.popitem(last=False)

    def forget(self) -> None:
        """The transaction was undone: a key that was made in it is in no database."""
        self._known.clear()

    def load(self, connection: Connection, wanted: Mapping[str, float]) -> None:
        """Find or make the key of each subject. `wanted`: subject → now, Unix seconds."""
        missing = []
        for subject in wanted:
            if subject in self._known:
                self._known.move_to_end(subject)
            elif len(subject) <= SUBJECT_CHARACTERS_MAX:  # else `seal` refuses its record alone
                missing.append(subject)
        if not missing:
            return
        damaged: list[tuple[str, str]] = []
        for subject, key_id, wrapped in _found(connection, missing):
            # A damaged key must not end the log of all the others: its subject gets a new one, and the row stays for
            # people to look at. That it was another storage key altogether is found at the start.
            try:
                self._known[subject] = _unwrapped(key_id, wrapped, self._sealer)
            except AuditUnavailable:
                damaged.append((subject, key_id))
        made = [self._make(subject, wanted[subject]) for subject in missing if subject not in self._known]
        if made:
            _INSERT.run_many(connection, made)
        new = {row["subject"] for row in made}
        for subject, key_id in damaged:
            if subject in new:  # else it was told when its successor was made
                self._damaged(key_id)

    def seal(self, subject: str, entry_id: str, plaintext: bytes) -> Ciphertext:
        key, nonce = self._known.get(subject), self._nonce()
        if key is None:
            raise ValueError("the subject of an audit entry has no key: its pseudonym is above its limit")
        data = nonce + key.cipher.encrypt(nonce, plaintext, entry_id.encode())
        return Ciphertext(key=key.key_id, data=urlsafe_b64encode(data).rstrip(b"=").decode())

    def has(self, connection: Connection, subject: str) -> bool:
        return bool(_FIND.rows(connection, [subject]))

    def erase(self, connection: Connection, subject: str) -> None:
        """Delete all keys of the subject."""
        self._known.pop(subject, None)
        _DELETE.run(connection, {"of_subject": subject})

    def _make(self, subject: str, now: float) -> dict[str, str | bytes | int]:
        key_id, key = os.urandom(8).hex(), AESGCM.generate_key(_KEY_BITS)
        self._known[subject] = _Key(key_id=key_id, cipher=AESGCM(key))
        return {
            "key_id": key_id,
            "subject": subject,
            "wrapped": self._sealer.seal(key.hex(), context=_context(key_id)),
            "created_at": int(now * 1_000_000),
        }

    def _nonce(self) -> bytes:
        if not self._nonces:
            self._nonces = os.urandom(_NONCE_BYTES * _NONCES_AT_ONCE)  # one call costs as much as one nonce
        nonce, self._nonces = self._nonces[:_NONCE_BYTES], self._nonces[_NONCE_BYTES:]
        return nonce


def opener(connection: Connection, subjects: Iterable[str], sealer: Sealer) -> Open:
    """A `privacy.Open` with the keys of these subjects as they are now."""
    keys: dict[tuple[str, str], AESGCM] = {}
    damaged: set[tuple[str, str]] = set()
    for subject, key_id, wrapped in _found(connection, sorted(set(subjects))):
        try:
            keys[subject, key_id] = _unwrapped(key_id, wrapped, sealer).cipher
        except AuditUnavailable:
            damaged.add((subject, key_id))

    def open_(subject: str, entry_id: str, ciphertext: Ciphertext) -> bytes | None:
        if (subject, ciphertext.key) in damaged:
            raise ValueError("the key of the ciphertext is damaged")
        cipher = keys.get((subject, ciphertext.key))
        if cipher is None:
            return None
        data = urlsafe_b64decode(ciphertext.data + "=" * (-len(ciphertext.data) % 4))
        try:
            return cipher.decrypt(data[:_NONCE_BYTES], data[_NONCE_BYTES:], entry_id.encode())
        except InvalidTag as error:
            raise ValueError("the ciphertext is not that of this entry") from error

    return open_


def check(connection: Connection, sealer: Sealer) -> None:
    """Raises AuditUnavailable when the keys were wrapped by another storage key: none of some opens."""
    refused: AuditUnavailable | None = None
    for key_id, wrapped in _SOME.rows(connection, {}):
        try:
            _unwrapped(key_id, bytes(wrapped), sealer)
        except AuditUnavailable as error:
            refused = error
        else:
            return
    if refused is not None:
        raise refused


def _found(connection: Connection, subjects: Sequence[str]) -> Iterable[tuple[str, str, bytes]]:
    for start in range(0, len(subjects), _LOOKUP_MAX):
        for subject, key_id, wrapped in _FIND.rows(connection, subjects[start : start + _LOOKUP_MAX]):
            yield subject, key_id, bytes(wrapped)


def _unwrapped(key_id: str, wrapped: bytes, sealer: Sealer) -> _Key:
    try:
        key = sealer.open(wrapped, context=_context(key_id))
    except ValueError as error:
        raise AuditUnavailable(private="subject key under another storage key") from error
    return _Key(key_id=key_id, cipher=AESGCM(bytes.fromhex(key)))


def _context(key_id: str) -> str:
    return f"audit-subject:{key_id}"
