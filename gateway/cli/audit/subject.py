"""How a command takes one data owner: by id, by pseudonym, or asked for without echo."""

from __future__ import annotations

import getpass
import warnings
from datetime import UTC

import typer

from gateway.app.desk import Desk
from gateway.audit.query import Qualifier, QueryInvalid, parse
from gateway.cli.terminal import Refused

TAKES = (
    "The data owner's id or pseudonym (64 hex digits); `?` asks for the id, which keeps it out of the shell's history."
)


def pseudonym_of(subject: str, desk: Desk) -> str:
    """As `subject:` in a query understands it. Raises Refused."""
    quoted = subject.replace("\\", "\\\\").replace('"', '\\"')
    try:
        query = parse(f'subject:"{quoted}"', now=desk.clock.now(), zone=UTC, keyed=desk.keyed, ask=ask)
    except QueryInvalid as error:
        raise Refused("--subject takes a data owner's id, a pseudonym of 64 hex digits, or ?") from error
    found = query.only(Qualifier.SUBJECT)
    if found is None:
        raise Refused("--subject takes one data owner")
    return found


def ask() -> str:
    """The id, typed at the terminal. Raises Refused where there is none: what comes another way is kept somewhere."""
    with warnings.catch_warnings():
        warnings.simplefilter("error", getpass.GetPassWarning)  # what it does before it would read with an echo
        try:
            return getpass.getpass("Data owner's id: ")
        except getpass.GetPassWarning as error:
            raise Refused(
                "there is no terminal to ask for the data owner's id: run it at one, or give the pseudonym"
            ) from error
        except (EOFError, KeyboardInterrupt) as error:
            raise typer.Abort from error
