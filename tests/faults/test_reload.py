"""SIGHUP reads participants, certificates and revocation lists again: all or nothing, and no request is dropped."""

from __future__ import annotations

import asyncio
import signal
import ssl
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import orjson
import pytest
import pytest_asyncio
import yaml
from cryptography import x509

from adapters.sandbox.credentials import Credentials
from adapters.sandbox.pki import Issued as Certified
from adapters.sandbox.serving import client_context
from tests.live_sandbox import Issued, Scene, Upload, eventually, session_of

pytestmark = pytest.mark.asyncio(loop_scope="session")

NEW_BANK = "BANKC01DC"
FILES = ("participants.yaml", "gateway/tls/server/cert.pem", "gateway/tls/server/key.pem")


@pytest_asyncio.fixture(loop_scope="session")
async def restored(scene: Scene) -> AsyncIterator[Path]:
    """The world's folder. What a test changes in it is undone and read again."""
    folder = scene.world.folder
    before = {name: (folder / name).read_bytes() for name in FILES}
    yield folder
    for name, content in before.items():
        (folder / name).write_bytes(content)
    assert await reload(scene) == "reload.done"


async def test_a_new_participant_is_admitted(scene: Scene, restored: Path) -> None:
    bank = _credentials(scene).authority("clients").client(NEW_BANK, now=_now(scene))
    bank.write(restored / "clients/bank-c/cert.pem", restored / "clients/bank-c/key.pem")
    assert await _refusal(scene, "bank-c") == "CERT_UNKNOWN"
    _edit(restored, lambda entries: entries.append(_entry(bank)))
    assert await _refusal(scene, "bank-c") == "CERT_UNKNOWN"  # not before it is told to read

    loads = _loads(scene)
    assert await reload(scene) == "reload.done"
    assert await _refusal(scene, "bank-c") == "TOKEN_MISSING"  # known now; what it lacks is a token
    assert _loads(scene) == loads + 1
    reply = await scene.ask(await scene.permission(), await scene.issued(), wait_seconds=10)
    assert reply.json["verification"]["outcome"] == "MATCH"


@pytest.mark.parametrize(
    "broken",
    [
        b"participants: [",
        b"participants: []\nsurprise: true\n",
        b"participants:\n- {id: BANKA01DC, name: Bank A, role: bank, document_types: [NO_SUCH_TYPE]}\n",
        b"participants:\n- {id: SZCREDIT01DP, name: S, role: source, platform: DVPSANDBOX01, jwks_file: gone.json}\n",
        b"\xff\xfe",
        b"",
    ],
    ids=["no YAML", "unknown key", "unknown code", "missing file", "no text", "empty"],
)
async def test_a_wrong_participants_file_changes_nothing(scene: Scene, restored: Path, broken: bytes) -> None:
    permission, loads = await scene.permission(), _loads(scene)
    (restored / "participants.yaml").write_bytes(broken)
    assert await reload(scene) == "reload.refused"
    assert scene.logged("reload.refused")[-1]["level"] == "error"
    reply = await scene.ask(permission, await scene.issued(), wait_seconds=10)
    assert (reply.status, reply.json["verification"]["outcome"]) == (200, "MATCH")
    assert (await scene.ops("/readyz"))[0] == 200
    assert _loads(scene) == loads


async def test_a_key_without_its_certificate_changes_nothing_at_all(scene: Scene, restored: Path) -> None:
    """Half of a rotation is on disk: the good participants file beside it is not taken either."""
    before = await _server_serial(scene)
    other = _new_server(scene)
    (restored / "gateway/tls/server/cert.pem").write_bytes(other.certificate_pem)
    _edit(restored, lambda entries: entries.clear())
    assert await reload(scene) == "reload.refused"
    assert await _server_serial(scene) == before
    assert (await scene.bank.call("GET", "/cdi/v1/consents", token=scene.token)).status == 200


async def test_a_server_certificate_is_swapped_under_a_running_request(scene: Scene, restored: Path) -> None:
    document, permission = await scene.issued(), await scene.permission(max_uses=10)
    await scene.world.control.faults("delay", delay_seconds=0.7)
    new, upload = _new_server(scene), Upload(scene)
    async with session_of(scene) as session, asyncio.TaskGroup() as tasks:
        uploading = tasks.create_task(upload.send(session))
        asked = [tasks.create_task(scene.ask(permission, document, wait_seconds=10)) for _ in range(10)]
        await upload.under_way()
        assert await eventually(lambda: _asked(scene, document))
        assert await _server_serial(scene) != new.certificate.serial_number
        new.write(restored / FILES[1], restored / FILES[2])
        assert await reload(scene) == "reload.done"
        assert await _server_serial(scene) == new.certificate.serial_number
        ends = await scene.metric('cdi_certificate_expiry_timestamp_seconds{name="bank"}')
        assert ends == new.certificate.not_valid_after_utc.timestamp()
        assert not uploading.done()
        upload.finish()
    assert {(one.result().status, one.result().json["verification"]["outcome"]) for one in asked} == {(200, "MATCH")}


async def test_reloads_that_come_in_a_row_all_count(scene: Scene, restored: Path) -> None:
    loads = _loads(scene)
    for _ in range(5):
        assert await reload(scene) == "reload.done"
    assert _loads(scene) == loads + 5
    assert (await scene.bank.call("GET", "/cdi/v1/consents", token=scene.token)).status == 200


async def reload(scene: Scene) -> str:
    """SIGHUP; the log's word on how it ended."""
    names = ("reload.done", "reload.refused")
    before = {name: len(scene.logged(name)) for name in names}
    scene.world.gateway.signal(signal.SIGHUP)

    async def ended() -> str | None:
        return next((name for name in names if len(scene.logged(name)) > before[name]), None)

    return await eventually(ended)


def _edit(folder: Path, change: Callable[[list[dict[str, Any]]], None]) -> None:
    file = folder / "participants.yaml"
    body = yaml.safe_load(file.read_bytes())
    change(body["participants"])
    file.write_text(yaml.safe_dump(body, sort_keys=False, allow_unicode=True))


def _entry(bank: Certified) -> dict[str, Any]:
    return {
        "id": NEW_BANK,
        "name": "Bank C",
        "role": "bank",
        "directions": ["SOUTHBOUND"],
        "document_types": ["CORPORATE_CREDIT_REPORT"],
        "purposes": ["SME_LOAN_UNDERWRITING"],
        "certificates": [{"sha256": bank.sha256}],
        "clients": [{"id": "bank-c-loans"}],
    }


def _now(scene: Scene) -> int:
    return int(scene.world.clock.now())


def _credentials(scene: Scene) -> Credentials:
    return Credentials(scene.world.folder, now=_now(scene))


def _new_server(scene: Scene) -> Certified:
    return _credentials(scene).authority("servers").server("gateway", now=_now(scene))


def _loads(scene: Scene) -> int:
    return sum(entry["type"] == "config.loaded" for entry in scene.audited())


async def _asked(scene: Scene, document: Issued) -> bool:
    return len(await scene.journalled(document)) == 10


def _context(scene: Scene, label: str) -> ssl.SSLContext:
    folder = scene.world.folder
    return client_context(
        folder / "pki/ca.pem", folder / f"clients/{label}/cert.pem", folder / f"clients/{label}/key.pem"
    )


async def _refusal(scene: Scene, label: str) -> str:
    """The error code that this client gets without a token, on a connection of its own."""
    async with session_of(scene, label) as session, session.get(f"{scene.bank.url}/cdi/v1/consents") as response:
        return str(orjson.loads(await response.read())["code"])


async def _server_serial(scene: Scene) -> int:
    """Of the certificate that a new connection is shown."""
    _, writer = await asyncio.open_connection(
        "localhost", scene.world.ports.bank, ssl=_context(scene, "bank-a"), family=2
    )
    try:
        der = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
        return x509.load_der_x509_certificate(der).serial_number
    finally:
        writer.close()
        await writer.wait_closed()
