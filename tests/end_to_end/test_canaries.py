"""Whatever a client writes into a free field stays out of files, logs, metrics, answers and DVP's hands.

A canary of its own is planted in every field, on the way to success and to refusal; then everything that gateway and
platform have written is searched for it, as it is and in the encodings in which it could hide.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import sqlite3
import uuid
from collections.abc import AsyncIterator, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

import orjson
import pytest
import pytest_asyncio

from adapters.sandbox.cast import OWNERS
from gateway.app.desk import open_desk
from gateway.compliance.opening import Condition, open_stored
from tests.end_to_end.oauth_canaries import OAuthCanaries
from tests.end_to_end.stage import EXTERNAL, VALIDATORS, Stage, bearer, request, staged
from tests.fakes_edge import Client

# Folders of the world in which something may stand, and why.
VOUCHERS_ALLOWED = {
    "platform/": "DVP made the vouchers, and is asked with them",
    "sandbox.json": "written by the sandbox for clients, vouchers included",
    "clients/": "the client's own scripts ask with the sample's voucher",
}
CONSENTS, DATA_REQUESTS, DIGESTS = "/cdi/v1/consents", "/cdi/v1/data-requests", "/cdi/v1/digests"
JSON, OCTETS = "Content-Type: application/json", "Content-Type: application/octet-stream"


@dataclass(slots=True)
class Field:
    """The planted values by the field's name, and all that the gateway answered."""

    planted: dict[str, str] = field(default_factory=dict)
    answers: list[bytes] = field(default_factory=list)
    seen: dict[str, bytes] = field(default_factory=dict)  # what was found written, by where
    known: dict[str, str] = field(default_factory=dict)  # no secrets: the search must find these
    hashed: dict[str, str] = field(default_factory=dict)  # secrets of 256 bits, of which a hash is kept

    def canary(self, name: str, shape: str = "{}") -> str:
        """A new value for this field; `shape` makes it fit the field's pattern."""
        assert name not in self.planted
        self.planted[name] = value = shape.format("cnry" + uuid.uuid4().hex[:14])
        return value

    async def send(self, client: Client, raw: bytes) -> Any:
        answer = await client.ask(raw)
        self.answers.append(f"{answer.headers}".encode() + answer.body)
        return answer

    async def send_alone(self, stage: Stage, raw: bytes) -> Any:
        """On a connection of its own: what is refused may close it."""
        async with stage.connection() as client:
            return await self.send(client, raw)

    def where(self, value: str, *, digests: bool = True) -> set[str]:
        """The places in which the value stands, in any form; with its bare digests or without."""
        needles = forms(value, digests=digests)
        return {place for place, data in self.seen.items() if any(needle in data for needle in needles)}


def forms(value: str, *, digests: bool = True) -> set[bytes]:
    """The value in the encodings in which it could stand somewhere; and its bare digests, which would be no secret."""
    raw = value.encode()
    found = {raw, raw.hex().encode(), quote(value).encode(), value.encode("utf-16-le"), orjson.dumps(value)[1:-1]}
    for start in range(3):  # base64 of something that contains it, whatever stands before: the whole groups of it
        shifted = base64.b64encode(b"\0" * start + raw)[4 if start else 0 :]
        core = shifted[: -4 if len(b"\0" * start + raw) % 3 else None]
        found |= {core, core.replace(b"+", b"-").replace(b"/", b"_")}
    if digests:
        found |= {hashlib.sha256(raw).digest(), hashlib.sha256(raw).hexdigest().encode()}
    return found | {needle.upper() for needle in (raw, raw.hex().encode())}


# --- planting --------------------------------------------------------------------------------------------------


def private(canaries: Field, way: str) -> dict[str, Any]:
    return {
        "dataOwnerId": canaries.canary(f"{way}: dataOwnerId"),
        "dataOwnerName": canaries.canary(f"{way}: dataOwnerName", "示例貿易有限公司 {}"),
        "brNo": canaries.canary(f"{way}: brNo", "HKG:{}"),
        "crNo": canaries.canary(f"{way}: crNo"),
        "LEI": canaries.canary(f"{way}: LEI").upper()[:18] + "42",
        "secret": uuid.uuid4().hex,
        "purposePrivate": canaries.canary(f"{way}: purposePrivate"),
        "dataOwnerReference": canaries.canary(f"{way}: dataOwnerReference"),
        "consentFileList": [canaries.canary(f"{way}: consentFileList", "{}.pdf")],
    }


def free_fields(canaries: Field, way: str) -> tuple[str, ...]:
    """Header fields that any client may send."""
    names = (
        "User-Agent",
        "Cookie",
        "Referer",
        "From",
        "X-Unknown",
        "tracestate",
        "baggage",
        "Accept",
        "Accept-Language",
    )
    planted = [f"{name}: {canaries.canary(f'{way}: {name}')}" for name in names]
    return (
        *planted,
        f"Idempotency-Key: {canaries.canary(f'{way}: Idempotency-Key')}",
        f"Prefer: wait=20, {canaries.canary(f'{way}: Prefer')}",
        f"traceparent: 00-{canaries.canary(f'{way}: traceparent')}-01",
        f"x-fapi-interaction-id: {canaries.canary(f'{way}: interaction id')}",
        f"x-fapi-customer-ip-address: {canaries.canary(f'{way}: customer address')}",
    )


def consent_body(stage: Stage, **changes: Any) -> dict[str, Any]:
    return {
        "type": "ConsentTypeSignedDocNotRequired",
        "dataProviderId": "SZCREDIT01DP",
        "scope": {"scopeType": "DataScopeTypeUDR", "documentType": "CORPORATE_CREDIT_REPORT"},
        "purpose": "SME_LOAN_UNDERWRITING",
        "expireTime": stage.now + 3_600,
        "usage": {"maxUses": 10},
        "private": {"dataOwnerId": "owner-7"},
    } | changes


def question(consent: dict[str, Any], digests: list[dict[str, str]], udr: str | None = None) -> dict[str, Any]:
    scope = {"scopeType": "DataScopeTypeUDR", "documentType": consent["scope"]["documentType"]}
    return {
        "consentId": consent["consentId"],
        "dataScope": scope if udr is None else scope | {"udr": udr},
        "purpose": consent["purpose"],
        "document": {"issuerId": consent["dataProviderId"], "digests": digests},
    }


async def plant_successes(stage: Stage, canaries: Field, client: Client) -> None:
    """Every call that a bank makes, with a canary wherever the API leaves the text to it."""
    token = stage.minted(
        stage.claims(
            sub=canaries.canary("token: sub"), jti=canaries.canary("token: jti"), name=canaries.canary("claim")
        )
    )

    async def post(target: str, way: str, body: bytes, media_type: str = JSON, with_token: str = token) -> Any:
        fields = free_fields(canaries, way)
        return await canaries.send(client, request("POST", target, bearer(with_token), media_type, *fields, body=body))

    identity = private(canaries, "consent")
    canaries.planted |= {"consent: LEI": identity["LEI"], "consent: secret": identity["secret"]}
    # The voucher of the consent is the sample's own: it is what the gateway has to keep, sealed.
    voucher = canaries.planted["voucher: of the sample"] = stage.sample["voucher"]
    body = consent_body(stage, private=identity)
    consent = (await post(CONSENTS, "consent", orjson.dumps(body))).json()
    assert consent["status"] == "ConsentSubmitted"
    # Nobody of that name can sign in; an external issuer speaks for this data owner.
    consent_token = stage.minted(stage.claims(consent=consent, iss=EXTERNAL))
    canaries.planted["token: signed"] = consent_token.rpartition(".")[2]

    digests = stage.sample["digests"]
    asked = question(consent, digests, voucher)
    shared = (await post(DATA_REQUESTS, "data request", orjson.dumps(asked), with_token=consent_token)).json()
    assert shared["verification"]["outcome"] == "MATCH"
    proved = request(
        "GET", f"{DATA_REQUESTS}/{shared['dataRequestId']}/proof", bearer(token), *free_fields(canaries, "proof")
    )
    assert (await canaries.send(client, proved)).status == 200
    unknown = canaries.canary("voucher: of nobody")
    asked = question(consent, digests, unknown)
    answer = await post(DATA_REQUESTS, "unknown voucher", orjson.dumps(asked), with_token=consent_token)
    assert answer.json()["verification"]["outcome"] == "NOT_REGISTERED"
    batch = {"requests": [question(consent, digests, canaries.canary("voucher: of a batch"))]}
    answer = await post(f"{DATA_REQUESTS}/batch", "batch", orjson.dumps(batch), with_token=consent_token)
    assert answer.json()["results"][0]["status"] == 200

    await stage.world.control.faults("source_unavailable", count=100, match="VerificationRequest")
    answer = await canaries.send(
        client,
        request(
            "POST",
            DATA_REQUESTS,
            bearer(consent_token),
            JSON,
            f"Idempotency-Key: {canaries.canary('pending: Idempotency-Key')}",
            body=orjson.dumps(question(consent, digests, canaries.canary("voucher: kept sealed while pending"))),
        ),
    )
    assert answer.status == 202
    body = {"reason": canaries.canary("cancellation: reason")}
    target = f"{DATA_REQUESTS}/{answer.json()['dataRequestId']}/cancellation"
    assert (await post(target, "cancellation", orjson.dumps(body))).json()["status"] == "DataRequestCancelled"
    await stage.world.control.faults("none")

    content = canaries.canary("document: bytes").encode()
    assert (await post(DIGESTS, "digests", b"%PDF-1.7 " + content * 3_000, OCTETS)).status == 200
    body = {"reason": canaries.canary("revocation: reason")}
    target = f"{CONSENTS}/{consent['consentId']}/revocation"
    assert (await post(target, "revocation", orjson.dumps(body))).json()["status"] == "ConsentRevoked"
    for target in (CONSENTS, DATA_REQUESTS, "/cdi/v1/notices", f"{CONSENTS}/{consent['consentId']}"):
        answer = await canaries.send(client, request("GET", target, bearer(token)))
        assert answer.status == 200
    canaries.known |= {
        "consent id": consent["consentId"],
        "data request id": shared["dataRequestId"],
        "digest": digests[0]["value"],
        "evidence id": stage.sample["evidenceId"],
        # It is in what a bank gets as a claim of the signed receipt, and in no other way.
        "record id": claims_of(shared["receipt"])["jti"],
    }


def claims_of(receipt: str) -> dict[str, Any]:
    payload = receipt.split(".")[1]
    claims: dict[str, Any] = orjson.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    return claims


async def plant_refusals(stage: Stage, canaries: Field) -> None:
    """Bodies, targets, fields and tokens that are refused."""
    token = bearer(await stage.machine_token())
    name, value = canaries.canary("refused: member"), canaries.canary("refused: value")
    identity = private(canaries, "refused")
    for number, body in enumerate(
        (
            consent_body(stage, private=identity | {name: value}),
            consent_body(stage, private=identity, type=value),
            consent_body(stage, private=identity, dataProviderId=canaries.canary("refused: provider").upper()),
            consent_body(stage, private=identity, scope={"scopeType": value, name: {value: [value]}}),
            consent_body(stage, private=identity, hashKey=value, usage={"maxUses": value}),
            consent_body(stage, private=identity, expireTime=1),  # rejected, with CDI's code
            consent_body(stage, private=identity, hashKey="0" * 64),
        )
    ):
        key = f"Idempotency-Key: {canaries.canary(f'refused {number}: key')}"
        answer = await canaries.send_alone(stage, request("POST", CONSENTS, token, JSON, key, body=orjson.dumps(body)))
        assert answer.status in {201, 400}
        target = f"{DATA_REQUESTS}/{uuid.uuid4()}/reception"
        await canaries.send_alone(stage, request("POST", target, token, JSON, body=orjson.dumps({name: value})))
    for number, body in enumerate((f'{{"{name}": "{value}"', f'["{value}"]', f'{{"{name}":1,"{name}":2}}', value)):
        fields = free_fields(canaries, f"broken {number}")
        await canaries.send_alone(stage, request("POST", CONSENTS, token, JSON, *fields, body=body.encode()))
    media_type = f"Content-Type: text/{canaries.canary('media type')}"
    await canaries.send_alone(stage, request("POST", CONSENTS, token, media_type, body=value.encode()))
    segment = canaries.canary("path segment")
    for target in (
        f"{CONSENTS}/{segment}",
        f"/{segment}",
        f"/cdi/v2/{segment}",
        f"{DATA_REQUESTS}/{uuid.uuid4()}/files/{segment}",
        f"{CONSENTS}?{canaries.canary('query: name')}=1",
        f"{CONSENTS}?status={canaries.canary('query: status')}",
        f"{CONSENTS}?after={canaries.canary('query: after')}&limit={canaries.canary('query: limit')}",
        f"https://{canaries.canary('target: host')}.example/",
    ):
        await canaries.send_alone(stage, request("GET", target, token))
    await canaries.send_alone(stage, request(canaries.canary("method").upper(), CONSENTS, token))
    await canaries.send_alone(stage, request("GET", CONSENTS, host=f"{canaries.canary('Host')}.example"))


async def plant_strangers(stage: Stage, canaries: Field) -> None:
    """Certificates, tokens and bytes that belong to nobody, each on a connection of its own."""
    subject = stage.authority().client(canaries.canary("certificate: subject"), now=stage.now)
    fields = free_fields(canaries, "unknown certificate")
    async with stage.connection(stage.context(stage.written("canary", subject))) as client:
        await canaries.send(client, request("GET", CONSENTS, *fields))
    tokens = [
        canaries.canary("token: malformed"),
        f"{canaries.canary('token: header')}.{canaries.canary('token: claims')}.{canaries.canary('token: signature')}",
        stage.minted(stage.claims(iss=canaries.canary("token: issuer"))),
        stage.minted(stage.claims(aud=canaries.canary("token: audience"), exp=1)),
        stage.minted(stage.claims(scope=canaries.canary("token: scope"))),
        stage.minted(stage.claims(client_id=canaries.canary("token: client"))),
        stage.minted(stage.claims(), kid=canaries.canary("token: kid"), typ=canaries.canary("token: typ")),
        stage.minted(stage.claims(authorization_details=[{"type": canaries.canary("token: detail")}], scope="x")),
    ]
    for token in tokens:
        await canaries.send_alone(stage, request("GET", CONSENTS, bearer(token)))
        await canaries.send_alone(stage, request("GET", CONSENTS, f"Authorization: Basic {token}"))
    for raw in (
        f"{canaries.canary('no HTTP')}\r\n\r\n",
        f"GET {CONSENTS} {canaries.canary('no version')}\r\n\r\n",
        f"GET / HTTP/1.1\r\nHost: localhost\r\n{canaries.canary('no field')}\r\n\r\n",
        f"GET / HTTP/1.1\r\nHost: localhost\r\nX: {canaries.canary('broken field')}\0\r\n\r\n",
        f"GET / HTTP/1.1\r\nHost: localhost\r\nExpect: {canaries.canary('Expect')}\r\n\r\n",
        f"GET / HTTP/1.1\r\nHost: localhost\r\nX: {canaries.canary('long field') * 2_000}\r\n\r\n",
        f"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: {canaries.canary('length')}\r\n\r\n",
        f"POST / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: {canaries.canary('coding')}\r\n\r\n",
    ):
        await canaries.send_alone(stage, raw.encode())


# --- searching -------------------------------------------------------------------------------------------------


def written(folder: Path) -> Iterator[tuple[str, bytes]]:
    """Every file of the world, and every value of its databases: a long value is not in one piece in the file."""
    for file in sorted(folder.rglob("*")):
        if not file.is_file():
            continue
        place = file.relative_to(folder).as_posix()
        yield place, file.read_bytes()
        if file.suffix == ".db":
            with closing(sqlite3.connect(f"file:{file}?mode=ro", uri=True)) as connection:
                for (table,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall():
                    yield (
                        f"{place}: {table}",
                        b"\n".join(_row(row) for row in connection.execute(f"SELECT * FROM {table}")),
                    )


async def opened_entries(config: Path) -> bytes:
    """The audit log as those read it who have the keys: what is sealed in its entries is no hiding place."""
    async with open_desk(config) as desk:
        stored = [entry async for entry in desk.audit.read()]
        assert all(VALIDATORS.is_valid("audit/v1/entry", orjson.loads(entry.entry or b"")) for entry in stored)
        opened = await open_stored(desk.audit, stored)
    assert {entry.condition for entry in opened} == {Condition.OPEN}
    return b"\n".join(orjson.dumps(entry.body) for entry in opened)


def _row(row: tuple[Any, ...]) -> bytes:
    return b"\t".join(value if isinstance(value, bytes) else str(value).encode() for value in row)


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def canaries(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Field]:
    """All planted, and all that is written gathered twice: while the gateway runs, and when it has stopped."""
    canaries = Field()
    settings = {"log": {"level": "debug"}, "exchange": {"retry_first_seconds": 20, "retry_max_seconds": 20}}
    async with staged(tmp_path_factory.mktemp("canaries") / "world", settings) as stage:
        async with stage.connection() as client:
            await plant_successes(stage, canaries, client)
        await plant_refusals(stage, canaries)
        await plant_strangers(stage, canaries)
        oauth = OAuthCanaries(stage, canaries.canary, canaries.planted, canaries.answers)
        await oauth.plant()
        canaries.hashed = oauth.hashed
        canaries.seen |= {f"running: {place}": data for place, data in written(stage.folder)}
        canaries.seen["/metrics"] = await stage.metrics()
        canaries.seen["platform/ journal"] = orjson.dumps(await stage.world.control.journal())
        await stage.world.stop_gateway()
        canaries.seen |= await asyncio.to_thread(lambda: dict(written(stage.folder)))
        canaries.seen["opened entries"] = await opened_entries(stage.folder / "gateway.yaml")
        canaries.seen["answers"] = b"\n".join(canaries.answers)
        yield canaries


def test_what_is_no_secret_is_found_where_it_belongs(canaries: Field) -> None:
    """The search can find: with a store and a log that it did not read, all tests here would pass."""
    assert {"data/gateway.db: consents", "data/audit.db: entries", "answers"} <= canaries.where(
        canaries.known["consent id"]
    )
    assert {"data/gateway.db: exchanges", "data/audit.db: entries"} <= canaries.where(canaries.known["data request id"])
    assert {"platform/ journal", "opened entries"} <= canaries.where(canaries.known["digest"])
    assert {"answers", "data/gateway.db: exchanges", "data/audit.db: entries"} <= canaries.where(
        canaries.known["record id"]
    )
    assert {"logs/gateway.log", "running: logs/gateway.log"} <= canaries.where("request.done")
    assert "/metrics" in canaries.where("cdi_requests_total")
    assert any(place.startswith("running: data/") and place.endswith("-wal") for place in canaries.seen)


@pytest.mark.parametrize("private", ["digest", "evidence id"])
def test_what_leads_to_a_document_is_nowhere_in_the_log_as_it_is_kept_and_published(
    canaries: Field, private: str
) -> None:
    kept = {
        place
        for place in canaries.seen
        if place.removeprefix("running: ").startswith(("data/audit.db", "data/audit-index.db", "audit/"))
    }
    assert any("audit/log/tile/entries/" in place for place in kept)
    assert "data/audit.db: entries" in kept
    assert kept & canaries.where(canaries.known[private]) == set()


@pytest.mark.parametrize(
    "hide",
    [
        lambda value: value,
        lambda value: value.hex().encode(),
        lambda value: base64.b64encode(b"a" + value + b"b"),
        lambda value: base64.urlsafe_b64encode(b"ab" + value + b"bcd"),
        base64.b64encode,
        lambda value: hashlib.sha256(value).hexdigest().encode(),
        lambda value: value.decode().encode("utf-16"),
    ],
)
def test_an_encoded_value_is_found(hide: Any) -> None:
    value = "cnry0123456789abcd"
    field = Field(seen={"here": b"before" + hide(value.encode()) + b"after", "there": b"nothing"})
    assert field.where(value) == {"here"}


def test_every_way_was_planted(canaries: Field) -> None:
    assert len(canaries.planted) > 200
    assert len(set(canaries.planted.values())) == len(canaries.planted)
    assert len(canaries.answers) > 50


def test_no_canary_is_found_anywhere(canaries: Field) -> None:
    leaks = {
        name: found
        for name, value in canaries.planted.items()
        if not name.startswith("voucher") and (found := canaries.where(value))
    }
    assert leaks == {}


def test_of_a_secret_that_was_handed_out_its_hash_alone_is_kept(canaries: Field) -> None:
    """Codes, refresh tokens, handles, sessions: 256 bits, which nobody guesses from a hash."""
    assert canaries.hashed.keys() == {"code", "refresh token", "request URI", "session"}
    leaks = {name: found for name, value in canaries.hashed.items() if (found := canaries.where(value, digests=False))}
    assert leaks == {}
    for name, value in canaries.hashed.items():
        kept = {place.removeprefix("running: ").partition("-")[0].partition(":")[0] for place in canaries.where(value)}
        assert kept == {"data/gateway.db"}, name


def test_a_data_owner_is_named_on_the_pages_alone(canaries: Field) -> None:
    """Their names, and how they sign in: with the provider, and in what the sandbox tells those who try it."""
    for owner in OWNERS:
        for value, shown in ((owner.name, "answers"), (owner.name_zh, "answers"), (owner.password, "clients/")):
            found = {place.removeprefix("running: ") for place in canaries.where(value)}
            allowed = ("sandbox.json", "login/", "clients/", shown)
            assert {place for place in found if not place.startswith(allowed)} == set()
        assert "sandbox.json" in canaries.where(owner.password)


def test_a_voucher_is_with_dvp_and_its_owner_only(canaries: Field) -> None:
    for name, value in canaries.planted.items():
        if name.startswith("voucher"):
            found = {place.removeprefix("running: ") for place in canaries.where(value)}
            assert {place for place in found if not place.startswith(tuple(VOUCHERS_ALLOWED))} == set(), name
    assert "platform/ journal" in canaries.where(canaries.planted["voucher: of nobody"])
