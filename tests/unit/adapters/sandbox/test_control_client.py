"""The client when there is no platform."""

from __future__ import annotations

import pytest

from adapters.sandbox.addresses import Ports
from adapters.sandbox.control_client import ControlClient


async def test_a_platform_that_does_not_run_is_not_healthy() -> None:
    async with ControlClient(f"http://127.0.0.1:{Ports.from_base(0).control}") as control:
        assert not await control.healthy()


async def test_a_client_that_is_not_open_says_so() -> None:
    with pytest.raises(RuntimeError):
        await ControlClient("http://127.0.0.1:1").healthy()
