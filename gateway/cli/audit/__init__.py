"""`cdi-gateway audit`: one module for each command, registered here."""

from __future__ import annotations

import typer

app = typer.Typer(
    add_completion=False,
    rich_markup_mode="markdown",
    help="The audit log: verify, search, prove, export, and what its keepers may do.",
)
