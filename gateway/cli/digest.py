"""`cdi-gateway digest`: SHA-256 and SM3 of files, as the API wants them. The bytes stay on this machine."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, BinaryIO

import typer

from gateway.cli.terminal import DONE, NEGATIVE, complain, say, say_json
from gateway.core.digest import Hasher

CHUNK_BYTES = 1024 * 1024


def digest(
    files: Annotated[list[Path], typer.Argument(metavar="FILE…", help="Files to hash.", show_default=False)],
    as_json: Annotated[
        bool, typer.Option("--json", help="`document.digests` and `document.size`, ready for a request.")
    ] = False,
) -> int:
    """Print SHA-256 and SM3 of files.

    A file that cannot be read is reported, the others are hashed, and the exit code is 1.
    """
    results: list[dict[str, Any]] = []
    code = DONE
    for file in files:
        try:
            with file.open("rb") as stream:
                hasher = _hashed(stream)
        except OSError as error:
            complain(f"{file}: {error.strerror}")
            code = NEGATIVE
            continue
        digests = [{"algorithm": item.algorithm.value, "value": item.value} for item in hasher.digests()]
        results.append({"file": str(file), "size": hasher.size, "digests": digests})
    if as_json:
        say_json(results)
        return code
    for result in results:
        for item in result["digests"]:
            say(f"{item['algorithm']:<6}  {item['value']}  {result['file']}")
    return code


def _hashed(stream: BinaryIO) -> Hasher:
    hasher = Hasher()
    while chunk := stream.read(CHUNK_BYTES):
        hasher.update(chunk)
    return hasher
