"""CDI's Auth Code: ten characters that a person reads from a page and a clerk types, without look-alikes."""

from __future__ import annotations

import re

ALPHABET = "23456789ABCDEFGHJKMNPQRSTUVWXYZ"  # no 0 O, 1 I L
CHARACTERS = 10
ENTROPY_BYTES_MIN = 16

_CODE = re.compile(rf"[{ALPHABET}]{{5}}[ -]?[{ALPHABET}]{{5}}")


def code_of(entropy: bytes) -> str:
    """A code from random bytes, nearly uniform: 128 bits over 31^10 leave a bias below 2^-78. Raises ValueError."""
    if len(entropy) < ENTROPY_BYTES_MIN:
        raise ValueError("16 bytes of entropy are needed")
    number = int.from_bytes(entropy, "big")
    characters = []
    for _ in range(CHARACTERS):
        number, index = divmod(number, len(ALPHABET))
        characters.append(ALPHABET[index])
    return "".join(characters)


def as_code(text: str) -> str | None:
    """The code that this text may be, with or without its grouping, in any case; None for what is none."""
    folded = text.upper() if text.isascii() else text  # elsewhere case folding makes two characters of one
    return folded.replace(" ", "").replace("-", "") if _CODE.fullmatch(folded) is not None else None
