"""The names of the files in a published folder, strictly: what is not on this list is neither read, written nor served.

C2SP tlog-tiles for checkpoint, tiles and entry bundles; `timestamps/` and `witnessed` are ours. Pure.
"""

from __future__ import annotations

import re
from enum import StrEnum

from gateway.audit.tiles import CHECKPOINT, WIDTH, Tile

WITNESSED = "witnessed"
"""The newest checkpoint with its quorum of witnesses, kept while newer ones lack it."""

_TILE = re.compile(
    r"tile/(entries|0|[1-9][0-9]?)/((?:x[0-9]{3}/){0,6}[0-9]{3})(?:\.p/([1-9][0-9]{0,2}))?", flags=re.ASCII
)
_STAMPED = re.compile(r"timestamps/(0|[1-9][0-9]{0,18})\.(checkpoint|tsr)", flags=re.ASCII)
_PATH_LENGTH_MAX = 64


class Kind(StrEnum):
    CHECKPOINT = "checkpoint"  # replaced again and again; all others never change once they are there
    TILE = "tile"
    STAMPED = "stamped"  # the bytes of a checkpoint that got a time-stamp
    TOKEN = "token"  # noqa: S105 - an RFC 3161 answer, nobody's secret


def kind(path: str) -> Kind | None:
    """What this path below the folder is; None for every other name."""
    if len(path) > _PATH_LENGTH_MAX:
        return None
    if path in {CHECKPOINT, WITNESSED}:
        return Kind.CHECKPOINT
    if tile(path) is not None:
        return Kind.TILE
    stamped = _STAMPED.fullmatch(path)
    if stamped is None:
        return None
    return Kind.STAMPED if stamped[2] == "checkpoint" else Kind.TOKEN


def tile(path: str) -> Tile | None:
    """The tile or bundle with this path, in its one spelling."""
    found = _TILE.fullmatch(path)
    if found is None:
        return None
    level = -1 if found[1] == "entries" else int(found[1])
    number = int(found[2].replace("x", "").replace("/", ""))
    width = int(found[3]) if found[3] else WIDTH
    named = Tile(level=level, number=number, width=width)
    return named if level < 64 and width <= WIDTH and named.path == path else None


def stamped(size: int) -> str:
    """Path of the checkpoint of this size that got a time-stamp."""
    return f"timestamps/{size}.checkpoint"


def token(size: int) -> str:
    """Path of the time-stamp over `stamped(size)`."""
    return f"timestamps/{size}.tsr"
