"""`cdi-gateway audit checkpoint`: the newest published checkpoint, and the keys that verify it."""

from __future__ import annotations

from typing import Any

from adapters.keys.file import KeyFileRefused
from adapters.keys.log_key import log_signers
from adapters.tiles.directory import TileDirectory
from gateway.audit.note import NoteInvalid, VerifierKey, open_checkpoint, parse
from gateway.audit.tiles import CHECKPOINT
from gateway.cli.audit.desk import AsJson, Config
from gateway.cli.terminal import DONE, Refused, say, say_json
from gateway.settings import Audit, load

HELP = """Print the newest published checkpoint, and the verifier keys (vkeys) of the log.

Give the vkey to whoever is to check the log without you: it is all that `audit verify` needs, and it is known before
the first start. Needs the log's key file and the published folder; neither database nor a running gateway.

```
cdi-gateway audit checkpoint --config gateway.yaml
cdi-gateway audit verify data/log --key "$(cdi-gateway audit checkpoint -c gateway.yaml --json | jq -r .vkeys[0])"
```
"""


def checkpoint(config: Config, as_json: AsJson = False) -> int:
    settings, _ = load(config, check_files=False)
    try:
        keys = verifier_keys(settings.audit)
    except KeyFileRefused as error:
        raise Refused(str(error)) from error
    data = TileDirectory(settings.audit.publish.dir).read(CHECKPOINT)
    if as_json:
        say_json({"origin": settings.audit.origin, "vkeys": [str(key) for key in keys], **_facts(data, keys)})
        return DONE
    for key in keys:
        say(f"vkey {key}")
    if data is None:
        say("no checkpoint is published yet: the gateway does that when it runs")
    else:
        _facts(data, keys)
        say("")
        say(data.decode().rstrip("\n"))
    return DONE


def verifier_keys(settings: Audit, *, origin: str | None = None) -> list[VerifierKey]:
    """Of the configured key files, under the log's name or another one. Raises KeyFileRefused."""
    files = [settings.signing_key_file, *settings.also_signing_key_files]
    return [signer.verifier for signer in log_signers(origin or settings.origin, files)]


def _facts(data: bytes | None, keys: list[VerifierKey]) -> dict[str, Any]:
    if data is None:
        return {"size": None, "root": None, "signatures": [], "checkpoint": None}
    try:
        head = open_checkpoint(data, origin=keys[0].name, keys=keys)
    except NoteInvalid as error:
        raise Refused(
            f"the published checkpoint does not verify: {error}; after a change of keys, start the gateway once"
        ) from error
    signatures = [{"name": line.name, "keyId": line.key_id.hex()} for line in parse(data).signatures]
    return {"size": head.size, "root": head.root.hex(), "signatures": signatures, "checkpoint": data.decode()}
