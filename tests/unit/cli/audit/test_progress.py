"""The bar is for terminals: what is piped, or asked for as JSON, has none."""

from __future__ import annotations

import pytest

from gateway.cli.audit.progress import progress


@pytest.mark.parametrize("quiet", [True, False])
def test_nothing_is_written_where_nobody_looks(quiet: bool, capfd: pytest.CaptureFixture[str]) -> None:
    with progress("looking", quiet=quiet) as advance:
        advance(1, 2)
        advance(2, 2)
    assert capfd.readouterr() == ("", "")
