"""`cdi-gateway audit recover`: the break-glass for a log whose signed entries are lost for good."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from adapters.keys.file import KeyFileRefused
from adapters.tiles.directory import TileDirectory
from gateway.app.desk import Desk
from gateway.audit.note import Checkpoint, NoteInvalid, open_checkpoint, parse, verifier_key
from gateway.audit.note import checkpoint as head_of
from gateway.audit.tiles import CHECKPOINT
from gateway.cli.audit.checkpoint import verifier_keys
from gateway.cli.audit.desk import AsJson, Config, at_desk
from gateway.cli.audit.second_person import ApprovalFile, RequestOut, approval_text, second_person, with_approval
from gateway.cli.terminal import DONE, NEGATIVE, Refused, say, say_json
from gateway.compliance import recovering
from gateway.errors import StateConflict
from gateway.settings import Audit, load

HELP = """Go on after signed entries were lost for good: the log gets a new name, and its first record there says why.

The gateway refuses to start when the database of the log is behind its signed checkpoint: signing on would show two
histories under one name. Restore the newest backup of the database, and this command is not needed. When there is none:

1. in the configuration, give `audit.origin` a new name and `audit.publish.dir` a new folder. Keep the old folder: it
   is what proves the lost entries;
2. run this with the old folder's checkpoint;
3. start the gateway, and give the new vkey (`audit checkpoint`) to those who verify.

```
cdi-gateway audit recover --config gateway.yaml --from data/log/checkpoint
```
"""


def recover(
    config: Config,
    old: Annotated[Path, typer.Option("--from", metavar="FILE", help="The last checkpoint under the old name.")],
    key: Annotated[
        str | None, typer.Option(metavar="VKEY", help="Its verifier key, when the configured key is another one.")
    ] = None,
    approval: ApprovalFile = None,
    request_out: RequestOut = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    as_json: AsJson = False,
) -> int:
    settings, _ = load(config, check_files=False)
    audit = settings.audit
    signed = _opened(audit, old, key)
    if signed.origin == audit.origin:
        raise Refused("the log needs a new name first: set audit.origin (and audit.publish.dir) in the configuration")
    if TileDirectory(audit.publish.dir).read(CHECKPOINT) is not None:
        raise Refused(f"{audit.publish.dir}: holds a published log; set audit.publish.dir to a new folder")
    try:
        new_key = verifier_keys(audit)[0]
    except KeyFileRefused as error:
        raise Refused(str(error)) from error

    given = approval_text(approval)

    async def work(desk: Desk) -> int:
        try:
            lost = await recovering.loss(desk.audit, signed)
        except StateConflict as error:
            raise Refused(f"{error.detail}: set the old audit.origin and audit.publish.dir", code=NEGATIVE) from error
        asked, second = recovering.asked(desk.operator, lost, audit.origin, desk.clock.now()), second_person(desk)
        second.needs(asked, given)
        if not yes:
            typer.confirm(
                f"{signed.size} entries were signed as {signed.origin}; the database has {lost.kept}. "
                f"Go on with those as {audit.origin}?",
                abort=True,
                err=True,
            )
        now = desk.clock.now()  # the question may have waited long for its answer
        approved = await second.agrees(asked, given, now)
        await recovering.recover(desk.audit, desk.operator, lost, new_origin=audit.origin, now=now, approved=approved)
        facts = {"origin": audit.origin, "vkey": str(new_key), "kept": lost.kept, "signed": signed.size}
        if as_json:
            say_json(facts)
        else:
            say(f"the log goes on as {audit.origin} with {lost.kept} entries and a record of this")
            say(f"vkey {new_key}")
        return DONE

    return at_desk(config, lambda desk: with_approval(lambda: work(desk), request_out), log_name=signed.origin)


def _opened(audit: Audit, file: Path, key: str | None) -> Checkpoint:
    """The old checkpoint, verified: nobody is to be talked into a recovery by a file."""
    data = file.read_bytes()
    try:
        origin = head_of(parse(data).text).origin
        keys = [verifier_key(key)] if key is not None else verifier_keys(audit, origin=origin)
        return open_checkpoint(data, origin=origin, keys=keys)
    except (NoteInvalid, KeyFileRefused) as error:
        raise Refused(f"{file}: {error}; give the old log's verifier key with --key") from error
