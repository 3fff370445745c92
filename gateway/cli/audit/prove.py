"""`cdi-gateway audit prove`: the tlog-proof of a record, from the entries and the published files; and its check.

A proof shows that a record is in the log, and nothing of what it says; so making one is not on record itself.
"""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Annotated

import typer

from adapters.tiles.directory import TileDirectory
from gateway.app.desk import Desk
from gateway.audit import proof as proofs
from gateway.audit.query import Qualifier, Query, Term
from gateway.cli.audit.desk import AsJson, at_desk
from gateway.cli.audit.receipt import check_receipt
from gateway.cli.terminal import DONE, NEGATIVE, Refused, say, say_json
from gateway.followers.proving import Prover

_CATCH_UP_SECONDS = 60.0
_OUTCOME = "verification.decided"

_MAKE = "Make a proof"
_CHECK = "Check a proof"


def prove(
    config: Annotated[
        Path | None,
        typer.Option("--config", "-c", metavar="FILE", help="The gateway's configuration.", rich_help_panel=_MAKE),
    ] = None,
    index: Annotated[
        int | None, typer.Option("--index", min=0, help="The record at this index.", rich_help_panel=_MAKE)
    ] = None,
    request: Annotated[
        str | None,
        typer.Option("--request", metavar="ID", help="The outcome of this data request.", rich_help_panel=_MAKE),
    ] = None,
    record: Annotated[
        str | None,
        typer.Option("--record", metavar="ID", help="The record with this id.", rich_help_panel=_MAKE),
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", metavar="FILE", help="Write the proof here.", rich_help_panel=_MAKE)
    ] = None,
    check: Annotated[
        Path | None,
        typer.Option("--check", metavar="PROOF", help="The proof, as `/proof` gave it.", rich_help_panel=_CHECK),
    ] = None,
    receipt: Annotated[
        Path | None,
        typer.Option("--receipt", metavar="FILE", help="The receipt (compact JWS).", rich_help_panel=_CHECK),
    ] = None,
    key: Annotated[
        list[str] | None,
        typer.Option("--key", metavar="VKEY", help="Verifier key of the log; may be repeated.", rich_help_panel=_CHECK),
    ] = None,
    jwks: Annotated[
        Path | None,
        typer.Option("--jwks", metavar="FILE", help="The gateway's keys of reports.", rich_help_panel=_CHECK),
    ] = None,
    as_json: AsJson = False,
) -> int:
    """Make the proof that a record is in the published log, or check one against a receipt.

    `prove --config FILE --request ID` prints the same C2SP tlog-proof as the API's `/proof`; the gateway need not run.

    `prove --check PROOF --receipt RECEIPT --key VKEY --jwks FILE` needs neither gateway nor configuration: it says what
    the receipt says, that the gateway signed it, and that the log holds the record which it names. Exit code 1 when
    one of these is not so.
    """
    if check is not None or receipt is not None:
        if check is None or receipt is None or not key:
            raise Refused("a check takes --check PROOF, --receipt RECEIPT and --key VKEY together")
        return check_receipt(check, receipt, keys=key, jwks=jwks, as_json=as_json)
    if config is None or [index, request, record].count(None) != 2:
        raise Refused("give --config FILE and one of --index, --request, --record; or --check to check a proof")
    return at_desk(config, lambda desk: _prove(desk, index, _sought(request, record), out, as_json=as_json))


def _sought(request: str | None, record: str | None) -> Query:
    if request is None:
        return Query(terms=(Term(qualifier=Qualifier.RECORD, values=(record or "",)),))
    return Query(
        terms=(
            Term(qualifier=Qualifier.REQUEST, values=(request,)),
            Term(qualifier=Qualifier.TYPE, values=(_OUTCOME,)),
        )
    )


async def _prove(desk: Desk, index: int | None, sought: Query, out: Path | None, *, as_json: bool) -> int:
    head = await desk.audit.head()
    if index is None:
        index = await _found(desk, sought, head.size)
    elif index >= head.size:
        raise Refused(f"the log has {head.size} entries: its last index is {head.size - 1}", code=NEGATIVE)
    (stored,) = await desk.audit.entries(index, 1)
    folder = desk.settings.audit.publish.dir
    text = await asyncio.to_thread(Prover(TileDirectory(folder)).proof, index)
    if text is None:
        raise Refused(
            f"no checkpoint in {folder} covers entry {index} yet: it comes within seconds while the gateway runs",
            code=NEGATIVE,
        )
    if not proofs.leads(text, index, stored.leaf_hash):
        raise Refused(f"{folder} is not the log of these entries: see `cdi-gateway audit verify`", code=NEGATIVE)
    if out is not None:
        await asyncio.to_thread(out.write_text, text)
    if as_json:
        facts = {"origin": head.origin, "index": index, "leafHash": stored.leaf_hash.hex(), "proof": text}
        say_json(facts)
    elif out is None:
        say(text.rstrip("\n"))
    else:
        say(f"entry {index} of {head.origin}: {out}")
    return DONE


async def _found(desk: Desk, sought: Query, size: int) -> int:
    indexed = await desk.indexer.catch_up(size, seconds=_CATCH_UP_SECONDS)
    # After a crash a record can stand twice, and an outcome be decided twice; the last one is what was delivered.
    found = await desk.index.find(sought, after=None, newest_first=True, limit=1)
    if not found:
        hint = "" if indexed >= size else f"; entries from {indexed} on are not indexed yet, try again"
        raise Refused(f"the log has no such record{hint}", code=NEGATIVE)
    return found[0]
