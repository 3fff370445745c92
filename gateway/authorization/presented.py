"""What a back-channel request shows, and who its client turned out to be. Values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from gateway.audit.record import Actor
from gateway.core.model import Certificate, Participant
from gateway.core.quota import Allowance
from gateway.exchange.recording import actor
from gateway.oauth.client import Client


@dataclass(frozen=True, slots=True, kw_only=True)
class Presented:
    """A request before anything was believed. `parameters`: of the form, each once."""

    certificate: Certificate | None
    parameters: Mapping[str, str] = field(repr=False)
    interaction: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Authenticated:
    """A client that proved who it is, with a good certificate where it has one."""

    client: Client
    participant: Participant
    certificate: Certificate | None
    interaction: str
    now: float
    allowances: tuple[Allowance, ...]

    @property
    def actor(self) -> Actor:
        return actor(self.participant, self.certificate, self.client.client_id)
