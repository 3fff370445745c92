"""`cdi-gateway audit`: one module for each command, registered here."""

from __future__ import annotations

import typer

from gateway.cli.audit import approve, checkpoint, erase, export, hold, prune, rebuild, recover, search, show, tail
from gateway.cli.audit.prove import prove
from gateway.cli.audit.query import QueryCommand
from gateway.cli.audit.verify import verify

app = typer.Typer(
    add_completion=False,
    rich_markup_mode="markdown",
    help="The audit log: verify, search, prove, export, and what its keepers may do.",
)


app.command()(verify)
app.command(cls=QueryCommand, help=search.HELP)(search.search)
app.command()(show.show)
app.command(cls=QueryCommand, help=tail.HELP)(tail.tail)
app.command()(prove)
app.command(help=approve.HELP)(approve.approve)
app.command(help=erase.HELP)(erase.erase)
app.command(cls=QueryCommand, help=export.HELP)(export.export)
app.command(help=prune.HELP)(prune.prune)
app.add_typer(hold.app, name="hold")
app.command(help=checkpoint.HELP)(checkpoint.checkpoint)
app.command(help=rebuild.HELP)(rebuild.rebuild)
app.command(help=recover.HELP)(recover.recover)
