"""`cdi-gateway audit tail`: the newest entries that match, and with `--follow` those that come."""

from __future__ import annotations

import asyncio
import signal
import sys
from typing import Annotated

import orjson
import typer

from gateway.app.desk import Desk
from gateway.cli.audit import entries
from gateway.cli.audit.desk import Config, at_desk
from gateway.cli.audit.query import LANGUAGE, Tz, Words, query_of, zone_of
from gateway.cli.terminal import DONE, say

HELP = f"""Print the newest entries that match, the newest last.

With `--follow` it goes on with what is appended, by any process, until interrupted. One record in the log stands for
all that is shown; when it ends, a second one says how far it went.

```
cdi-gateway audit tail --config gateway.yaml --follow type:admission.* type:verification.refused
```

{LANGUAGE}
"""


def tail(
    config: Config,
    query: Words = None,
    lines: Annotated[int, typer.Option(min=0, max=1_000, help="Entries before what comes.")] = 10,
    follow: Annotated[bool, typer.Option("--follow", help="Go on with what comes.")] = False,
    tz: Tz = "UTC",
    as_jsonl: Annotated[bool, typer.Option("--jsonl", "--json", help="One JSON object a line.")] = False,
) -> int:
    zone = zone_of(tz)

    async def work(desk: Desk) -> int:
        asked = query_of(query, desk, zone)
        stop = asyncio.Event()
        if follow:
            for number in (signal.SIGINT, signal.SIGTERM):
                asyncio.get_running_loop().add_signal_handler(number, stop.set)
        async for entry in desk.reading().tail(asked, lines=lines, follow=stop if follow else None):
            if as_jsonl:
                sys.stdout.write(orjson.dumps(entries.document(entry), option=orjson.OPT_APPEND_NEWLINE).decode())
                sys.stdout.flush()
            else:
                say(entries.line(entry, zone))
        return DONE

    return at_desk(config, work)
