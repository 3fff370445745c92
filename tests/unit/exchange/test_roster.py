"""Which platform holds a source's evidence now."""

from __future__ import annotations

from gateway.core.model import Role
from gateway.exchange.roster import Roster
from tests.fakes_flows import LONELY_SOURCE, PLATFORM, SOURCE, ScriptedPlatform, participant, view
from tests.samples import BANK


def test_an_active_source_is_served_by_its_platform_alone() -> None:
    platform = ScriptedPlatform()
    roster = Roster(view(), {PLATFORM: platform})
    assert roster.platform_of(SOURCE) is platform
    for not_served in (LONELY_SOURCE, BANK, "NOBODY01DP"):
        assert roster.platform_of(not_served) is None


def test_a_reload_is_seen_at_once() -> None:
    roster = Roster(view(), {PLATFORM: ScriptedPlatform()})
    roster.view = view(participant(SOURCE, Role.SOURCE, active=False))
    assert roster.platform_of(SOURCE) is None
    roster.view = view(participant(SOURCE, Role.SOURCE, platform_id="ANOTHER01"))
    assert roster.platform_of(SOURCE) is None
