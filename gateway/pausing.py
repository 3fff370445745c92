"""The pause between the rounds of a loop that runs until it is told to stop. Not for waits inside a round."""

from __future__ import annotations

import asyncio


async def pause(stop: asyncio.Event, seconds: float) -> None:
    """Until `stop` is set, or the time is up."""
    try:
        async with asyncio.timeout(seconds):
            await stop.wait()
    except TimeoutError:
        return
