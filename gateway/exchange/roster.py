"""What a reload swaps as one: who the participants are, whose certificates are revoked, whose signatures count."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from gateway.core.model import Certificate
from gateway.core.registry import Registry
from gateway.core.verification import Trust
from gateway.oauth.client import Clients
from gateway.ports import Platform


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """One consistent state of the outside world's identities."""

    registry: Registry
    revoked: Callable[[Certificate], bool]
    trust: Mapping[str, Trust]  # by platform id
    clients: Clients = field(default_factory=Clients)  # of the embedded authorization server


class Roster:
    """Holds the current view. Flows read `view` once per step and never keep it."""

    def __init__(self, view: View, platforms: Mapping[str, Platform]) -> None:
        self.view = view
        self.platforms = platforms

    def platform_of(self, issuer_id: str) -> Platform | None:
        """The platform that holds this active source's evidence, or None when it is not served now."""
        source = self.view.registry.by_id(issuer_id)
        if source is None or not source.active or source.platform_id is None:
            return None
        return self.platforms.get(source.platform_id)
