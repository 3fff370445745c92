"""How single claims are read, whoever made them. What a claim decides is for the rules that ask for it."""

from __future__ import annotations

from typing import Any

_SECONDS_MAX = 1 << 40  # far beyond any honest date, far below where arithmetic costs anything


def numeric_date(value: Any) -> int | None:
    """Unix seconds; None for what is none.

    RFC 7519 §2 allows fractions; those who sign for us send whole seconds.
    """
    # A bool is an int to Python.
    return value if type(value) is int and 0 <= value <= _SECONDS_MAX else None
