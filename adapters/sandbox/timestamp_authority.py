"""An RFC 3161 time-stamping authority such as somebody else runs: OpenSSL's `ts`, one process for each answer.

No HTTP here. Serial numbers go on over restarts, in OpenSSL's own file.
"""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path

from adapters.sandbox.files import write_public

POLICY = "1.3.6.1.4.1.32473.1"  # RFC 5612: enterprise number for examples
_ANSWER_SECONDS = 10

_CONFIGURATION = """\
[tsa]
default_tsa = sandbox

[sandbox]
serial = {folder}/serial
signer_cert = {certificate}
signer_key = {key}
signer_digest = sha256
default_policy = {policy}
digests = sha256, sha384, sha512
accuracy = secs:1
ordering = no
tsa_name = yes
ess_cert_id_chain = no
ess_cert_id_alg = sha256
"""


class TimestampRefused(Exception):
    """OpenSSL gave no answer; the text is what it said."""


def openssl() -> str | None:
    """The command, where there is one on this machine."""
    return shutil.which("openssl")


class TimestampAuthority:
    def __init__(self, command: str, folder: Path, *, certificate: Path, key: Path) -> None:
        """`folder`: for its configuration and serial numbers. The certificate is for time-stamping alone."""
        self._command = command
        self._configuration = folder / "openssl.cnf"
        self._query = folder / "query.tsq"
        self._one_at_a_time = asyncio.Lock()  # OpenSSL reads and writes the serial number without one
        text = _CONFIGURATION.format(folder=folder, certificate=certificate, key=key, policy=POLICY)
        write_public(self._configuration, text.encode())
        if not (folder / "serial").exists():
            write_public(folder / "serial", b"01\n")

    async def reply(self, query: bytes) -> bytes:
        """A TimeStampResp for a TimeStampReq, both DER; one that refuses when the query is none. Raises
        TimestampRefused."""
        async with self._one_at_a_time, asyncio.timeout(_ANSWER_SECONDS):
            # A file, since OpenSSL opens it by name: asyncio's pipes are sockets, which cannot be opened so.
            self._query.write_bytes(query)
            process = await asyncio.create_subprocess_exec(
                *(self._command, "ts", "-reply", "-config", str(self._configuration), "-queryfile", str(self._query)),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
            )
            try:
                answer, said = await process.communicate()
            finally:
                if process.returncode is None:
                    process.kill()
                    await process.wait()
        if process.returncode or not answer:
            raise TimestampRefused(said.decode(errors="replace").strip()[-500:])
        return answer
