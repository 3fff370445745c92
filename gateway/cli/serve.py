"""`cdi-gateway serve`: runs the gateway until it is told to stop."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from gateway.cli.terminal import Refused


def serve(
    config: Annotated[Path, typer.Option("--config", "-c", metavar="FILE", help="The configuration file.")],
) -> int:
    """Run the gateway.

    SIGTERM finishes the requests under way and exits; SIGHUP reads participants, certificates and revocation lists
    again. Logs are JSON lines on standard output. A configuration with mistakes is refused: see `config check`.
    """
    # Loaded here: it brings every adapter, which the other commands can do without.
    from gateway import app  # noqa: PLC0415

    try:
        return app.serve(config)
    except app.StartRefused as error:
        raise Refused(f"cannot start: {error}") from error
