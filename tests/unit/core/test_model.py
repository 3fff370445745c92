"""What the words themselves say: which outcomes may still change."""

from __future__ import annotations

from gateway.core.model import Outcome


def test_only_indeterminate_is_not_final() -> None:
    assert [outcome for outcome in Outcome if not outcome.final] == [Outcome.INDETERMINATE]
