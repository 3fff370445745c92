"""`cdi-gateway audit approve`: the second person's part, on that person's own machine; needs no configuration."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from adapters.clock import SystemClock
from adapters.keys.file import KeyFileRefused, read_key_file
from gateway.app.desk import user_name
from gateway.cli.audit.desk import AsJson
from gateway.cli.terminal import DONE, NEGATIVE, Refused, say, say_json
from gateway.compliance import approval
from gateway.compliance.approval import REQUEST_BYTES_MAX, ApprovalRefused, Request

HELP = """Approve what somebody else asks to do with the log: an export, an erasure, a pruning, the release of a hold, a
recovery.

The one who asks hands you a request, made by their command. It is shown here; read it, since what you sign is what they
may do, once. The approval that comes out is good for them alone, for a day unless you say otherwise.

Your key is an Ed25519 private key that nobody else has; the gateway's configuration lists your name and the public key
(`audit.second_person.approvers`). The name is that of your account, as the log records it.

```
openssl genpkey -algorithm ed25519 -out approver.pem && openssl pkey -in approver.pem -pubout -out approver-public.pem
cdi-gateway audit approve request.json --key approver.pem --name mei --out approval.jws
```
"""


def approve(
    request: Annotated[Path, typer.Argument(metavar="REQUEST", help="The request, as it was handed over.")],
    key: Annotated[Path, typer.Option("--key", "-k", metavar="PRIVATE.pem", help="Your Ed25519 private key.")],
    out: Annotated[Path, typer.Option("--out", "-o", metavar="FILE", help="Where to write the approval.")],
    name: Annotated[str | None, typer.Option("--name", "-n", help="Your name in the configuration.")] = None,
    hours: Annotated[int, typer.Option("--hours", min=1, max=24 * 31, help="How long the approval is good.")] = 24,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    as_json: AsJson = False,
) -> int:
    try:
        asked = approval.parse_request(_read(request))
        pem = read_key_file(key)
    except (ApprovalRefused, KeyFileRefused) as error:
        raise Refused(f"{request}: {error}" if isinstance(error, ApprovalRefused) else str(error)) from error
    if not as_json:
        _show(asked)
    if not yes:
        typer.confirm("Approve this?", abort=True, err=True)
    signer = name or user_name()
    try:
        text = approval.approve(asked, signer, pem, SystemClock().now(), lifetime_seconds=hours * 3_600)
    except ApprovalRefused as error:
        raise Refused(str(error), code=NEGATIVE) from error
    try:
        with out.open("x", encoding="ascii") as file:
            file.write(f"{text}\n")
    except FileExistsError as error:
        raise Refused(f"{out} is there already: give another --out") from error
    except OSError as error:
        raise Refused(f"{out}: cannot be written: {error.strerror}") from error
    if as_json:
        say_json({"file": str(out), "approver": signer, "approval": asked.nonce, **asked.document()})
    else:
        say(f"wrote {out}: hand it to {asked.requester}, who runs the same command again with --approval {out.name}")
    return DONE


def _read(file: Path) -> bytes:
    try:
        with file.open("rb") as opened:
            return opened.read(REQUEST_BYTES_MAX + 1)
    except OSError as error:
        raise Refused(f"{file}: cannot be read: {error.strerror}") from error


def _show(asked: Request) -> None:
    # What is in the file is another person's: no control character of it reaches this terminal.
    moment = datetime.fromtimestamp(asked.time, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    say(f"{asked.requester} asks to {asked.action} ({moment}):")
    for fact, value in asked.what.items():
        say(f"  {_printable(fact)}: {_printable(str(value))}")


def _printable(text: str) -> str:
    return "".join(sign if sign.isprintable() else "\N{REPLACEMENT CHARACTER}" for sign in text)
