"""The one stylesheet, under a name that changes with its content: a browser may keep it for ever."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from importlib.resources import files

MEDIA_TYPE = "text/css"
FOLDER = "/assets"


@dataclass(frozen=True, slots=True, kw_only=True)
class Stylesheet:
    """`path`: where it is served, e.g. `/assets/pages-0123456789abcdef.css`. Answer with `Cache-Control: immutable`."""

    path: str
    body: bytes


def stylesheet() -> Stylesheet:
    """The stylesheet as it is packaged."""
    body = files("gateway.pages").joinpath("static", "pages.css").read_bytes()
    return Stylesheet(path=f"{FOLDER}/pages-{hashlib.sha256(body).hexdigest()[:16]}.css", body=body)
