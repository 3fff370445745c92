"""`cdi-gateway db`: bring the schemas of store, audit log and search index to this version, and say where they are."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from adapters.sql import migrations
from gateway.cli.terminal import DONE, NEGATIVE, Refused, say, say_json
from gateway.settings import load

app = typer.Typer(
    add_completion=False,
    rich_markup_mode="markdown",
    help="Schema migrations of the store, the audit log and its index.",
)

Config = Annotated[Path, typer.Option("--config", "-c", metavar="FILE", help="The configuration file.")]
AsJson = Annotated[bool, typer.Option("--json", help="One JSON document.")]


@app.command()
def upgrade(config: Config, as_json: AsJson = False) -> int:
    """Bring all schemas to this version.

    Each is one transaction; running it again changes nothing. Keys and certificates of the configuration are not
    needed here, so a migration job can do without them.
    """
    try:
        versions = {schema: migrations.upgrade(url, schema) for schema, url in _urls(config).items()}
    except migrations.DatabaseUnusable as error:
        raise Refused(f"{error}: check its url, and that the database runs", code=NEGATIVE) from error
    if as_json:
        say_json(versions)
    else:
        for schema, version in versions.items():
            say(f"{schema:<6} {version}")
    return DONE


@app.command()
def current(config: Config, as_json: AsJson = False) -> int:
    """Print all schemas' versions. The exit code is 1 when one is not this version's."""
    try:
        found = {schema: migrations.current(url, schema) for schema, url in _urls(config).items()}
    except migrations.DatabaseUnusable as error:
        raise Refused(f"{error}: check its url, and that the database runs", code=NEGATIVE) from error
    needed = {schema: migrations.newest(schema) for schema in migrations.SCHEMAS}
    if as_json:
        say_json({schema: {"current": found[schema], "needed": needed[schema]} for schema in migrations.SCHEMAS})
    else:
        for schema in migrations.SCHEMAS:
            hint = (
                "" if found[schema] == needed[schema] else f" (needed: {needed[schema]}; run `cdi-gateway db upgrade`)"
            )
            say(f"{schema:<6} {found[schema] or 'none'}{hint}")
    return DONE if found == needed else NEGATIVE


def _urls(config: Path) -> dict[migrations.Schema, str]:
    settings, _ = load(config, check_files=False)
    return {"store": settings.store.url, "audit": settings.audit.url, "index": settings.audit.index_url}
