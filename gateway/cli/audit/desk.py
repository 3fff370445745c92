"""How the commands that need a deployment's log run: it is opened, they work, and what cannot be used is said."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Annotated, TypeVar

import typer

from adapters.keys.file import KeyFileRefused
from adapters.sql.audit import AuditLogDamaged
from adapters.sql.migrations import DatabaseUnusable, SchemaOutdated
from gateway.app.desk import Desk, open_desk
from gateway.cli.terminal import Refused

Config = Annotated[Path, typer.Option("--config", "-c", metavar="FILE", help="The gateway's configuration file.")]
AsJson = Annotated[bool, typer.Option("--json", help="One JSON document.")]

_Opened = TypeVar("_Opened")


def at_desk(config: Path, work: Callable[[Desk], Awaitable[int]], *, log_name: str | None = None) -> int:
    """Run `work` with the opened log; its exit code. `log_name`: see `open_desk`. Raises Refused for what cannot be
    opened."""
    return opened(open_desk(config, log_name=log_name), work)


def opened(opening: AbstractAsyncContextManager[_Opened], work: Callable[[_Opened], Awaitable[int]]) -> int:
    """Run `work` with what `opening` opens; its exit code. Raises Refused for what cannot be opened."""

    async def run() -> int:
        async with opening as desk:
            return await work(desk)

    try:
        return asyncio.run(run())
    except (SchemaOutdated, DatabaseUnusable, KeyFileRefused) as error:
        raise Refused(str(error)) from error
    except AuditLogDamaged as error:
        raise Refused(f"the log cannot be used: {error}") from error
