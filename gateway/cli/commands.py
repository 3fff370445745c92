"""All commands under one name, and `run`, their only entry.

`run` turns every refusal into lines on standard error that say what to do, and shows no traceback.
"""

from __future__ import annotations

import traceback
from collections.abc import Callable, Sequence
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.main import get_command

from gateway.cli.digest import digest
from gateway.cli.serve import serve
from gateway.cli.terminal import DONE, NEGATIVE, PROGRAM, WRONG, Refused, complain, say
from gateway.errors import GatewayError
from gateway.settings import SettingsError

# Commands with an application of their own in the module of the same name, imported only when called: nobody waits
# for databases and servers to hash a file.
_GROUPS = {
    "audit": "The audit log: verify, search, prove, export, and what its keepers may do.",
    "consent": "Consents, for the operator: look at one, and end one on somebody's behalf.",
    "config": "Check a configuration, and print its JSON Schema.",
    "db": "Schema migrations of the store, the audit log and its index.",
    "sandbox": "The whole world on one machine: PKI, DVP platform, sources, clients and the gateway.",
}
_FORWARDED = {"allow_extra_args": True, "ignore_unknown_options": True}

_OURS = {"gateway", "adapters", "schemas"}

app = typer.Typer(
    name=PROGRAM,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
    epilog=(
        "Start here: `cdi-gateway demo` tells the whole story on this machine; `cdi-gateway sandbox` leaves it running "
        "for your own client. Exit codes: 0 done, 1 the check failed or the outcome is negative, 2 wrong usage or "
        "configuration."
    ),
)


@app.callback(invoke_without_command=True)
def gateway(
    ctx: typer.Context, show_version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False
) -> int:
    """Is this mainland document genuine? A gateway between Hong Kong's Commercial Data Interchange and the DVP."""
    if show_version:
        say(f"{PROGRAM} {version('cdi-dvp-gateway')}")
        raise typer.Exit(DONE)
    if ctx.invoked_subcommand is None:
        say(ctx.get_help())
        return WRONG
    return DONE


app.command()(serve)
app.command()(digest)


def _forwarding(name: str) -> Callable[[typer.Context], int]:
    def command(ctx: typer.Context) -> int:
        application = import_module(f"gateway.cli.{name}").app
        return _invoke(application, ctx.args, f"{PROGRAM} {name}")

    return command


for _name, _help in _GROUPS.items():
    app.command(_name, help=_help, context_settings=_FORWARDED, add_help_option=False)(_forwarding(_name))


@app.command(context_settings=_FORWARDED, add_help_option=False)
def demo(ctx: typer.Context) -> int:
    """The story in a fresh sandbox, each step with its result; exit 0 only if every step came out as it must."""
    application = typer.Typer(add_completion=False, rich_markup_mode="markdown")
    application.command()(import_module("gateway.cli.demo").demo)
    return _invoke(application, ctx.args, f"{PROGRAM} demo")


def run(arguments: Sequence[str] | None = None, application: typer.Typer = app) -> int:
    """Run one command (default: of `sys.argv`) and return its exit code. Raises no Exception."""
    try:
        return _invoke(application, arguments, PROGRAM)
    except typer.TyperException as error:
        complain(f"{error.format_message().rstrip('.')}. See: {_command_path(error)} --help")
        return error.exit_code
    except Refused as error:
        for line in error.lines:
            complain(line)
        return error.code
    except SettingsError as error:
        for path, message in error.problems:
            complain(": ".join(part for part in (str(error.file), path, message) if part))
        return WRONG
    except GatewayError as error:
        complain(f"{error.code}: {error.detail}")
        return NEGATIVE
    except (OSError, typer.Abort) as error:
        complain(f"stopped: {_trouble(error)}")
        return NEGATIVE
    except Exception as error:  # the last boundary: a place to look at instead of a traceback
        if isinstance(error, ModuleNotFoundError) and str(error.name).partition(".")[0] not in _OURS:
            complain(f"the package {error.name} is missing: install cdi-dvp-gateway with its extra for this command")
            return WRONG
        frame = traceback.extract_tb(error.__traceback__)[-1]
        complain(
            f"internal error {type(error).__name__} at {Path(frame.filename).name}:{frame.lineno}, please report it"
        )
        return NEGATIVE


def _invoke(application: typer.Typer, arguments: Sequence[str] | None, name: str) -> int:
    result: Any = get_command(application).main(
        None if arguments is None else list(arguments),
        prog_name=name,
        standalone_mode=False,
        help_option_names=["-h", "--help"],
    )
    return result if isinstance(result, int) else DONE


def _command_path(error: typer.TyperException) -> str:
    context = getattr(error, "ctx", None)
    return str(context.command_path) if context is not None else PROGRAM


def _trouble(error: BaseException) -> str:
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename}: {error.strerror}" if error.filename else error.strerror
    return "interrupted" if isinstance(error, typer.Abort) else type(error).__name__
