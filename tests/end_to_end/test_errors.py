"""Every refusal of the code list of errors, as a client meets it at the listener of a gateway process.

One case for each code; `test_every_code_has_a_case` keeps the table whole.
"""

from __future__ import annotations

import asyncio
import sqlite3
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
import yaml
from aiohttp import web

from adapters.sandbox.bank import Bank, Reply
from adapters.sandbox.cast import GATEWAY_ID, PLATFORM_ID
from adapters.sandbox.credentials import PLATFORM_MESSAGE_KEY
from adapters.sandbox.pki import revoke
from adapters.sandbox.serving import client_context
from adapters.sandbox.signing import KeySigner
from gateway.errors import ERRORS, GatewayError
from gateway.profiles.dvp_v1 import envelope
from tests import fakes_edge
from tests.end_to_end.stage import Stage, bearer, check_problem, request, staged, until

INTERACTION = "7c1c5e0e-5a53-4d5a-9a53-0d7c8f6f0a11"
_FIELD = f"x-fapi-interaction-id: {INTERACTION}"
_HEADERS = {"x-fapi-interaction-id": INTERACTION}
RETRYABLE = {
    "REQUEST_TIMEOUT",
    "RATE_LIMITED",
    "UPSTREAM_UNAVAILABLE",
    "AUDIT_UNAVAILABLE",
    "OVERLOADED",
}
_STEPPED_UP, _SILENT_ISSUER = "PERSONAL_CREDIT_REPORT", "https://localhost:1"
NOBODY = "00000000-0000-4000-8000-000000000000"
CONSENTS, DATA_REQUESTS = "/cdi/v1/consents", "/cdi/v1/data-requests"


@dataclass(frozen=True, slots=True, kw_only=True)
class Stages:
    """`wide` is everybody's and stays as it is. `tight` belongs to this module: one request in flight, bank-b
    suspended, `revoked` on the revocation list, one notices call a minute, fresh sign-ins for personal reports, and an
    issuer that nobody has ever reached."""

    wide: Stage
    tight: Stage
    revoked: tuple[Path, Path]


Case = Callable[[Stages], Awaitable[object]]
CASES: dict[str, Case] = {}


def case(code: str) -> Callable[[Case], Case]:
    def add(function: Case) -> Case:
        assert code not in CASES
        CASES[code] = function
        return function

    return add


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def stages(stage: Stage, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stages]:
    settings = {
        "limits": {"in_flight_max": 1, "body_timeout_seconds": 20},
        "rates": {"routes": {"GET /cdi/v1/notices": {"per_second": 0.01, "burst": 1}}},
        "oauth": {
            "step_up": [{"document_type": _STEPPED_UP, "max_age_seconds": 3_600}],
            "issuers": [{"issuer": _SILENT_ISSUER, "ca_file": "pki/ca.pem"}],
        },
    }
    async with staged(tmp_path_factory.mktemp("tight") / "world", settings) as tight:
        participants = tight.folder / "participants.yaml"
        registry = yaml.safe_load(participants.read_text())
        bank_b = next(item for item in registry["participants"] if item["id"] == tight.bank_b.participant_id)
        bank_b["status"] = "suspended"
        participants.write_text(yaml.safe_dump(registry))
        issued = tight.authority().client(tight.bank_a.participant_id, now=tight.now)
        revoke(tight.authority(), (issued.certificate,), tight.folder / "pki/clients.crl.pem", now=tight.now)
        await tight.reload()
        yield Stages(wide=stage, tight=tight, revoked=tight.written("revoked", issued))


def test_every_code_has_a_case() -> None:
    assert set(CASES) == {leaf.code for leaf in ERRORS}


@pytest.mark.parametrize("leaf", ERRORS, ids=lambda leaf: leaf.code)
async def test_refusal_is_what_the_contract_says(leaf: type[GatewayError], stages: Stages) -> None:
    answer = await CASES[leaf.code](stages)
    problem = check_problem(answer, leaf.code)
    assert answer.status == leaf.status
    assert problem["title"] == leaf.title
    assert problem["instance"] == INTERACTION
    assert problem["retryable"] is (leaf.code in RETRYABLE)
    assert ("retryAfter" in problem) is (leaf.status in {429, 503})


# --- the message -----------------------------------------------------------------------------------------------


async def _ask(
    stage: Stage, bank: Bank, token: str, consent: dict[str, Any], *, key: str | None = "", **changes: object
) -> Reply:
    body = {
        "consentId": consent["consentId"],
        "dataScope": {"scopeType": "DataScopeTypeUDR", "documentType": consent["scope"]["documentType"]},
        "purpose": consent["purpose"],
        "document": {"issuerId": consent["dataProviderId"], "digests": stage.sample["digests"]},
    }
    headers = {**_HEADERS, "Prefer": "wait=20"}
    key = str(uuid.uuid4()) if key == "" else key
    return await bank.call("POST", DATA_REQUESTS, token=token, json=body | changes, key=key, headers=headers)


@case("SCHEMA_INVALID")
async def _(stages: Stages) -> object:
    stage = stages.wide
    token = await stage.machine_token()
    answer = await stage.bank_a.call("POST", CONSENTS, token=token, json={}, key="schema", headers=_HEADERS)
    assert answer.json["errors"]
    return answer


@case("SCHEMA_VERSION_UNSUPPORTED")
async def _(stages: Stages) -> object:
    return await stages.wide.bank_a.call("GET", "/cdi/v2/consents", headers=_HEADERS)


@case("IDEMPOTENCY_KEY_MISSING")
async def _(stages: Stages) -> object:
    consent, token = await stages.wide.approved()
    return await _ask(stages.wide, stages.wide.bank_a, token, consent, key=None)


@case("IDEMPOTENCY_CONFLICT")
async def _(stages: Stages) -> object:
    stage, key = stages.wide, str(uuid.uuid4())
    consent, token = await stage.approved(max_uses=5)
    assert (await _ask(stage, stage.bank_a, token, consent, key=key)).status == 200
    other = {"issuerId": consent["dataProviderId"], "digests": stage.sample["digests"][:1]}
    return await _ask(stage, stage.bank_a, token, consent, key=key, document=other)


@case("TOO_LARGE")
async def _(stages: Stages) -> object:
    token = await stages.wide.machine_token()
    filler = {"type": "x" * 70_000}
    return await stages.wide.bank_a.call("POST", CONSENTS, token=token, json=filler, key="large", headers=_HEADERS)


@case("MEDIA_TYPE_UNSUPPORTED")
async def _(stages: Stages) -> object:
    token = await stages.wide.machine_token()
    headers = {**_HEADERS, "Content-Type": "text/plain"}
    return await stages.wide.bank_a.call("POST", CONSENTS, token=token, key="media", headers=headers)


@case("REQUEST_TIMEOUT")
async def _(stages: Stages) -> object:
    fields = (
        bearer(await stages.wide.machine_token()),
        "Content-Type: application/json",
        "Idempotency-Key: slow",
        _FIELD,
    )
    async with stages.wide.connection() as client:
        return await client.ask(request("POST", CONSENTS, *fields, "Content-Length: 10") + b"{")


@case("METHOD_NOT_ALLOWED")
async def _(stages: Stages) -> object:
    answer = await stages.wide.bank_a.call("DELETE", CONSENTS, headers=_HEADERS)
    assert answer.headers["Allow"]
    return answer


@case("NOT_FOUND")
async def _(stages: Stages) -> object:
    token = await stages.wide.machine_token()
    return await stages.wide.bank_a.call("GET", f"{CONSENTS}/{NOBODY}", token=token, headers=_HEADERS)


# --- who asks --------------------------------------------------------------------------------------------------


@case("TOKEN_MISSING")
async def _(stages: Stages) -> object:
    return await stages.wide.bank_a.call("GET", CONSENTS, headers=_HEADERS)


@case("TOKEN_INVALID")
async def _(stages: Stages) -> object:
    return await stages.wide.bank_a.call("GET", CONSENTS, token="a.b.c", headers=_HEADERS)


@case("TOKEN_NOT_BOUND")
async def _(stages: Stages) -> object:
    token = await stages.wide.machine_token(stages.wide.bank_b)
    return await stages.wide.bank_a.call("GET", CONSENTS, token=token, headers=_HEADERS)


@case("SCOPE_INSUFFICIENT")
async def _(stages: Stages) -> object:
    token = await stages.wide.bank_a.token("cdi:notices")
    return await stages.wide.bank_a.call("GET", CONSENTS, token=token, headers=_HEADERS)


@case("CERT_UNKNOWN")
async def _(stages: Stages) -> object:
    issued = stages.wide.authority().client("NOBODY01DC", now=stages.wide.now)
    async with stages.wide.connection(stages.wide.context(stages.wide.written("unknown", issued))) as client:
        return await client.ask(request("GET", CONSENTS, _FIELD))


@case("CERT_REVOKED")
async def _(stages: Stages) -> object:
    async with stages.tight.connection(stages.tight.context(stages.revoked)) as client:
        return await client.ask(request("GET", CONSENTS, _FIELD))


@case("CERT_EXPIRED")
async def _(stages: Stages) -> object:
    """It expires while its connection is open."""
    stage = stages.wide
    issued = stage.authority().client(stage.bank_a.participant_id, now=stage.now, lifetime_seconds=3)
    async with stage.connection(stage.context(stage.written("short", issued))) as client, asyncio.timeout(20):
        answer = await client.ask(request("GET", CONSENTS, _FIELD))
        check_problem(answer, "TOKEN_MISSING")
        while answer.json()["code"] == "TOKEN_MISSING":
            await asyncio.sleep(0.05)
            answer = await client.ask(request("GET", CONSENTS, _FIELD))
        return answer


@case("PARTICIPANT_SUSPENDED")
async def _(stages: Stages) -> object:
    return await stages.tight.bank_b.call("GET", CONSENTS, headers=_HEADERS)


@case("DIRECTION_NOT_PERMITTED")
async def _(stages: Stages) -> object:
    return await stages.wide.source_hk.call("GET", CONSENTS, headers=_HEADERS)


@case("RATE_LIMITED")
async def _(stages: Stages) -> object:
    stage = stages.tight
    token = await stage.machine_token()
    assert (await stage.bank_a.notices(token=token)).status == 200
    answer = await stage.bank_a.call("GET", "/cdi/v1/notices", token=token, headers=_HEADERS)
    assert 'route";q=1' in answer.headers["RateLimit-Policy"]
    assert "r=0" in answer.headers["RateLimit"]
    assert int(answer.headers["Retry-After"]) > 1
    return answer


# --- under which consent ---------------------------------------------------------------------------------------


@case("CONSENT_NOT_FOUND")
async def _(stages: Stages) -> object:
    consent, token = await stages.wide.approved()
    return await _ask(stages.wide, stages.wide.bank_a, token, consent, consentId=NOBODY)


@case("CONSENT_PENDING")
async def _(stages: Stages) -> object:
    """The token says something else than what was submitted: no approval of it."""
    consent = await stages.wide.submitted()
    token = stages.wide.minted(stages.wide.claims(consent={**consent, "expireTime": consent["expireTime"] + 1}))
    return await _ask(stages.wide, stages.wide.bank_a, token, consent)


@case("CONSENT_EXPIRED")
async def _(stages: Stages) -> object:
    """With a token that outlives the consent; the gateway's own never do."""
    stage = stages.wide
    consent, _ = await stage.approved(expire_time=stage.now + 5)
    token, machine = stage.minted(stage.claims(consent=consent)), await stage.machine_token()
    async with asyncio.timeout(30):
        while True:
            seen = await stage.bank_a.call("GET", f"{CONSENTS}/{consent['consentId']}", token=machine)
            if seen.json["status"] == "ConsentExpired":
                return await _ask(stage, stage.bank_a, token, consent)
            await asyncio.sleep(0.05)


@case("CONSENT_REVOKED")
async def _(stages: Stages) -> object:
    stage = stages.wide
    consent, token = await stage.approved()
    await stage.bank_a.revoke_consent(consent["consentId"], token=await stage.machine_token())
    return await _ask(stage, stage.bank_a, token, consent)


@case("CONSENT_CONSUMED")
async def _(stages: Stages) -> object:
    consent, token = await stages.wide.approved()
    assert (await _ask(stages.wide, stages.wide.bank_a, token, consent)).status == 200
    return await _ask(stages.wide, stages.wide.bank_a, token, consent)


@case("CONSENT_SCOPE_EXCEEDED")
async def _(stages: Stages) -> object:
    consent, token = await stages.wide.approved()
    elsewhere = {"issuerId": "SZBANK0001DP", "digests": stages.wide.sample["digests"]}
    return await _ask(stages.wide, stages.wide.bank_a, token, consent, document=elsewhere)


@case("CONSENT_PURPOSE_MISMATCH")
async def _(stages: Stages) -> object:
    consent, token = await stages.wide.approved()
    return await _ask(stages.wide, stages.wide.bank_a, token, consent, purpose="ACCOUNT_OPENING")


# --- the state of things ---------------------------------------------------------------------------------------


@case("STATE_CONFLICT")
async def _(stages: Stages) -> object:
    stage = stages.wide
    consent, token = await stage.submitted(), await stage.machine_token()
    path = f"{CONSENTS}/{consent['consentId']}/revocation"
    assert (await stage.bank_a.call("POST", path, token=token, json={"reason": "OTHER"})).status == 200
    return await stage.bank_a.call("POST", path, token=token, json={"reason": "OTHER"}, headers=_HEADERS)


@case("REPLAY_DETECTED")
async def _(stages: Stages) -> object:
    """The `partner` listener's: a bank's repetitions are idempotent instead."""
    stage = stages.wide
    tls = stage.folder / "platform/tls/client"
    signer = KeySigner.read(PLATFORM_MESSAGE_KEY, stage.folder / f"platform/keys/{PLATFORM_MESSAGE_KEY}.pem")
    message = envelope.seal(
        envelope.Envelope(
            message_id=str(uuid.uuid4()),
            message_type="EvidenceRevocation",
            sender=PLATFORM_ID,
            receiver=GATEWAY_ID,
            issued_at=stage.now,
            expires_at=stage.now + 60,
            nonce="0123456789abcdef",
            body={"evidenceId": "EV-of-nobody", "reason": "OTHER", "revokedAt": stage.now},
        ),
        signer,
    ).encode()
    context = client_context(stage.folder / "pki/ca.pem", tls / "cert.pem", tls / "key.pem")
    async with stage.connection(context, stage.world.ports.partner) as client:
        sent = request("POST", "/dvp/v1/messages", "Content-Type: application/jose", _FIELD, body=message)
        assert (await client.ask(sent)).status == 200
        return await client.ask(sent)


@case("OVERLOADED")
async def _(stages: Stages) -> object:
    stage = stages.tight
    fields = bearer(await stage.machine_token()), "Content-Type: application/octet-stream", "Content-Length: 1"
    async with stage.connection() as slow, stage.connection() as other:
        # Once it says "continue", this request is under way until its body is there.
        slow.send(request("POST", "/cdi/v1/digests", *fields, "Expect: 100-continue"))
        assert b" 100 " in await slow.reader.readuntil(b"\r\n\r\n")
        answer = await other.ask(request("GET", CONSENTS, _FIELD))
        assert (await slow.ask(b"x")).status == 200
        check_problem(await other.ask(request("GET", CONSENTS, _FIELD)), "TOKEN_MISSING")
        return answer


@case("UPSTREAM_UNAVAILABLE")
async def _(stages: Stages) -> object:
    """A gateway that never had an issuer's keys cannot say anything about its token."""
    stage = stages.tight
    token = stage.minted(stage.claims(iss=_SILENT_ISSUER))
    return await stage.bank_a.call("GET", CONSENTS, token=token, headers=_HEADERS)


@case("AUTHENTICATION_TOO_OLD")
async def _(stages: Stages) -> object:
    """The owner's approval is there; a token that does not say when they signed in is not enough for this document."""
    stage = stages.tight
    consent, fresh = await stage.approved(document_type=_STEPPED_UP, max_uses=5)
    body = {
        "consentId": consent["consentId"],
        "dataScope": {"scopeType": "DataScopeTypeUDR", "documentType": _STEPPED_UP},
        "purpose": consent["purpose"],
        "document": {"issuerId": consent["dataProviderId"], "digests": stage.sample["digests"]},
    }

    async def asked(token: str) -> Reply:
        key = str(uuid.uuid4())
        return await stage.bank_a.call("POST", DATA_REQUESTS, token=token, json=body, key=key, headers=_HEADERS)

    assert (await asked(fresh)).status in {200, 202}
    return await asked(stage.minted(stage.claims(consent=consent)))


@case("AUDIT_UNAVAILABLE")
async def _(stages: Stages) -> object:
    """Another process has taken the log over: nothing is answered that could not be recorded, and the gateway ends."""
    stage = stages.tight
    token = await stage.machine_token()
    body = {
        "type": "ConsentTypeSignedDocNotRequired",
        "dataProviderId": "SZCREDIT01DP",
        "scope": {"scopeType": "DataScopeTypeUDR", "documentType": "CORPORATE_CREDIT_REPORT"},
        "purpose": "SME_LOAN_UNDERWRITING",
        "expireTime": stage.now + 3_600,
        "private": {"dataOwnerId": "owner-7"},
    }
    with closing(sqlite3.connect(stage.folder / "data/audit.db")) as connection, connection:
        connection.execute("UPDATE head SET epoch = epoch + 1")
    answer = await stage.bank_a.call("POST", CONSENTS, token=token, json=body, key="no-record", headers=_HEADERS)
    await until(lambda: not stage.world.gateway.running)
    # What was accepted is not lost: the same key gives its consent after the restart.
    await stage.world.start_gateway()
    again = await stage.bank_a.call("POST", CONSENTS, token=token, json=body, key="no-record")
    assert again.status == 201
    listed = await stage.bank_a.call("GET", CONSENTS, token=token)
    assert [item["consentId"] for item in listed.json["consents"]].count(again.json["consentId"]) == 1
    return answer


@case("INTERNAL")
async def _(stages: Stages) -> object:
    """A mistake of ours, behind the real boundary and listener."""

    async def broken(_request: web.Request) -> web.Response:
        raise KeyError("a value of the input")

    pki = fakes_edge.Pki(stages.wide.folder.parent)
    async with fakes_edge.serving(web.get("/", broken), listener=pki.listener()) as edge:
        client = await edge.connect(pki.client())
        answer = await client.ask(fakes_edge.get("/", _FIELD))
        assert b"a value of the input" not in answer.body + edge.stream.getvalue()
        return answer


def test_the_retryable_codes_are_those_of_the_errors() -> None:
    assert {leaf.code for leaf in ERRORS if leaf.retryable} == RETRYABLE
