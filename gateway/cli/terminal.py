"""What the commands say: facts on standard output (for people, or one JSON document), errors on standard error.

An error is one line that says what to do. Exit codes (README): DONE, NEGATIVE, WRONG.
"""

from __future__ import annotations

import sys
from typing import Any

import orjson
from rich.console import Console
from rich.table import Table

PROGRAM = "cdi-gateway"

DONE = 0
NEGATIVE = 1  # the check failed, or the outcome is negative
WRONG = 2  # wrong usage or configuration


class Refused(Exception):
    """A command cannot go on. `lines` are for standard error, one each; `code` is the exit code."""

    def __init__(self, *lines: str, code: int = WRONG) -> None:
        super().__init__(*lines)
        self.lines = lines
        self.code = code


def say(text: str) -> None:
    """A line for people, as it is: no markup, no wrapping."""
    Console(soft_wrap=True).print(text, markup=False, highlight=False)


def show(table: Table) -> None:
    Console(soft_wrap=True).print(table)


def say_json(value: Any) -> None:
    """One JSON document. Raises TypeError for what is not JSON."""
    sys.stdout.write(orjson.dumps(value, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE).decode())


def complain(line: str) -> None:
    """One error on standard error."""
    Console(stderr=True, soft_wrap=True).print(
        f"cdi-gateway: {' '.join(line.split())}", markup=False, highlight=False, style="red"
    )
