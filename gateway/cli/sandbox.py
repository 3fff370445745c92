"""`cdi-gateway sandbox`: the whole world on one machine, and `sandbox token`: a token as a client would get it."""

from __future__ import annotations

import asyncio
import shlex
import shutil
import signal
import sys
from pathlib import Path
from typing import Annotated, Any

import aiohttp
import orjson
import typer

import schemas
from adapters.sandbox.addresses import PortsTaken
from adapters.sandbox.bank import CONSENTS, Bank, TokenRefused
from adapters.sandbox.cast import CLIENTS, CONSENT_SCOPE
from adapters.sandbox.children import ChildFailed
from adapters.sandbox.commands import walk_through
from adapters.sandbox.samples import SamplesUnavailable
from adapters.sandbox.world import DESCRIPTION_FILE, World, WorldBusy
from gateway.cli.terminal import DONE, NEGATIVE, PROGRAM, WRONG, Refused, say, say_json

app = typer.Typer(add_completion=False, rich_markup_mode="markdown")

_DIR = Path("sandbox")
Directory = Annotated[Path | None, typer.Option("--dir", metavar="DIR", help="Its folder (default: ./sandbox).")]
BASE_MAX = 65_500


@app.callback(invoke_without_command=True)
def sandbox(
    ctx: typer.Context,
    directory: Directory = None,
    port_base: Annotated[
        int | None,
        typer.Option(
            min=0, max=BASE_MAX, help="Ports from this one on; 0 takes free ones. Default: 8443 and the usual ones."
        ),
    ] = None,
    block_seconds: Annotated[
        float, typer.Option(min=0, max=3600, help="Time between blocks of the ledger; 0 makes one at once.")
    ] = 1.0,
    as_json: Annotated[bool, typer.Option("--json", help="Print sandbox.json instead of the commands.")] = False,
) -> int:
    """Run the whole world on one machine, until interrupted.

    Test PKI, a DVP platform with its evidence ledger, two mainland sources, the data owners' login, banks' client
    certificates, a witness and a time-stamping authority for the audit log, and the gateway. Started again in the same
    folder it keeps its state. What a client needs is in DIR/sandbox.json.
    """
    folder = directory or _DIR
    if ctx.invoked_subcommand is not None:
        ctx.obj = folder
        return DONE
    world = World(folder, schemas=schemas.load(), port_base=port_base, block_seconds=block_seconds)
    try:
        return asyncio.run(_stay(world, folder, as_json=as_json))
    except PortsTaken as error:
        raise Refused(f"{error}: choose others with --port-base", code=WRONG) from error
    except (SamplesUnavailable, WorldBusy) as error:
        raise Refused(str(error), code=WRONG) from error
    except ChildFailed as error:
        raise Refused(f"{error} (see {folder / 'logs'})", code=NEGATIVE) from error


@app.command()
def token(
    ctx: typer.Context,
    *,
    client: Annotated[str, typer.Option(help="Whose token: a client of sandbox.json.")] = "bank-a",
    consent: Annotated[
        str | None,
        typer.Option(
            metavar="ID", help="A consent: the owner signs in and approves it, and the token is for it alone."
        ),
    ] = None,
    scope: Annotated[
        str | None, typer.Option(help="Scopes, separated by spaces (default: all that the client may have).")
    ] = None,
    owner: Annotated[str, typer.Option(help="The data owner who approves.")] = "owner-7",
    directory: Directory = None,
) -> int:
    """Print an access token as that client would get it, and nothing else, so that `curl` works without a browser.

    With a consent the owner signs in and approves on the gateway's own pages, driven from here.
    """
    folder = directory or ctx.obj or _DIR
    try:
        printed = asyncio.run(_token(folder, client, consent, scope, owner))
    except TokenRefused as error:
        raise Refused(f"the gateway refused: {error}", code=NEGATIVE) from error
    except (aiohttp.ClientError, TimeoutError) as error:
        raise Refused(f"the sandbox in {folder} does not answer: is it running?", code=NEGATIVE) from error
    print(printed)
    return DONE


async def _stay(world: World, folder: Path, *, as_json: bool) -> int:
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stopped.set)
    async with world:
        if as_json:
            say_json(world.description)
        else:
            _introduce(world, folder)
        try:
            async with asyncio.TaskGroup() as group:
                watch = group.create_task(world.watch())
                await stopped.wait()
                watch.cancel()
        except* ChildFailed as failed:
            raise failed.exceptions[0] from None
    return DONE


def _introduce(world: World, folder: Path) -> None:
    description = world.description
    for name, url in description["listeners"].items():
        say(f"{name:<9} {url}")
    say(f"{'platform':<9} {description['platform']['url']}, control {description['platform']['control']}")
    say(f"{'tokens':<9} {description['issuer']['token']}, issuer {description['issuer']['issuer']}")
    say(f"{'login':<9} {description['login']['issuer']}")
    audit = description["audit"]
    say(f"{'witness':<9} {audit['witness']['url']}")
    stamps = audit["timestamps"]["url"] if "timestamps" in audit else "none: the command openssl is not on this machine"
    say(f"{'stamps':<9} {stamps}")
    for owner in description["owners"]:
        say(f"{'owner':<9} {owner['login']} / {owner['password']}, their consents at {_consents(description)}")
    say(f"\nEverything a client needs is in {world.description_file}. Commands to copy:")
    for title, command in walk_through(folder, description, now=int(world.clock.now()), program=_program()):
        say(f"\n# {title}\n{command}")
    say("\nReady. Ctrl-C stops it; its state stays.")


def _consents(description: dict[str, Any]) -> str:
    return f"{description['listeners']['consent']}/consents"


def _program() -> str:
    """This command for the user's shell, which need not know the environment that it is installed in."""
    return PROGRAM if shutil.which(PROGRAM) else f"{shlex.quote(sys.executable)} -m gateway"


async def _token(folder: Path, client: str, consent_id: str | None, scope: str | None, owner: str) -> str:
    description = _description(folder)
    if client not in description["clients"]:
        raise Refused(f"no client {client}: sandbox.json has {', '.join(description['clients'])}")
    if owner not in {one["id"] for one in description["owners"]}:
        raise Refused(f"no owner {owner}: see `owners` in sandbox.json")
    async with Bank(folder, description, client) as bank:
        if consent_id is None:
            scopes = scope.split() if scope else _machine_scopes(client)
            return await bank.token(*scopes)
        reply = await bank.call("GET", f"/cdi/v1/consents/{consent_id}", token=await bank.token(CONSENTS))
        if reply.status != 200:
            raise Refused(f"the gateway does not show this consent: {reply.code or reply.status}", code=NEGATIVE)
        approved = await bank.approve(reply.json, owner)
        if approved.status != 201:
            raise TokenRefused(f"{approved.json['error']}: {approved.json['error_description']}")
        return await bank.token(consent=reply.json)


def _machine_scopes(label: str) -> list[str]:
    return [scope for one in CLIENTS if one.label == label for scope in one.scopes if scope != CONSENT_SCOPE]


def _description(folder: Path) -> dict[str, Any]:
    file = folder / DESCRIPTION_FILE
    if not file.exists():
        raise Refused(f"no running sandbox in {folder}: start one with `cdi-gateway sandbox --dir {folder}`")
    description: dict[str, Any] = orjson.loads(file.read_bytes())
    return description
