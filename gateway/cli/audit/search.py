"""`cdi-gateway audit search`: a page of the entries that match a query."""

from __future__ import annotations

import sys
from typing import Annotated

import orjson
import typer

from gateway.app.desk import Desk
from gateway.audit.query import INDEX_MAX
from gateway.cli.audit import entries
from gateway.cli.audit.desk import AsJson, Config, at_desk
from gateway.cli.audit.query import LANGUAGE, Tz, Words, query_of, zone_of
from gateway.cli.terminal import DONE, Refused, complain, say, say_json

HELP = f"""Find entries of the log; the newest first.

Runs beside the gateway, and brings the search index up to date first.

```
cdi-gateway audit search --config gateway.yaml type:verification.* -outcome:MATCH from:-7d
cdi-gateway audit search --config gateway.yaml 'subject:?' --tz Asia/Hong_Kong from:2026-11-01 to:2026-11-30
cdi-gateway audit search --config gateway.yaml digest:sm3:… --oldest-first --jsonl
```

{LANGUAGE}
"""


def search(
    config: Config,
    query: Words = None,
    limit: Annotated[int, typer.Option(min=1, max=1_000, help="Entries of one page.")] = 50,
    after: Annotated[
        int | None, typer.Option(min=0, max=INDEX_MAX, metavar="CURSOR", help="Go on behind this index.")
    ] = None,
    oldest_first: Annotated[bool, typer.Option("--oldest-first", help="From the beginning of the log.")] = False,
    tz: Tz = "UTC",
    as_json: AsJson = False,
    as_jsonl: Annotated[bool, typer.Option("--jsonl", help="One JSON object a line, one for each entry.")] = False,
) -> int:
    if as_json and as_jsonl:
        raise Refused("give one of --json and --jsonl")
    zone = zone_of(tz)

    async def work(desk: Desk) -> int:
        asked = query_of(query, desk, zone)
        page = await desk.reading().search(asked, limit=limit, after=after, newest_first=not oldest_first)
        found = [entries.document(entry) for entry in page.entries]
        if as_json:
            facts = {"query": str(asked), "next": page.following, "indexed": page.indexed, "size": page.size}
            say_json({"entries": found, **facts})
        elif as_jsonl:
            sys.stdout.writelines(orjson.dumps(one, option=orjson.OPT_APPEND_NEWLINE).decode() for one in found)
        else:
            say(entries.HEADING if page.entries else "no entry matches")
            for entry in page.entries:
                say(entries.line(entry, zone))
        if page.following is not None and not as_json:
            (complain if as_jsonl else say)(f"more: the same with --after {page.following}")
        if page.indexed < page.size:
            complain(f"not searched yet: entries {page.indexed} to {page.size - 1}; the index lags, run it again")
        return DONE

    return at_desk(config, work)
