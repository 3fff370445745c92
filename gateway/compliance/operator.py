"""Who acts at the log: the person at a command or console, as the log's own records name them."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any

from gateway.audit.record import Actor, Record
from gateway.core.ids import uuid7

ROLE = "auditor"


@dataclass(frozen=True, slots=True, kw_only=True)
class Operator:
    """`name`: of the person (a command: of the OS user). `participant`: the deployment for whom they act."""

    name: str
    participant: str

    def record(self, now: float, record_type: str, **fields: Any) -> Record:
        """A record of this person's act, with a fresh time-ordered id."""
        actor = Actor(participant=self.participant, role=ROLE, client=self.name)
        return Record(record_id=uuid7(now, os.urandom(10)), time=now, type=record_type, actor=actor, **fields)
