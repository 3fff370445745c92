"""The languages that the pages speak, and which of them a browser gets. Pure; one is always chosen."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from enum import StrEnum
from urllib.parse import parse_qsl, urlencode, urlsplit

HEADER_CHARACTERS_MAX = 1_000
RANGES_MAX = 32

_ITEM = re.compile(r"([A-Za-z]{1,8})(?:-[A-Za-z0-9]{1,8}){0,8}(?:[ \t]*;[ \t]*[qQ]=(0(?:\.\d{0,3})?|1(?:\.0{0,3})?))?")


class Language(StrEnum):
    """A value is what `?lang=` and the cookie say, and a key of the titles of the code lists."""

    EN = "en"
    ZH_HANT = "zh-Hant"

    @property
    def tag(self) -> str:
        """For `lang` attributes (RFC 5646): with the region, so that a browser draws the characters of Hong Kong."""
        return {Language.EN: "en", Language.ZH_HANT: "zh-Hant-HK"}[self]

    @property
    def endonym(self) -> str:
        """The language's name in itself."""
        return {Language.EN: "English", Language.ZH_HANT: "繁體中文"}[self]


# By primary subtag. Simplified Chinese and Cantonese are served the closest that there is (RFC 4647 §3.4).
_BY_SUBTAG = {"en": Language.EN, "zh": Language.ZH_HANT, "yue": Language.ZH_HANT}


def negotiate(
    *, chosen: str | None = None, ui_locales: Sequence[str] = (), accept_language: str | None = None
) -> Language:
    """What the owner chose (query or cookie), else the client's `ui_locales`, else the browser's wish, else English.

    `ui_locales`: in order of preference (OpenID Connect Core §3.1.2.1). `accept_language`: RFC 9110 §12.5.4.
    """
    for tag in ([chosen] if chosen is not None else []) + list(ui_locales[:RANGES_MAX]):
        language = _matched(tag)
        if language is not None:
            return language
    # Python's sort is stable: of equal weights the first that was named wins.
    for _, language in sorted(_weighted(accept_language or ""), key=lambda item: -item[0]):
        return language
    return Language.EN


def switch(path: str, language: Language) -> str:
    """The same page in another language: `path` (with its query) and `lang` set in it. Never leads to another host."""
    parts = urlsplit("/" + path.lstrip("/\\"))
    query = [(name, value) for name, value in parse_qsl(parts.query, keep_blank_values=True) if name != "lang"]
    return f"{parts.path}?{urlencode([*query, ('lang', language.value)])}"


def _matched(tag: str) -> Language | None:
    item = _ITEM.fullmatch(tag) if len(tag) <= HEADER_CHARACTERS_MAX else None
    return _BY_SUBTAG.get(item[1].lower()) if item is not None else None


def _weighted(header: str) -> Iterator[tuple[float, Language]]:
    if len(header) > HEADER_CHARACTERS_MAX:
        return
    for text in header.split(",", RANGES_MAX)[:RANGES_MAX]:
        item = _ITEM.fullmatch(text.strip(" \t"))
        if item is None:
            continue
        weight = float(item[2]) if item[2] is not None else 1.0
        language = _BY_SUBTAG.get(item[1].lower())
        if language is not None and weight > 0:  # RFC 9110 §12.4.2: 0 is "not acceptable"
            yield weight, language
