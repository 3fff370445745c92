"""What every case bundle carries for who opens it: the text for a lawyer, and the verifier."""

from __future__ import annotations

from importlib.resources import files


def enclosed() -> dict[str, bytes]:
    """Content by name in the bundle."""
    folder = files(__package__)
    return {name: folder.joinpath(name).read_bytes() for name in ("README.txt", "verify.py")}
