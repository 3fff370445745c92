"""C2SP tlog-tiles as a reader sees them: names of files, and entries in a bundle. https://c2sp.org/tlog-tiles"""

from __future__ import annotations

import re
from dataclasses import dataclass

WIDTH = 256
HASH_BYTES = 32
ENTRIES = -1  # the level of an entry bundle
LEVEL_MAX = 7  # 256**8 leaves are more than a size can say
TILE_BYTES_MAX = WIDTH * HASH_BYTES
BUNDLE_BYTES_MAX = WIDTH * (2 + 0xFFFF)

_PATH = re.compile(r"tile/(entries|[0-7])/((?:x[0-9]{3}/)*[0-9]{3})(?:\.p/([1-9][0-9]{0,2}))?")


@dataclass(frozen=True, slots=True)
class Name:
    """One file of the tree. `level` ENTRIES is a bundle; `width` below WIDTH is a partial one."""

    level: int
    number: int
    width: int = WIDTH

    @property
    def path(self) -> str:
        groups, rest = [f"{self.number % 1000:03}"], self.number // 1000
        while rest:
            groups.append(f"x{rest % 1000:03}")
            rest //= 1000
        level = "entries" if self.level == ENTRIES else self.level
        partial = "" if self.width == WIDTH else f".p/{self.width}"
        return f"tile/{level}/{'/'.join(reversed(groups))}{partial}"

    @property
    def unit(self) -> int:
        """How many leaves one of its hashes, or entries, stands for."""
        return int(WIDTH ** max(self.level, 0))

    @property
    def start(self) -> int:
        """The index of its first leaf."""
        return self.number * WIDTH * self.unit


def name_of(path: str) -> Name | None:
    """None for a path that no file of a log has."""
    match = _PATH.fullmatch(path)
    if match is None:
        return None
    level, groups, width = match.groups()
    name = Name(
        ENTRIES if level == "entries" else int(level),
        int(groups.replace("x", "").replace("/", "")),
        int(width) if width else WIDTH,
    )
    return name if name.path == path else None  # one name for each file: no leading groups, no width of 256 or more


def split(bundle: bytes) -> tuple[list[bytes], bool]:
    """The entries of a bundle as far as their lengths lead, and whether these lead exactly to its end."""
    entries, place, end = [], 0, len(bundle)
    while place + 2 <= end:
        stop = place + 2 + (bundle[place] << 8 | bundle[place + 1])
        if stop > end:
            break
        entries.append(bundle[place + 2 : stop])
        place = stop
    return entries, place == end


def hashes(tile: bytes) -> tuple[list[bytes], bool]:
    """The hashes of a tile, and whether its length is a whole number of them."""
    whole = len(tile) // HASH_BYTES * HASH_BYTES
    return [tile[start : start + HASH_BYTES] for start in range(0, whole, HASH_BYTES)], whole == len(tile)
