"""The product as a newcomer meets it: the demo, the sandbox in a terminal, and the commands that it prints."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import orjson
import pytest

from adapters.sandbox.cast import GATEWAY_ID

SAYS_READY = "Ready. Ctrl-C stops it"


class Terminal:
    """`cdi-gateway sandbox` in a terminal of its own, up to the line that says it is ready."""

    def __init__(self, folder: Path, *options: str) -> None:
        self.folder = folder
        command = [sys.executable, "-m", "gateway", "sandbox", "--dir", str(folder), "--port-base", "0", *options]
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        self.printed = ""
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self.printed += line
            if line.startswith(SAYS_READY):
                break
        assert self._process.poll() is None, self.printed

    @property
    def description(self) -> dict[str, Any]:
        return dict(orjson.loads((self.folder / "sandbox.json").read_bytes()))

    @property
    def commands(self) -> dict[str, str]:
        """What it prints for copying: command by title."""
        blocks = self.printed.split("\n# ")[1:]
        pairs = (block.split("\n\n")[0].split("\n", 1) for block in blocks)
        return {title: command.strip() for title, command in pairs}

    def interrupt(self) -> int:
        """Ctrl-C; the exit code."""
        self._process.send_signal(signal.SIGINT)
        self._process.communicate()
        return self._process.returncode

    def end(self) -> None:
        if self._process.poll() is None:
            self._process.kill()
            self._process.communicate()


@contextmanager
def terminal(folder: Path) -> Iterator[Terminal]:
    one = Terminal(folder)
    try:
        yield one
    finally:
        one.end()


def gateway(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "gateway", *arguments], capture_output=True, text=True, check=False, timeout=100
    )


def shell(script: str, folder: Path) -> str:
    """Standard output of the script, in a shell that knows `cdi-gateway`."""
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    done = subprocess.run(
        ["sh", "-eu", "-c", script], capture_output=True, text=True, check=False, cwd=folder, env={"PATH": path}
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_every_step_of_the_demo_comes_out_as_it_must() -> None:
    told = gateway("demo")
    assert told.returncode == 0, told.stdout + told.stderr
    steps = re.findall(r"^\d+\. ", told.stdout, re.MULTILINE)
    assert len(steps) >= 8
    assert f"{len(steps)} of {len(steps)} steps came out as they must." in told.stdout
    assert "FAILED" not in told.stdout
    for step in re.split(r"^\d+\. ", told.stdout, flags=re.MULTILINE)[1:]:
        assert re.search(r"^ +ok ", step, re.MULTILINE), step


def test_the_sandbox_is_what_its_terminal_and_its_description_say(tmp_path: Path, require_tool: Any) -> None:
    """One life of a sandbox: described, used with the printed commands, interrupted, started again, as it was."""
    require_tool("curl")
    folder = tmp_path / "sandbox"
    with terminal(folder) as first:
        _assert_described(first)
        walk = _walk(first)
        _assert_tokens(first, walk["consent"]["consentId"])
        assert first.interrupt() == 0
    _assert_nobody_listens(first.description)
    refused = gateway("sandbox", "token", "--dir", str(folder), "--client", "bank-a")
    assert (refused.returncode, refused.stdout) == (1, "")
    assert "is it running" in refused.stderr
    assert len(refused.stderr.splitlines()) == 1

    before = first.description
    with terminal(folder) as second:
        assert second.description == before
        _assert_kept(second, walk)
        assert second.interrupt() == 0


def _assert_described(sandbox: Terminal) -> None:
    description, folder = sandbox.description, sandbox.folder
    assert description["listeners"].keys() >= {"bank", "consent", "partner", "ops"}
    assert description["clients"].keys() == {"bank-a", "bank-b", "source-hk", "bank-a-jwt", "bank-a-dpop"}
    for client in description["clients"].values():
        assert client.keys() >= {"participant", "clientId", "cert", "key"}
        assert all((folder / client[name]).is_file() for name in ("cert", "key"))
    assert (folder / description["ca"]).is_file()
    assert all(owner.keys() == {"id", "login", "password"} for owner in description["owners"])
    for sample in description["samples"]:
        assert sample.keys() >= {"file", "documentType", "issuerId", "voucher", "digests"}
        assert (folder / sample["file"]).read_bytes().startswith(b"%PDF")
    assert description["platform"].keys() >= {"url", "control"}
    for url in (*description["listeners"].values(), *(description["platform"][name] for name in ("url", "control"))):
        assert url in sandbox.printed


def _walk(sandbox: Terminal) -> dict[str, Any]:
    """Copies every printed command into one shell, in the order of printing; the answers by what they are about."""
    commands = sandbox.commands
    titles = list(commands)
    token, consent, approve, push, _, _, ask, keep, check, digests, notices, outage, journal = titles
    wanted = commands[approve].replace("CONSENT=…", 'CONSENT=$(sed \'s/.*"consentId":"\\([^"]*\\)".*/\\1/\' consent)')
    assert wanted != commands[approve]
    kept = commands[keep].replace("REQUEST=…", 'REQUEST=$(sed \'s/.*"dataRequestId":"\\([^"]*\\)".*/\\1/\' asked)')
    assert kept != commands[keep]
    script = "\n".join(
        (
            commands[token],
            f"{commands[consent]} > consent",
            wanted,
            f"{commands[push]} > pushed",
            f"{commands[ask]} > asked",
            kept,
            f"{commands[check]} > checked",
            f"{commands[digests]} > digests",
            f"{commands[notices]} > notices",
            f"{commands[outage]} > outage",
            f"{commands[journal]} > journal",
        )
    )
    shell(script, sandbox.folder)
    found = {
        name: orjson.loads((sandbox.folder / name).read_bytes())
        for name in ("consent", "pushed", "asked", "digests", "notices", "outage", "journal")
    }
    sample = sandbox.description["samples"][0]
    assert found["consent"]["status"] == "ConsentSubmitted"
    assert (found["asked"]["status"], found["asked"]["verification"]["outcome"]) == ("DataRequestDataShared", "MATCH")
    assert found["pushed"]["request_uri"].startswith("urn:ietf:params:oauth:request_uri:")
    checked = (sandbox.folder / "checked").read_text()
    assert found["asked"]["dataRequestId"] in checked
    assert f"signed by {GATEWAY_ID}" in checked
    assert found["digests"]["digests"] == sample["digests"]
    assert "DATA_REQUEST_FINAL" in {notice["type"] for notice in found["notices"]["notices"]}
    assert found["outage"]["mode"] == "outage"
    assert [entry["claims"]["digests"] for entry in found["journal"]["entries"]] == [sample["digests"]]
    return found


def _assert_tokens(sandbox: Terminal, consent_id: str) -> None:
    """`sandbox token` prints a token, nothing else, that does what its scope says and no more."""
    folder, bank = sandbox.folder, sandbox.description["listeners"]["bank"]
    options = ["sandbox", "token", "--dir", str(folder), "--client"]
    read = gateway(*options, "bank-a", "--scope", "cdi:consents")
    bound = gateway(*options, "bank-a", "--consent", consent_id)
    assert read.returncode == bound.returncode == 0
    assert all(re.fullmatch(r"[\w-]+\.[\w-]+\.[\w-]+\n", one.stdout) for one in (read, bound))

    def status(token: str, path: str, label: str = "bank-a") -> str:
        curl = f"clients/{label}/curl.sh -s -o /dev/null -w '%{{http_code}}'"
        return shell(f"{curl} -H 'Authorization: Bearer {token.strip()}' {bank}/cdi/v1/{path}", folder)

    assert status(read.stdout, f"consents/{consent_id}") == "200"
    assert status(read.stdout, "notices") == "403"
    assert status(bound.stdout, "data-requests") == "200"
    assert status(read.stdout, "consents", "bank-b") == "401"  # bound to another certificate

    unknown = gateway(*options, "nobody")
    assert (unknown.returncode, unknown.stdout) == (2, "")


def _assert_kept(sandbox: Terminal, walk: dict[str, Any]) -> None:
    """The consent, its use, the outcome and the platform's own record are those of before."""
    consent_id, request_id = walk["consent"]["consentId"], walk["asked"]["dataRequestId"]
    bank, control = sandbox.description["listeners"]["bank"], sandbox.description["platform"]["control"]
    call = 'clients/bank-a/curl.sh -s -H "Authorization: Bearer $TOKEN"'
    said = shell(
        f"{sandbox.commands['a token for the bank itself']}\n"
        f"{call} {bank}/cdi/v1/consents/{consent_id}; echo\n"
        f"{call} {bank}/cdi/v1/data-requests/{request_id}; echo\n"
        f"curl -s '{control}/journal?after=0'",
        sandbox.folder,
    )
    consent, request, journal = (orjson.loads(line) for line in said.splitlines())
    assert (consent["status"], consent["usage"]["used"]) == ("ConsentValid", 1)
    assert request == walk["asked"]
    assert journal == walk["journal"]


def _assert_nobody_listens(description: dict[str, Any]) -> None:
    urls = [*description["listeners"].values(), description["platform"]["url"], description["platform"]["control"]]
    for url in urls:
        with socket.socket() as one, pytest.raises(ConnectionRefusedError):
            one.connect(("127.0.0.1", int(url.rpartition(":")[2])))
