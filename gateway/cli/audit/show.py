"""`cdi-gateway audit show`: one entry in full, with its private fields where they can still be read."""

from __future__ import annotations

import re
from typing import Annotated

import typer

from gateway.app.desk import Desk
from gateway.audit.query import INDEX_MAX
from gateway.cli.audit import entries
from gateway.cli.audit.desk import AsJson, Config, at_desk
from gateway.cli.terminal import DONE, NEGATIVE, Refused, complain, say, say_json

_RECORD = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")


def show(
    which: Annotated[str, typer.Argument(metavar="INDEX|RECORD_ID", show_default=False, help="The entry.")],
    config: Config,
    as_json: AsJson = False,
) -> int:
    """Print one entry, by its index in the log or its record id.

    Private fields (digests, evidence) are opened. Where the data owner was erased, they are gone, and it says so. A
    record that a crash had appended twice stands at two indices; both are shown. Reading is recorded in the log first.

        cdi-gateway audit show --config gateway.yaml 4711
    """
    if which.isascii() and which.isdecimal() and len(which) <= 19 and int(which) <= INDEX_MAX:
        by_index: int | None = int(which)
    elif _RECORD.fullmatch(which.lower()):
        by_index = None
    else:
        raise Refused("give an index (a number) or a record id (a UUID)")

    async def work(desk: Desk) -> int:
        reading = desk.reading()
        if by_index is None:
            found = list(await reading.show_record(which.lower()))
        else:
            one = await reading.show(by_index)
            found = [] if one is None else [one]
        if as_json:
            say_json([entries.document(entry) for entry in found])
        for entry in [] if as_json else found:
            say(entries.in_full(entry, desk.settings.audit.origin))
        if not found:
            complain("the log has no such entry")
        return DONE if found else NEGATIVE

    return at_desk(config, work)
