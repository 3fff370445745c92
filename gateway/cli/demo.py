"""`cdi-gateway demo`: the story of the product (README, steps 1 to 9) in a fresh sandbox, on real connections."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import tempfile
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Annotated, Any

import aiohttp
import orjson
import typer
from cryptography import x509
from cryptography.hazmat.primitives import hashes

import schemas
from adapters.sandbox.bank import CONSENTS, NOTICES, READ, Bank, Reply, TokenRefused
from adapters.sandbox.browser import BrowserStopped
from adapters.sandbox.children import ChildFailed
from adapters.sandbox.control_client import ControlFailed
from adapters.sandbox.credentials import REPORT_KEY
from adapters.sandbox.samples import SAMPLES, Sample, SamplesUnavailable
from adapters.sandbox.world import World
from gateway.cli import demo_log, demo_owner
from gateway.cli.story import Story
from gateway.cli.terminal import DONE, NEGATIVE, WRONG, Refused, say_json
from gateway.core.digest import digests_of
from gateway.exchange.statements import REPORT_TYPE
from gateway.profiles.dvp_v1.signature import KeySet, SignatureError, key_set, verify

_REPORT, _STATEMENT = SAMPLES[0], SAMPLES[1]
_DAY_SECONDS = 86_400
_NOTICE_TRIES = 10
_SHAPELESS = (LookupError, TypeError, ValueError, SignatureError)


def demo(
    keep: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Make the sandbox in DIR and leave its files there.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the steps and their results as JSON.")] = False,
) -> int:
    """Tell the story: a document is issued, asked about, forged, revoked; DVP fails; consent is withdrawn.

    A fresh sandbox on free ports, real certificates, real connections. The exit code is 0 only if every step came out
    as it must.
    """
    story = Story(quiet=as_json)
    try:
        if keep is not None:
            asyncio.run(_tell(story, keep))
        else:
            with tempfile.TemporaryDirectory(prefix="cdi-gateway-demo-") as folder:
                asyncio.run(_tell(story, Path(folder)))
    except SamplesUnavailable as error:
        raise Refused(str(error), code=WRONG) from error
    except ChildFailed as error:
        raise Refused(str(error), code=NEGATIVE) from error
    if as_json:
        say_json(story.body())
    else:
        story.end()
    return DONE if story.ok else NEGATIVE


async def _tell(story: Story, folder: Path) -> None:
    world = World(folder, schemas=schemas.load(), port_base=0, block_seconds=None, issue_samples=False)
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(world)
        banks = [
            await stack.enter_async_context(Bank(world.folder, world.description, label))
            for label in ("bank-a", "bank-b")
        ]
        demonstration = Demonstration(story, world, *banks)
        for title, step in demonstration.steps():
            story.begin(title)
            try:
                await step()
            except (
                BrowserStopped,
                ControlFailed,
                TokenRefused,
                aiohttp.ClientError,
                TimeoutError,
                *_SHAPELESS,
            ) as error:
                # What came back has not even the shape of what must come back. The later steps show how far it goes.
                story.check(f"{type(error).__name__}: {error}", False)


class Demonstration:
    """The steps, and what each leaves for the next."""

    def __init__(self, story: Story, world: World, bank: Bank, other_bank: Bank) -> None:
        self._story, self._world, self._bank, self._other_bank = story, world, bank, other_bank
        self._receipts: dict[str, dict[str, Any]] = {}
        self._token = ""  # of the bank itself
        self._consents: dict[str, tuple[dict[str, Any], str]] = {}  # document type → consent, its token
        self._cursor = 0
        self._genuine: dict[str, Any] = {}  # the data request that was answered MATCH

    def steps(self) -> list[tuple[str, Callable[[], Awaitable[None]]]]:
        return [
            ("A mainland source issues a credit report and registers its digests with DVP", self.issue),
            (
                "The bank registers a consent; the owner signs in and approves; the bank gets a bound token",
                self.consent,
            ),
            ("The company gives the bank the PDF; the bank asks whether it is genuine", self.genuine),
            ("One byte of the PDF is changed", self.forged),
            ("The source revokes the evidence", self.revoked),
            ("DVP is stopped, and comes back", self.outage),
            ("The owner revokes the consent", self.withdrawn),
            ("The token is presented with another bank's certificate", self.stolen),
            ("The audit log is verified, and forged", self.audited),
        ]

    async def issue(self) -> None:
        story, control = self._story, self._world.control
        for sample in (_REPORT, _STATEMENT):
            document = self._document(sample)
            story.asked("source → DVP", f"register {sample.file}, {len(document)} bytes of PDF")
            receipt = await control.issue(sample.issuer_id, sample.document_type, document)
            self._receipts[sample.document_type] = receipt
            for digest in receipt["digests"]:
                story.tell(f"{digest['algorithm']:<6} {digest['value']}")
            pending = receipt["status"] == "PENDING_CHAIN"
            story.check(f"evidence {receipt['evidenceId']}, {receipt['status']}, voucher handed out", pending)
        made = (await control.make_block())["block"]
        evidence = await control.evidence(self._receipts[_REPORT.document_type]["evidenceId"])
        story.check(f"block {made['number']} is made: {evidence['status']}", evidence["status"] == "ANCHORED")

    async def consent(self) -> None:
        self._token = await self._bank.token(CONSENTS, READ, NOTICES)
        await self._obtain_consent(_REPORT)

    async def genuine(self) -> None:
        document = self._document(_REPORT)
        self._story.asked(self._connection(), "POST /cdi/v1/digests")
        hashed = await self._bank.digests(document, token=self._token)
        same = hashed.json["digests"] == _digests(document)
        self._story.check(f"{hashed.status}, the digests are those of the PDF", same)
        reply = await self._ask(_REPORT, document, voucher=True)
        verification = self._expect(reply, "MATCH")
        chain = verification["evidence"]["chain"]
        self._story.tell(f"evidence {verification['evidence']['evidenceId']} in block {chain['blockNumber']}")
        self._story.tell(f"transaction {chain['transactionHash']}")
        await self._read_report(reply.json)
        self._genuine = reply.json

    async def forged(self) -> None:
        document = bytearray(self._document(_REPORT))
        document[len(document) // 2] ^= 0x01
        self._expect(await self._ask(_REPORT, bytes(document), voucher=True), "MISMATCH")
        self._expect(await self._ask(_REPORT, bytes(document), voucher=False), "NOT_REGISTERED")

    async def revoked(self) -> None:
        evidence_id = self._receipts[_REPORT.document_type]["evidenceId"]
        self._story.asked("source → DVP", f"revoke evidence {evidence_id}")
        revoked = await self._world.control.revoke(evidence_id, "ISSUED_IN_ERROR")
        self._story.check(f"the ledger says {revoked['status']}", revoked["status"] == "REVOKED")
        notice = await self._await_notice("EVIDENCE_REVOKED")
        found = notice is not None and notice.get("evidenceId") == evidence_id
        self._story.check(f"notice {notice['type']} of {notice['evidenceId']}" if notice else "no notice came", found)
        self._expect(await self._ask(_REPORT, self._document(_REPORT), voucher=True), "REVOKED")

    async def outage(self) -> None:
        story = self._story
        await self._obtain_consent(_STATEMENT)
        await self._world.stop_platform()
        story.tell("the DVP platform's process is stopped")
        reply = await self._ask(_STATEMENT, self._document(_STATEMENT), voucher=True, wait_seconds=2)
        verification = reply.json.get("verification", {})
        text = f"{reply.status} {reply.json['status']}: {verification.get('outcome')} {verification.get('reason')}"
        story.check(text, reply.status == 202 and verification.get("outcome") == "INDETERMINATE")
        await self._world.start_platform()
        story.tell("the DVP platform's process runs again; the bank asks nothing anew")
        path = f"/cdi/v1/data-requests/{reply.json['dataRequestId']}"
        story.asked(self._connection(), f"GET {path}  Prefer: wait=30")
        later = await self._bank.data_request(reply.json["dataRequestId"], token=self._token, wait_seconds=30)
        self._expect(later, "MATCH")

    async def withdrawn(self) -> None:
        """The cursor stands behind the notices of the steps before, so what comes is about this."""
        story, (consent, token) = self._story, self._consents[_REPORT.document_type]
        await demo_owner.revoke(story, await self._bank.owner(), consent["consentId"])
        refused = await self._ask(_REPORT, self._document(_REPORT), voucher=True, token=token)
        self._expect_refusal(refused, 403, "CONSENT_REVOKED")
        notice = await self._await_notice("CONSENT_REVOKED")
        found = notice is not None and notice.get("consentId") == consent["consentId"]
        story.check(f"notice {notice['type']} of {notice['consentId']}" if notice else "no notice came", found)

    async def stolen(self) -> None:
        _, token = self._consents[_STATEMENT.document_type]
        refused = await self._ask(_STATEMENT, self._document(_STATEMENT), voucher=True, bank=self._other_bank)
        self._expect_refusal(refused, 401, "TOKEN_NOT_BOUND")
        again = await self._ask(_STATEMENT, self._document(_STATEMENT), voucher=True, token=token)
        self._expect(again, "MATCH")

    async def audited(self) -> None:
        data_request_id, audit = self._genuine["dataRequestId"], self._world.description["audit"]
        self._story.asked(self._connection(), f"GET /cdi/v1/data-requests/{data_request_id}/proof  Prefer: wait=10")
        reply = await self._bank.proof(data_request_id, token=self._token, wait_seconds=10)
        self._story.check(f"{reply.status}, the proof that the outcome of step 3 is on record", reply.status == 200)
        index = demo_log.check_receipt(
            self._story, reply.body, self._genuine["receipt"], vkey=audit["vkey"], keys=self._report_keys()
        )
        folder = self._world.folder / audit["dir"]
        self._story.asked("anybody", f"audit verify {audit['dir']} --key {audit['vkey']}")
        await asyncio.to_thread(demo_log.check_log, self._story, folder, vkey=audit["vkey"], index=index)

    # --- what the steps share --------------------------------------------------------------------------------

    async def _obtain_consent(self, sample: Sample) -> None:
        story, bank = self._story, self._bank
        story.asked(self._connection(), f"POST /cdi/v1/consents  {sample.document_type} of {sample.issuer_id}")
        submitted = await bank.submit_consent(
            token=self._token,
            provider_id=sample.issuer_id,
            document_type=sample.document_type,
            expire_time=int(self._world.clock.now()) + _DAY_SECONDS,
            max_uses=10,
        )
        consent = submitted.json
        text = f"{submitted.status} {consent['status']} {consent['consentId']}"
        story.check(text, submitted.status == 201 and consent["status"] == "ConsentSubmitted")
        token = await demo_owner.approve(story, bank, await bank.owner(), consent, connection=self._connection())
        claims = _claims(token)
        bound = claims["cnf"]["x5t#S256"] == self._thumbprint(bank)
        lives = claims["exp"] - claims["iat"]
        story.check(f"access token of {lives} s, bound to the certificate of {bank.label}", bound and lives == 300)
        self._consents[sample.document_type] = consent, token

    async def _ask(
        self,
        sample: Sample,
        document: bytes,
        *,
        voucher: bool,
        wait_seconds: int = 10,
        bank: Bank | None = None,
        token: str | None = None,
    ) -> Reply:
        asking = bank or self._bank
        consent, own_token = self._consents[sample.document_type]
        how = "with the voucher" if voucher else "without a voucher"
        self._story.asked(
            self._connection(asking), f"POST /cdi/v1/data-requests  {sample.document_type}, {how}, wait={wait_seconds}"
        )
        return await asking.ask(
            token=token or own_token,
            consent=consent,
            digests=_digests(document),
            voucher=self._receipts[sample.document_type]["voucher"] if voucher else None,
            wait_seconds=wait_seconds,
        )

    def _expect(self, reply: Reply, outcome: str) -> dict[str, Any]:
        verification: dict[str, Any] = reply.json.get("verification", {})
        facts = ", ".join(f"{name} {verification.get(name)}" for name in ("integrity", "status", "issuer"))
        got = f"{verification.get('outcome', reply.code)} ({facts})"
        self._story.check(
            f"{reply.status} {reply.json.get('status')}: {got}",
            reply.status == 200 and verification.get("outcome") == outcome,
        )
        return verification

    def _expect_refusal(self, reply: Reply, status: int, code: str) -> None:
        self._story.check(f"{reply.status} {reply.code}", (reply.status, reply.code) == (status, code))

    async def _read_report(self, data_request: dict[str, Any]) -> None:
        """Download the signed report, check its hash, and acknowledge it."""
        response = data_request["responseList"][0]
        file = response["dataFile"]
        self._story.asked(self._connection(), f"GET {file['filePath']}")
        report = await self._bank.call("GET", file["filePath"], token=self._token)
        whole = hashlib.sha256(report.body).hexdigest() == file["fileHash"]
        self._story.check(f"{report.status}, SHA-256 {file['fileHash']} as announced", whole)
        said = orjson.loads(verify(report.body, self._report_keys(), REPORT_TYPE))["verification"]["outcome"]
        self._story.check(f"signed by {response['publicKeyId']}: {said}", said == "MATCH")
        path = f"/cdi/v1/data-requests/{data_request['dataRequestId']}/reception"
        self._story.asked(self._connection(), f"POST {path}")
        received = await self._bank.call("POST", path, token=self._token, json={"fileHash": file["fileHash"]})
        self._story.check(
            f"{received.status} {received.json['status']}", received.json["status"] == "DataRequestReceived"
        )

    async def _await_notice(self, wanted: str) -> dict[str, Any] | None:
        self._story.asked(self._connection(), "GET /cdi/v1/notices?wait=5")
        for _ in range(_NOTICE_TRIES):
            reply = await self._bank.notices(token=self._token, after=self._cursor, wait_seconds=5)
            self._cursor = reply.json["next"]
            for notice in reply.json["notices"]:
                if notice["type"] == wanted:
                    return dict(notice)
        return None

    def _report_keys(self) -> KeySet:
        return key_set((self._world.folder / f"pki/{REPORT_KEY}.jwks.json").read_bytes())

    def _document(self, sample: Sample) -> bytes:
        return (self._world.folder / sample.file).read_bytes()

    def _connection(self, bank: Bank | None = None) -> str:
        asking = bank or self._bank
        return f"{asking.label} → {asking.url} (TLSv1.3, mutual)"

    def _thumbprint(self, bank: Bank) -> str:
        pem = (self._world.folder / f"clients/{bank.label}/cert.pem").read_bytes()
        digest = x509.load_pem_x509_certificate(pem).fingerprint(hashes.SHA256())
        return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


def _digests(document: bytes) -> list[dict[str, str]]:
    return [{"algorithm": one.algorithm.value, "value": one.value} for one in digests_of(document)]


def _claims(jws: str) -> dict[str, Any]:
    """What a compact JWS says; who signed it is checked elsewhere."""
    payload = jws.split(".")[1]
    claims: dict[str, Any] = orjson.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    return claims
