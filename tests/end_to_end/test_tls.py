"""Who gets in by TLS, who is refused with an answer, and how soon one who was let in is out again.

The world of this module is changed by its tests: revocation lists and participants, in the order of the file.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
import yaml

from adapters.sandbox.pki import Authority, Issued, revoke, self_signed
from adapters.sandbox.serving import client_context
from tests.end_to_end.stage import Stage, bearer, check_problem, request, staged
from tests.fakes_edge import Client

TARGET = "/cdi/v1/consents?limit=1"
GET = request("GET", TARGET)


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def changed(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stage]:
    async with staged(tmp_path_factory.mktemp("tls") / "world", {}) as stage:
        yield stage


async def refused_handshake(stage: Stage, context: ssl.SSLContext, port: int | None = None) -> None:
    """Nothing is answered: the handshake fails, with TLS 1.3 at the latest when the client reads."""
    with pytest.raises((ssl.SSLError, ConnectionError, asyncio.IncompleteReadError)):
        await _knock(stage, context, port)


async def _knock(stage: Stage, context: ssl.SSLContext, port: int | None) -> None:
    async with stage.connection(context, port) as client:
        await client.ask(GET)


async def cut_off(client: Client) -> None:
    assert await client.closed() == b""


def edit_participants(stage: Stage, change: Callable[[list[dict[str, Any]]], None]) -> None:
    file = stage.folder / "participants.yaml"
    registry = yaml.safe_load(file.read_text())
    change(registry["participants"])
    file.write_text(yaml.safe_dump(registry))


def entry(participants: list[dict[str, Any]], participant_id: str) -> dict[str, Any]:
    return next(item for item in participants if item["id"] == participant_id)


# --- the handshake ---------------------------------------------------------------------------------------------


async def test_no_client_certificate_is_refused_in_the_handshake(stage: Stage) -> None:
    await refused_handshake(stage, stage.context(None))


async def test_self_signed_certificate_is_refused_in_the_handshake(stage: Stage) -> None:
    issued = self_signed(stage.bank_a.participant_id, now=stage.now)
    await refused_handshake(stage, stage.context(stage.written("self-signed", issued)))


async def test_certificate_of_an_authority_with_the_same_name_is_refused_in_the_handshake(stage: Stage) -> None:
    other = Authority.create("CDI-DVP sandbox participants", now=stage.now)
    issued = other.client(stage.bank_a.participant_id, now=stage.now)
    await refused_handshake(stage, stage.context(stage.written("other-authority", issued)))


async def test_expired_certificate_is_refused_in_the_handshake(stage: Stage) -> None:
    issued = stage.authority().client(stage.bank_a.participant_id, now=stage.now, lifetime_seconds=-60)
    await refused_handshake(stage, stage.context(stage.written("expired", issued)))


async def test_server_certificate_is_no_client_certificate(stage: Stage) -> None:
    issued = stage.authority().server(stage.bank_a.participant_id, now=stage.now)
    await refused_handshake(stage, stage.context(stage.written("server", issued)))


async def test_key_of_another_certificate_is_refused_in_the_handshake(stage: Stage) -> None:
    """A copied certificate is worth nothing without its key. OpenSSL will not even load the pair on our side."""
    mine = stage.authority().client("NOBODY01DC", now=stage.now)
    theirs = (stage.folder / "clients/bank-a/cert.pem").read_bytes()
    files = stage.written("stolen", mine)
    files[0].write_bytes(theirs)
    with pytest.raises(ssl.SSLError, match="KEY_VALUES_MISMATCH"):
        stage.context(files)


async def test_tls_1_2_is_refused(stage: Stage) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(stage.folder / "pki/ca.pem")
    context.load_cert_chain(stage.folder / "clients/bank-a/cert.pem", stage.folder / "clients/bank-a/key.pem")
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    await refused_handshake(stage, context)


async def test_no_session_is_given_that_could_be_resumed(stage: Stage) -> None:
    context = stage.context()
    async with stage.connection(context) as client:
        assert (await client.ask(GET)).status == 401
        tls = client.writer.get_extra_info("ssl_object")
        assert tls.version() == "TLSv1.3"
        assert not tls.session_reused
        # In 1.3 a session can be resumed only with a ticket (RFC 8446 §4.6.1), and none came with the answer.
        assert not tls.session.has_ticket


async def test_bank_listener_refuses_the_platform(stage: Stage) -> None:
    tls = stage.folder / "platform/tls/client"
    await refused_handshake(stage, stage.context((tls / "cert.pem", tls / "key.pem")))


async def test_partner_listener_refuses_a_bank(stage: Stage) -> None:
    await refused_handshake(stage, stage.context("bank-a"), stage.world.ports.partner)


async def test_partner_listener_refuses_a_member_that_is_not_the_platform(stage: Stage) -> None:
    """The gateway's own certificate towards DVP is of the same authority."""
    tls = stage.folder / "gateway/tls/client"
    async with stage.connection(
        stage.context((tls / "cert.pem", tls / "key.pem")), stage.world.ports.partner
    ) as client:
        sent = request("POST", "/dvp/v1/messages", "Content-Type: application/jose", body=b"a.b.c")
        check_problem(await client.ask(sent), "CERT_UNKNOWN")


async def test_the_gateway_shows_a_certificate_that_only_its_authority_vouches_for(stage: Stage) -> None:
    context = client_context(stage.folder / "pki/dvp-ca.pem", *_files(stage))
    with pytest.raises(ssl.SSLCertVerificationError):
        async with stage.connection(context):
            pass


def _files(stage: Stage) -> tuple[Path, Path]:
    return stage.folder / "clients/bank-a/cert.pem", stage.folder / "clients/bank-a/key.pem"


# --- every request ---------------------------------------------------------------------------------------------


async def test_certificate_of_no_participant_is_answered(stage: Stage) -> None:
    issued = stage.authority().client("NOBODY01DC", now=stage.now)
    token = await stage.machine_token()
    async with stage.connection(stage.context(stage.written("nobody", issued))) as client:
        for _ in range(2):
            problem = check_problem(await client.ask(request("GET", TARGET, bearer(token))), "CERT_UNKNOWN")
            assert "NOBODY01DC" not in str(problem)


async def test_renewed_certificate_of_the_same_name_comes_in(stage: Stage) -> None:
    issued = stage.authority().client(stage.bank_a.participant_id, now=stage.now)
    async with stage.connection(stage.context(stage.written("renewed", issued))) as client:
        check_problem(await client.ask(GET), "TOKEN_MISSING")
        # Another certificate than the one that the token names, though of the same bank (RFC 8705 §3).
        token = await stage.machine_token()
        check_problem(await client.ask(request("GET", TARGET, bearer(token))), "TOKEN_NOT_BOUND")


async def test_revoked_certificate_is_cut_off_and_then_answered(changed: Stage) -> None:
    issued = changed.authority().client(changed.bank_a.participant_id, now=changed.now)
    context = changed.context(changed.written("to-be-revoked", issued))
    async with changed.connection(context) as kept, changed.connection(context) as idle:
        check_problem(await kept.ask(GET), "TOKEN_MISSING")
        revoke_in(changed, issued)
        await changed.reload()
        await cut_off(kept)
        await cut_off(idle)
    async with changed.connection(context) as client:
        for _ in range(2):
            check_problem(await client.ask(GET), "CERT_REVOKED")
    # Only this certificate: the bank itself goes on.
    token = await changed.machine_token()
    assert (await changed.bank_a.call("GET", TARGET, token=token)).status == 200


def revoke_in(stage: Stage, issued: Issued) -> None:
    revoke(stage.authority(), (issued.certificate,), stage.folder / "pki/clients.crl.pem", now=stage.now)


async def test_list_of_another_authority_is_refused_and_the_old_one_stays(changed: Stage) -> None:
    file = changed.folder / "pki/clients.crl.pem"
    before = file.read_bytes()
    other = Authority.create("CDI-DVP sandbox participants", now=changed.now)
    file.write_bytes(other.revocation_list(now=changed.now))
    await changed.reload(done=False)
    file.write_bytes(before)
    files = changed.folder.parent / "certificates/to-be-revoked.cert.pem", changed.folder.parent / "certificates"
    context = changed.context((files[0], files[1] / "to-be-revoked.key.pem"))
    async with changed.connection(context) as client:
        check_problem(await client.ask(GET), "CERT_REVOKED")


async def test_suspended_participant_is_refused_on_its_next_request(changed: Stage) -> None:
    token = await changed.machine_token(changed.bank_b)

    def suspend(participants: list[dict[str, Any]]) -> None:
        entry(participants, changed.bank_b.participant_id)["status"] = "suspended"

    def restore(participants: list[dict[str, Any]]) -> None:
        del entry(participants, changed.bank_b.participant_id)["status"]

    assert (await changed.bank_b.call("GET", TARGET, token=token)).status == 200
    edit_participants(changed, suspend)
    await changed.reload()
    check_problem(await changed.bank_b.call("GET", TARGET, token=token), "PARTICIPANT_SUSPENDED")
    edit_participants(changed, restore)
    await changed.reload()
    assert (await changed.bank_b.call("GET", TARGET, token=token)).status == 200


async def test_removed_participant_is_cut_off_and_unknown_from_then_on(changed: Stage) -> None:
    token = await changed.machine_token(changed.bank_b)

    def remove(participants: list[dict[str, Any]]) -> None:
        participants.remove(entry(participants, changed.bank_b.participant_id))

    async with changed.connection(changed.context("bank-b")) as kept:
        assert (await kept.ask(request("GET", TARGET, bearer(token)))).status == 200
        edit_participants(changed, remove)
        await changed.reload()
        await cut_off(kept)
    check_problem(await changed.bank_b.call("GET", TARGET, token=token), "CERT_UNKNOWN")


async def test_broken_registry_is_refused_and_the_old_one_stays(changed: Stage) -> None:
    file = changed.folder / "participants.yaml"
    before = file.read_text()
    file.write_text("participants: [{id: nonsense}]")
    await changed.reload(done=False)
    file.write_text(before)
    token = await changed.machine_token()
    assert (await changed.bank_a.call("GET", TARGET, token=token)).status == 200


async def test_reload_drops_no_request(changed: Stage) -> None:
    """The connection of a request under way closes behind its answer, not before."""
    fields = bearer(await changed.machine_token()), "Content-Type: application/octet-stream", "Content-Length: 3"
    async with changed.connection() as client:
        client.send(request("POST", "/cdi/v1/digests", *fields, "Expect: 100-continue"))
        assert b" 100 " in await client.reader.readuntil(b"\r\n\r\n")
        await changed.reload()
        answer = await client.ask(b"abc")
        assert (answer.status, answer.json()["size"]) == (200, 3)
        assert answer.headers["connection"].lower() == "close"
        await cut_off(client)


async def test_authority_that_left_the_bundle_lets_nobody_in_any_more(changed: Stage) -> None:
    """Last, since nobody of the old authority comes in afterwards."""
    fresh = Authority.create("CDI-DVP next participants", now=changed.now)
    token = await changed.machine_token()
    async with changed.connection() as kept:
        assert (await kept.ask(request("GET", TARGET, bearer(token)))).status == 200
        (changed.folder / "pki/client-ca.pem").write_bytes(fresh.certificate_pem)
        (changed.folder / "pki/clients.crl.pem").write_bytes(fresh.revocation_list(now=changed.now))
        await changed.reload()
        await cut_off(kept)
    await refused_handshake(changed, changed.context())
    issued = fresh.client(changed.bank_a.participant_id, now=changed.now)
    async with changed.connection(changed.context(changed.written("next", issued))) as client:
        check_problem(await client.ask(GET), "CERT_UNKNOWN")
