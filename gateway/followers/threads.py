"""Threads of their own for what must not wait for each other: publication, and whoever reads what was published.

The event loop's own threads are shared by everything else that blocks. Nothing here knows what is done in a thread.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from types import TracebackType
from typing import ParamSpec, Protocol, TypeVar

_Asked = ParamSpec("_Asked")
_Result = TypeVar("_Result")


class InThread(Protocol):
    """As `asyncio.to_thread`, in whosever threads."""

    async def __call__(
        self, function: Callable[_Asked, _Result], /, *args: _Asked.args, **kwargs: _Asked.kwargs
    ) -> _Result: ...


class Threads:
    """An `InThread` of `count` threads; what comes while all are at work waits in line. At the end of the block,
    what is at work is finished, and what waits is cancelled."""

    def __init__(self, name: str, *, count: int) -> None:
        self._executor = ThreadPoolExecutor(max_workers=count, thread_name_prefix=name)

    async def __call__(
        self, function: Callable[_Asked, _Result], /, *args: _Asked.args, **kwargs: _Asked.kwargs
    ) -> _Result:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._executor, partial(function, *args, **kwargs))

    async def __aenter__(self) -> Threads:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await asyncio.to_thread(self._executor.shutdown, cancel_futures=True)
