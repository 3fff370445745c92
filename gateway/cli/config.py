"""`cdi-gateway config`: check a configuration, all mistakes at once, and print its JSON Schema."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from gateway.app.identities import published_codes
from gateway.cli.material import material_problems
from gateway.cli.terminal import DONE, WRONG, Refused, say, say_json, show
from gateway.settings import Listener, Participants, Settings, SettingsError, config_hash, load

app = typer.Typer(
    add_completion=False, rich_markup_mode="markdown", help="Check a configuration, and print its JSON Schema."
)


@app.command()
def check(
    file: Annotated[Path | None, typer.Argument(metavar="FILE", show_default=False, help="The file.")] = None,
    config: Annotated[
        Path | None, typer.Option("--config", "-c", metavar="FILE", show_default=False, help="The same as FILE.")
    ] = None,
    without_files: Annotated[
        bool, typer.Option("--without-files", help="Do not ask for the keys and certificates: a review without them.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document.")] = False,
) -> int:
    """Check gateway.yaml and its participants.

    Every mistake is reported, one a line, with the path of its key or the environment variable that made it.
    """
    chosen = file or config
    if chosen is None or (file is not None and config is not None):
        raise Refused("name one configuration file: cdi-gateway config check FILE")
    try:
        settings, participants = _checked(chosen, with_files=not without_files)
    except SettingsError as error:
        if not as_json:
            raise
        problems = [{"path": path, "message": message} for path, message in error.problems]
        say_json({"file": str(chosen), "valid": False, "problems": problems})
        return WRONG
    fingerprint = config_hash(settings, participants)
    if as_json:
        say_json({"file": str(chosen), "valid": True, "problems": [], "configHash": fingerprint})
        return DONE
    show(_summary(participants))
    say(f"listeners: {_listeners(settings)}")
    files = "keys and certificates not looked at" if without_files else "keys and certificates usable"
    say(f"{chosen}: valid, {files}; configuration hash {fingerprint}")
    return DONE


@app.command()
def schema(
    participants: Annotated[
        bool, typer.Option("--participants", help="Of participants.yaml instead of gateway.yaml.")
    ] = False,
) -> int:
    """Print the JSON Schema (2020-12) of gateway.yaml, for editors and reviews."""
    model = Participants if participants else Settings
    say_json({"$schema": "https://json-schema.org/draft/2020-12/schema", **model.model_json_schema()})
    return DONE


def _checked(file: Path, *, with_files: bool) -> tuple[Settings, Participants]:
    settings, participants = load(file, codes=published_codes(), check_files=with_files)
    unusable = list(material_problems(settings, participants)) if with_files else []
    if unusable:
        raise SettingsError(file, unusable)
    return settings, participants


def _summary(participants: Participants) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in ("participant", "role", "status", "certificates", "documents"):
        table.add_column(column)
    for entry in participants.participants:
        documents = ", ".join(entry.document_types) or "-"
        table.add_row(entry.id, entry.role.value, entry.status, str(len(entry.certificates)), documents)
    return table


def _listeners(settings: Settings) -> str:
    listeners: dict[str, Listener | None] = {
        "bank": settings.bank,
        "consent": settings.consent,
        "partner": settings.partner,
        "ops": settings.ops,
    }
    return ", ".join(f"{name} {one.host}:{one.port}" for name, one in listeners.items() if one is not None)
