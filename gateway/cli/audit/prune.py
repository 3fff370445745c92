"""`cdi-gateway audit prune`: drop the bytes of the oldest entries, whose retention is over."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from adapters.keys.log_key import log_signers
from adapters.tiles.directory import TileDirectory
from gateway.app.desk import Desk
from gateway.audit.note import NoteInvalid, open_checkpoint
from gateway.audit.retention import Retention
from gateway.audit.tiles import CHECKPOINT
from gateway.cli.audit.desk import AsJson, Config, at_desk
from gateway.cli.audit.progress import progress
from gateway.cli.audit.second_person import ApprovalFile, RequestOut, approval_text, second_person, with_approval
from gateway.cli.terminal import DONE, NEGATIVE, Refused, say, say_json
from gateway.compliance import pruning
from gateway.errors import StateConflict
from gateway.followers.forwarder import place_name
from gateway.settings import Settings

HELP = """Drop the bytes of the oldest entries, when their retention is over.

Whole bundles of 256 entries go, from the beginning of the log up to the first entry that is too young for its class
(`audit.retention` in the configuration), that a legal hold keeps, that a SIEM target has not got yet, or that no
published checkpoint covers. Their leaf hashes stay, so that every later entry is proven as before, and the pruning is
an entry itself. Nothing else prunes.

Where a second person must approve, they approve one index: give it again with `--below` when you come back.

The gateway removes the bundles from the published folder; copies made before, and backups, stay what they are.

```
cdi-gateway audit prune --config gateway.yaml --dry-run
cdi-gateway audit prune --config gateway.yaml --below 51200 --approval approval.jws
```
"""


def prune(
    config: Config,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would go, and why no more.")] = False,
    below: Annotated[int | None, typer.Option(min=0, metavar="INDEX", help="No further than this index.")] = None,
    approval: ApprovalFile = None,
    request_out: RequestOut = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    as_json: AsJson = False,
) -> int:
    given = approval_text(approval)

    async def work(desk: Desk) -> int:
        now = desk.clock.now()
        published = _published(desk.settings)
        with progress("looking at what is old", quiet=as_json) as advance:
            made = await pruning.plan(
                desk.audit,
                desk.audit,
                published=published,
                forwarded=await _forwarded(desk),
                now=now,
                days=_days(desk.settings),
                most=below,
                progress=advance,
            )
        if not as_json:
            _tell(made)
        pruned = 0
        if made.count and not dry_run:
            log = desk.settings.audit.origin
            asked, second = pruning.asked(desk.operator, log, made.below, now), second_person(desk)
            second.needs(asked, given)
            if not yes:
                typer.confirm(f"Drop the bytes of {made.count} entries? This cannot be undone.", abort=True, err=True)
            now = desk.clock.now()  # the question may have waited long for its answer
            approved = await second.agrees(asked, given, now)
            try:
                pruned = await pruning.prune(desk.audit, desk.operator, made, now=now, approved=approved)
            except StateConflict as error:
                raise Refused("a legal hold was set meanwhile: run it again", code=NEGATIVE) from error
        if as_json:
            say_json({**_document(made), "pruned": pruned})
        elif pruned:
            say(f"pruned: {pruned} entries lost their bytes, and the log has a record of it")
        return DONE

    return at_desk(config, lambda desk: with_approval(lambda: work(desk), request_out))


def _days(settings: Settings) -> dict[str, int]:
    retention = settings.audit.retention
    return {Retention.STANDARD: retention.standard_days, Retention.OPERATIONAL: retention.operational_days}


async def _forwarded(desk: Desk) -> int | None:
    """Up to which index every SIEM target of the configuration has its copies; None without targets."""
    targets = desk.settings.audit.forward
    origin = (await desk.audit.head()).origin
    return min([await desk.audit.cursor(place_name(target.name, origin)) for target in targets], default=None)


def _published(settings: Settings) -> int:
    """The size that outsiders can verify by now. Raises Refused for a checkpoint that is not the log's."""
    audit = settings.audit
    data = TileDirectory(audit.publish.dir).read(CHECKPOINT)
    if data is None:
        return 0
    signers = log_signers(audit.origin, (audit.signing_key_file, *audit.also_signing_key_files))
    try:
        return open_checkpoint(data, origin=audit.origin, keys=[signer.verifier for signer in signers]).size
    except NoteInvalid as error:
        raise Refused(f"{audit.publish.dir / CHECKPOINT}: {error}; start the gateway first, which publishes") from error


def _tell(made: pruning.Plan) -> None:
    if made.count:
        say(f"entries {made.first} to {made.below - 1} go ({made.count}); the newest is of {made.newest}")
    else:
        say("nothing to prune")
    if made.kept is not None:
        say(f"entry {made.kept.index} of {made.kept.time} stays: its class is {made.kept.retention}")
    elif made.held is not None and made.held <= made.published:
        say(f"a legal hold keeps all from entry {made.held} on")
    elif made.forwarded is not None and made.forwarded <= made.published:
        say(f"a SIEM target has not got the entries from {made.forwarded} on; whole bundles of 256 go")
    else:
        say(f"no checkpoint covers entries from {made.published} on; whole bundles of 256 go")


def _document(made: pruning.Plan) -> dict[str, Any]:
    return {
        "from": made.first,
        "below": made.below,
        "count": made.count,
        "newest": made.newest,
        "kept": None if made.kept is None else {"index": made.kept.index, "time": made.kept.time},
        "held": made.held,
        "published": made.published,
        "forwarded": made.forwarded,
    }
