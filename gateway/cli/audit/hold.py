"""`cdi-gateway audit hold add|release|list`: legal holds, which keep keys from erasure and entries from pruning."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any

import typer
from rich.table import Table

from gateway.app.desk import Desk
from gateway.audit.query import INDEX_MAX
from gateway.cli.audit.desk import AsJson, Config, at_desk
from gateway.cli.audit.second_person import ApprovalFile, RequestOut, approval_text, second_person, with_approval
from gateway.cli.audit.subject import TAKES, pseudonym_of
from gateway.cli.terminal import DONE, NEGATIVE, Refused, say, say_json, show
from gateway.compliance import holding
from gateway.compliance.erasing import REASON
from gateway.errors import StateConflict
from gateway.ports import Hold

app = typer.Typer(
    add_completion=False,
    rich_markup_mode="markdown",
    help="Legal holds: what is held is neither erased nor pruned until it is released.",
    no_args_is_help=True,
)

Id = Annotated[str, typer.Argument(metavar="ID", help="A name of your own, as a case number; not a person's name.")]
Reason = Annotated[str, typer.Option("--reason", metavar="CODE", help="A code, as LITIGATION; no free text.")]

ADD = """Set a legal hold. It is on record in the log.

With `--subject`, that data owner cannot be erased; without, nobody can. Either way no entry from `--from` on is pruned.

```
cdi-gateway audit hold add CASE-2027-14 --config gateway.yaml --reason LITIGATION --subject '?'
cdi-gateway audit hold add HKMA-INQUIRY --config gateway.yaml --reason INQUIRY --from 120000
```
"""


@app.command("add", help=ADD)
def add(
    hold_id: Id,
    config: Config,
    reason: Reason,
    subject: Annotated[str | None, typer.Option("--subject", "-s", metavar="OWNER", help=TAKES)] = None,
    from_index: Annotated[
        int, typer.Option("--from", min=0, max=INDEX_MAX, metavar="INDEX", help="First entry that is kept.")
    ] = 0,
    as_json: AsJson = False,
) -> int:
    _check(hold_id, reason)

    async def work(desk: Desk) -> int:
        try:
            made = await holding.hold(
                desk.audit,
                desk.operator,
                hold_id=hold_id,
                reason=reason,
                now=desk.clock.now(),
                subject=None if subject is None else pseudonym_of(subject, desk),
                from_index=from_index,
            )
        except StateConflict as error:
            raise Refused(f"there is a hold {hold_id}: choose another id", code=NEGATIVE) from error
        if as_json:
            say_json(_document(made))
        else:
            say(f"hold {hold_id} is set")
        return DONE

    return at_desk(config, work)


@app.command("release")
def release(
    hold_id: Id,
    config: Config,
    reason: Reason,
    approval: ApprovalFile = None,
    request_out: RequestOut = None,
    as_json: AsJson = False,
) -> int:
    """Lift a legal hold. It is on record in the log. The exit code is 1 when there is none of this id."""
    _check(hold_id, reason)
    given = approval_text(approval)

    async def work(desk: Desk) -> int:
        held = next((one for one in await desk.audit.holds() if one.hold_id == hold_id), None)
        released = held is not None and await _release(desk, held, reason, given)
        if not released:
            raise Refused(f"there is no hold {hold_id}; `audit hold list` shows them", code=NEGATIVE)
        if as_json:
            say_json({"hold": hold_id, "released": True})
        else:
            say(f"hold {hold_id} is released")
        return DONE

    return at_desk(config, lambda desk: with_approval(lambda: work(desk), request_out))


async def _release(desk: Desk, held: Hold, reason: str, given: str | None) -> bool:
    now = desk.clock.now()
    asked = holding.asked(desk.operator, desk.settings.audit.origin, held, reason, now)
    approved = await second_person(desk).agrees(asked, given, now)
    return await holding.release(
        desk.audit, desk.operator, hold_id=held.hold_id, reason=reason, now=now, approved=approved
    )


@app.command("list")
def list_(config: Config, as_json: AsJson = False) -> int:
    """Show the holds that are set, oldest first. Data owners are shown by their pseudonyms."""

    async def work(desk: Desk) -> int:
        found = await desk.audit.holds()
        if as_json:
            say_json({"holds": [_document(item) for item in found]})
        elif not found:
            say("no hold is set")
        else:
            table = Table("hold", "since", "reason", "from entry", "data owner", box=None)
            for item in found:
                table.add_row(item.hold_id, _time(item), item.reason, str(item.from_index), item.subject or "everybody")
            show(table)
        return DONE

    return at_desk(config, work)


def _check(hold_id: str, reason: str) -> None:
    if not holding.HOLD_ID.fullmatch(hold_id):
        raise Refused("a hold's id has letters, digits, dots, dashes and underscores, as CASE-2027-14")
    if not REASON.fullmatch(reason):
        raise Refused("--reason takes a code of capitals, digits, dots, dashes and underscores, as LITIGATION")


def _document(item: Hold) -> dict[str, Any]:
    return {
        "hold": item.hold_id,
        "since": _time(item),
        "reason": item.reason,
        "from": item.from_index,
        "subject": item.subject,
    }


def _time(item: Hold) -> str:
    return datetime.fromtimestamp(item.since, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
