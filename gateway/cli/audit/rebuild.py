"""`cdi-gateway audit rebuild`: the published files made anew from the entries."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from adapters.tiles.directory import TileDirectory
from gateway.app.desk import Desk
from gateway.audit.tiles import CHECKPOINT
from gateway.cli.audit.checkpoint import verifier_keys
from gateway.cli.audit.desk import AsJson, Config, at_desk
from gateway.cli.audit.progress import progress
from gateway.cli.terminal import DONE, NEGATIVE, Refused, say, say_json
from gateway.followers.history import HistoryRefused, signed_head
from gateway.followers.rebuilding import rebuild as rebuilt
from gateway.followers.tiling import EntriesDamaged

HELP = """Make all published files anew from the log's entries: the same bytes as before.

Without `--out` it repairs the published folder itself, for which no gateway may be running. With it, the files go to
another folder, with a copy of the current checkpoint, to be compared or served elsewhere; a gateway may run. Nothing is
signed, and entries that are not those that were signed are refused. Time-stamps cannot be made again.

```
cdi-gateway audit rebuild --config gateway.yaml
cdi-gateway audit rebuild --config gateway.yaml --out /srv/copy && diff -r data/log/tile /srv/copy/tile
```
"""


def rebuild(
    config: Config,
    out: Annotated[Path | None, typer.Option(metavar="DIR", help="Another folder; made when it is not there.")] = None,
    as_json: AsJson = False,
) -> int:
    async def work(desk: Desk) -> int:
        audit = desk.settings.audit
        own = TileDirectory(audit.publish.dir)
        into = own if out is None else TileDirectory(out)
        if not into.lock():
            raise Refused(
                "a gateway publishes into this folder: stop it first, or give another folder with --out", code=NEGATIVE
            )
        try:
            note = own.read(CHECKPOINT)
            signed = None
            if note is not None:
                signed, _ = signed_head(note, origin=audit.origin, keys=verifier_keys(audit))
            with progress("building", quiet=as_json) as advance:
                size = await rebuilt(
                    desk.audit, into, signed=signed, note=note if into is not own else None, progress=advance
                )
        except (HistoryRefused, EntriesDamaged) as error:
            raise Refused(str(error), code=NEGATIVE) from error
        finally:
            into.unlock()
        if as_json:
            say_json({"size": size, "dir": str(into.folder), "checkpoint": note is not None})
        else:
            say(f"{into.folder}: files of {size} entries")
            if note is None:
                say("no checkpoint was published yet: the gateway signs one when it starts")
        return DONE

    if out is not None and (out / CHECKPOINT).exists():
        raise Refused(f"{out}: holds a published log already; give an empty folder")
    return at_desk(config, work)
