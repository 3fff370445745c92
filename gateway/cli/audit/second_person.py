"""How a command for two people is run: without an approval it prints what to hand over, with one it goes on.

Whether an act needs two people, and what makes an approval good, is `compliance.second_person`'s to say.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Annotated, Any

import orjson
import typer

from gateway.app.desk import Desk
from gateway.cli.terminal import WRONG, Refused, complain, say, say_json
from gateway.compliance.approval import APPROVAL_BYTES_MAX, ApprovalRefused, Approver
from gateway.compliance.second_person import ApprovalNeeded, SecondPerson
from gateway.settings.audit import SecondPerson as Settings

ApprovalFile = Annotated[
    Path | None,
    typer.Option("--approval", metavar="FILE", help="A second person's approval, made by `audit approve`."),
]
RequestOut = Annotated[
    Path | None,
    typer.Option("--request-out", metavar="FILE", help="Where to write the request, when an approval is needed."),
]


def second_person(desk: Desk) -> SecondPerson:
    """By the configuration. Raises Refused for keys of approvers that cannot be used."""
    settings: Settings = desk.settings.audit.second_person
    approvers = []
    for approver in settings.approvers:
        try:
            key = approver.public_key_file.read_bytes()
        except OSError as error:
            raise Refused(f"{approver.public_key_file}: cannot be read: {error.strerror}") from error
        approvers.append(Approver(name=approver.name, public_key=key))
    try:
        return SecondPerson(
            actions=settings.actions,
            approvers=approvers,
            lifetime_seconds=settings.lifetime_seconds,
            approvals=desk.audit,
        )
    except ApprovalRefused as error:
        raise Refused(f"audit.second_person.approvers: {error}") from error


def approval_text(file: Path | None) -> str | None:
    """What is in the file. Raises Refused."""
    if file is None:
        return None
    try:
        with file.open("rb") as opened:
            data = opened.read(APPROVAL_BYTES_MAX + 1)
    except OSError as error:
        raise Refused(f"{file}: cannot be read: {error.strerror}") from error
    if len(data) > APPROVAL_BYTES_MAX or not data.isascii():
        raise Refused(f"{file}: is not an approval")
    return data.decode().strip()


async def with_approval(work: Callable[[], Awaitable[int]], request_out: Path | None) -> int:
    """`work`'s exit code; WRONG after the request for an approval was handed out. Raises Refused for an approval that
    does not hold."""
    try:
        return await work()
    except ApprovalNeeded as needed:
        document = needed.asked.document()
        if request_out is None:
            say_json(document)
            where = "the JSON above"
        else:
            _write(request_out, document)
            say(f"wrote {request_out}")
            where = str(request_out)
        complain(
            f"a second person must approve this: hand over {where}, have it approved by "
            "`cdi-gateway audit approve`, and run the same again with --approval FILE"
        )
        return WRONG
    except ApprovalRefused as refused:
        raise Refused(f"the approval is not accepted: {refused}") from refused


def _write(file: Path, document: dict[str, Any]) -> None:
    try:
        with file.open("xb") as opened:
            opened.write(orjson.dumps(document, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE))
    except FileExistsError as error:
        raise Refused(f"{file} is there already: give another --request-out") from error
    except OSError as error:
        raise Refused(f"{file}: cannot be written: {error.strerror}") from error
