"""Entries as the log makes them, and what security monitoring gets of them."""

from __future__ import annotations

import base64
import os
from typing import Any

from gateway.audit.event import Event, event
from gateway.audit.privacy import Ciphertext
from gateway.audit.record import Record, entry
from gateway.core.merkle import leaf_hash
from tests import samples

LOG = "gateway.bank.example/audit"


def hidden(_subject: str, _entry_id: str, plaintext: bytes) -> Ciphertext:
    """`privacy.Seal` that forgets: nothing of the plaintext is in it."""
    return Ciphertext(key="0" * 16, data=base64.urlsafe_b64encode(os.urandom(len(plaintext))).decode().rstrip("="))


def event_of(record: Record, *, index: int = 7) -> Event:
    data = entry(record, samples.ORIGIN, hidden)
    return event(data, origin=LOG, index=index, leaf_hash=leaf_hash(data))


def sample_event(index: int = 7, **changes: Any) -> Event:
    return event_of(samples.record(**changes), index=index)
