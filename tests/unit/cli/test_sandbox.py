"""`sandbox` and `sandbox token`, as a user runs them."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import orjson
import pytest

COMMAND = (sys.executable, "-m", "gateway", "sandbox")


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*COMMAND, *arguments], capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A running sandbox's folder. It must end cleanly on SIGINT."""
    folder = tmp_path_factory.mktemp("sandbox")
    process = subprocess.Popen(
        [*COMMAND, "--dir", str(folder), "--port-base", "0", "--block-seconds", "0"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    printed = []
    for line in process.stdout:
        printed.append(line)
        if line.startswith("Ready."):
            break
    (folder / "printed.txt").write_text("".join(printed))
    yield folder
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=30)
    assert (process.returncode, errors) == (0, "")


def test_urls_and_commands_are_printed(folder: Path) -> None:
    printed = (folder / "printed.txt").read_text()
    description = orjson.loads((folder / "sandbox.json").read_bytes())
    assert all(url in printed for url in description["listeners"].values())
    assert description["samples"][0]["voucher"] in printed
    assert "curl" in printed


def test_a_printed_command_runs_as_it_is(folder: Path) -> None:
    printed = (folder / "printed.txt").read_text().splitlines()
    command = next(line for line in printed if line.startswith("TOKEN="))
    shell = ["sh", "-c", f'{command}; echo "$TOKEN"']
    answer = subprocess.run(shell, capture_output=True, text=True, check=False)
    assert (answer.stderr, answer.stdout.count(".")) == ("", 2)


def test_a_printed_token_is_one_line_that_the_gateway_accepts(folder: Path) -> None:
    token = run("token", "--dir", str(folder), "--client", "bank-a")
    assert (token.returncode, token.stderr, token.stdout.count("\n")) == (0, "", 1)
    bank = orjson.loads((folder / "sandbox.json").read_bytes())["listeners"]["bank"]
    bearer = f"Authorization: Bearer {token.stdout.strip()}"
    script = folder / "clients/bank-a/curl.sh"
    answer = subprocess.run([script, "-s", "-H", bearer, f"{bank}/cdi/v1/consents"], capture_output=True, check=False)
    assert orjson.loads(answer.stdout) == {"consents": []}


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["--client", "nobody"], 2, "bank-a, bank-b, source-hk, bank-a-jwt, bank-a-dpop"),
        (["--owner", "nobody"], 2, "no owner"),
        (["--scope", "cdi:evidence"], 1, "invalid_scope"),
        (["--consent", "11111111-2222-4333-8444-555555555555"], 1, "does not show this consent"),
    ],
)
def test_a_token_that_cannot_be_had_is_explained(folder: Path, arguments: list[str], code: int, words: str) -> None:
    refused = run("token", "--dir", str(folder), *arguments)
    assert (refused.returncode, refused.stdout) == (code, "")
    assert words in refused.stderr
    assert refused.stderr.count("\n") == 1


def test_a_second_sandbox_in_the_folder_is_refused(folder: Path) -> None:
    refused = run("--dir", str(folder))
    assert refused.returncode == 2
    assert "another sandbox" in refused.stderr


def test_without_a_sandbox_there_is_no_token(tmp_path: Path) -> None:
    refused = run("token", "--dir", str(tmp_path))
    assert refused.returncode == 2
    assert "cdi-gateway sandbox --dir" in refused.stderr


def test_a_port_that_is_taken_is_named(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        base = other.getsockname()[1]
        refused = run("--dir", str(tmp_path), "--port-base", str(base))
    assert refused.returncode == 2
    assert str(base) in refused.stderr
    assert "--port-base" in refused.stderr
