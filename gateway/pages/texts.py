"""The words of the pages: one flat file per language, with the same keys and placeholders in each.

A text is ours and trusted, what is put into it is not: it is escaped, and isolated from the direction of its
surroundings.
"""

from __future__ import annotations

from importlib.resources import files
from types import MappingProxyType

import orjson
from markupsafe import Markup

from gateway.pages.languages import Language

NAME_CHARACTERS_MAX = 200

# FIRST STRONG ISOLATE and POP DIRECTIONAL ISOLATE (UAX #9): what <bdi> is, where no element may stand.
_ISOLATE, _POP = "\u2068", "\u2069"


class Texts:
    """The texts of one language."""

    def __init__(self, language: Language) -> None:
        raw = files("gateway.pages").joinpath("texts", f"{language.value}.json").read_bytes()
        self.language = language
        self.by_key: MappingProxyType[str, str] = MappingProxyType(orjson.loads(raw))

    def rich(self, key: str, **values: object) -> Markup:
        """The text as content of an element. Raises KeyError when a text or one of its values is missing."""
        return Markup(self.by_key[key]).format(**{name: isolated(value) for name, value in values.items()})  # noqa: S704

    def plain(self, key: str, **values: object) -> str:
        """The text where no element may stand: `<title>` and attributes. Escaped by the template."""
        given = {name: f"{_ISOLATE}{shortened(str(value))}{_POP}" for name, value in values.items()}
        return self.by_key[key].format(**given)


def isolated(value: object) -> Markup:
    """A name that somebody else chose: escaped, shortened, and of no effect on the direction of what is beside it."""
    if isinstance(value, Markup):  # made by a template: a <time>
        return value
    return Markup("<bdi>{}</bdi>").format(shortened(str(value)))


def shortened(value: str) -> str:
    return value if len(value) <= NAME_CHARACTERS_MAX else value[: NAME_CHARACTERS_MAX - 1] + "…"
