"""How a command takes a query: its words, `-negation` beside options, the time zone, the prompt of `subject:?`."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, tzinfo
from typing import Annotated, Any
from zoneinfo import ZoneInfo

import typer
from typer.core import TyperCommand

from gateway.app.desk import Desk
from gateway.audit.query import ALLOWED, Query, QueryInvalid, parse
from gateway.cli.audit.subject import ask
from gateway.cli.terminal import Refused

Words = Annotated[
    list[str] | None,
    typer.Argument(metavar="QUERY", show_default=False, help="qualifier:value, -qualifier:value; without one: all."),
]
Tz = Annotated[
    str,
    typer.Option("--tz", metavar="ZONE", help="Time zone of dates in the query and of times shown: Asia/Hong_Kong."),
]

LANGUAGE = "\n".join(
    (
        "**The query.** One qualifier given twice means any of its values; different ones must all hold; `-` before "
        "one means none of its values.",
        "",
        *(f"- `{name}:` {takes}" for name, takes in ALLOWED.items()),
        "",
        "The query is recorded in the log before anything is shown, with pseudonyms in the place of owners and "
        "digests. `subject:?` asks for the owner's id, so that it stays out of the shell's history.",
    )
)
"""For the help of every command that takes a query."""

_NEGATED = re.compile(r"-[A-Za-z]{3,16}:")


class QueryCommand(TyperCommand):
    """A command whose words may begin with `-`: `-outcome:MATCH` is a term, and no bundle of short options."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        negated = [word for word in args if _NEGATED.match(word)]
        rest = [word for word in args if not _NEGATED.match(word)]
        if negated and "--" not in rest:
            rest.append("--")
        return super().parse_args(ctx, [*rest, *negated])


def zone_of(name: str) -> tzinfo:
    """Raises Refused."""
    if name == "UTC":
        return UTC
    try:
        return ZoneInfo(name)
    except (OSError, ValueError, KeyError) as error:
        raise Refused("--tz takes the name of a time zone, as Asia/Hong_Kong or UTC") from error


def query_of(words: Sequence[str] | None, desk: Desk, zone: tzinfo) -> Query:
    """Raises Refused."""
    try:
        return parse(" ".join(words or ()), now=desk.clock.now(), zone=zone, keyed=desk.keyed, ask=ask)
    except QueryInvalid as error:
        raise Refused(str(error)) from error
