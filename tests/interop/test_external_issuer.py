"""Our resource server believes an authorization server that we did not write: npm oidc-provider, over real TLS.

Its tokens are RFC 9068 JWTs or opaque (RFC 7662), bound to a certificate (RFC 8705) or by DPoP (RFC 9449).
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, ExitStack
from pathlib import Path
from types import MappingProxyType
from typing import Any, Self
from urllib.parse import urlencode

import orjson
import pytest
import pytest_asyncio

from adapters.sandbox.addresses import Ports
from adapters.sandbox.bank import Bank, Reply, authorization_detail
from adapters.sandbox.clock import WallClock
from adapters.sandbox.credentials import Credentials
from adapters.sandbox.dpop import DPoP
from tests import node, oidc_provider
from tests.end_to_end.stage import WAIT_SECONDS, Stage, check_problem, until
from tests.end_to_end.world import running_world
from tests.oidc_provider import GATEWAY_CLIENT, GATEWAY_SECRET, STRANGER_CLIENT, UNBOUND_CLIENT, OidcProvider

pytestmark = pytest.mark.asyncio(loop_scope="module")

TARGET = "/cdi/v1/consents?limit=1"
OTHER_RESOURCE = "https://other.example"
CACHE_SECONDS = 0.5


class Outside:
    """A world whose gateway trusts the other issuer, and what its clients do there."""

    def __init__(self, stage: Stage, provider: OidcProvider, binary: Path, process: ExitStack) -> None:
        self.stage, self.provider = stage, provider
        self.dpop = DPoP()
        self.clock = WallClock()
        self.binary = binary
        self._banks = {"bank-a": stage.bank_a, "bank-b": stage.bank_b}
        self._process, self._stack = process, AsyncExitStack()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()

    def start(self, *, keys: list[dict[str, Any]] | None = None) -> None:
        self._process.enter_context(self.provider.running(self.binary, keys=keys))

    def stop(self) -> None:
        self._process.close()

    async def bank(self, label: str) -> Bank:
        if label not in self._banks:
            bank = Bank(self.stage.folder, self.stage.world.description, label)
            self._banks[label] = await self._stack.enter_async_context(bank)
        return self._banks[label]

    async def token(
        self,
        label: str = "bank-a",
        *,
        client_id: str | None = None,
        kind: str = "jwt",
        algorithm: str = "ES256",
        **form: str,
    ) -> str:
        """As this client gets it there by `client_credentials`; `kind`: jwt or opaque."""
        how = {"X-Token-Format": kind, "X-Token-Algorithm": algorithm}
        reply = await self.post("token", label, form | {"grant_type": "client_credentials"}, client_id, how)
        assert reply.status == 200, reply.body
        return str(reply.json["access_token"])

    async def post(
        self,
        endpoint: str,
        label: str,
        form: Mapping[str, str],
        client_id: str | None = None,
        how: Mapping[str, str] = MappingProxyType({}),
    ) -> Reply:
        """What this client asks the other issuer, as it authenticates there; again with the nonce that it wants."""
        client = self.stage.world.description["clients"][label]
        url = f"{self.provider.issuer}/{endpoint}"
        sent = {"client_id": client_id or client["clientId"], "scope": "cdi:consents", **form}
        # Not kept: that server is stopped and started here.
        fields = {"Content-Type": "application/x-www-form-urlencoded", "Connection": "close", **how}
        bank = await self.bank(label)
        nonce: str | None = None
        for _ in range(2):
            more = {}
            if client["authentication"] == "private_key_jwt":
                more = oidc_provider.assertion(self.stage.folder, label, self.provider.issuer)
            if client.get("dpop"):
                fields["DPoP"] = self.dpop.proof("POST", url, now=int(self.clock.now()), nonce=nonce)
            reply = await bank._send("POST", url, fields, urlencode(sent | more).encode())
            nonce = {name.lower(): value for name, value in reply.headers.items()}.get("dpop-nonce")
            if reply.status == 200 or nonce is None:
                break
        return reply

    async def read(self, token: str, label: str = "bank-a", **fields: str) -> Reply:
        """The list of consents, with the token as a bearer's."""
        bank = await self.bank(label)
        headers = {"Authorization": f"Bearer {token}"} | {
            name.replace("_", "-"): value for name, value in fields.items()
        }
        return await bank.call("GET", TARGET, headers=headers)

    async def read_with_proof(self, token: str, key: DPoP, label: str = "bank-a-dpop") -> Reply:
        """The same by DPoP, with the nonce that the gateway asks for (RFC 9449 §9)."""
        bank = await self.bank(label)
        nonce: str | None = None
        for _ in range(2):
            proof = key.proof("GET", bank.url + TARGET, now=int(self.clock.now()), nonce=nonce, token=token)
            headers = {"Authorization": f"DPoP {token}", "DPoP": proof}
            reply = await bank.call("GET", TARGET, headers=headers)
            fields = {name.lower(): value for name, value in reply.headers.items()}
            if "use_dpop_nonce" not in fields.get("www-authenticate", ""):
                break
            nonce = fields["dpop-nonce"]
        return reply


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def outside(
    require_tool: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Outside]:
    binary = node.require_node(require_tool)
    folder = tmp_path_factory.mktemp("external") / "world"
    folder.mkdir()
    Credentials(folder, now=int(WallClock().now()))
    ports, port = Ports.from_base(0), Ports.from_base(0).bank
    (folder / "ports.json").write_bytes(orjson.dumps(ports.named()))
    secret = folder / "other-issuer.secret"
    secret.touch(mode=0o600)
    secret.write_text(GATEWAY_SECRET, "utf-8")
    provider = OidcProvider(folder=folder, port=port, resources=(f"https://localhost:{ports.bank}", OTHER_RESOURCE))
    issuer = {
        "issuer": provider.issuer,
        "ca_file": "pki/ca.pem",
        "algorithms": ["ES256"],
        "approves_consents": True,
        "introspection": {
            "url": f"{provider.issuer}/token/introspection",
            "client_id": GATEWAY_CLIENT,
            "secret_file": secret.name,
            "cache_seconds": CACHE_SECONDS,
        },
    }
    with ExitStack() as process:
        process.enter_context(provider.running(binary))
        async with (
            running_world(folder, settings={"oauth": {"issuers": [issuer]}}) as world,
            Stage(world) as stage,
            Outside(stage, provider, binary, process) as one,
        ):
            yield one


# --- signed tokens (RFC 9068) ----------------------------------------------------------------------------------


async def test_a_certificate_bound_token_of_the_other_issuer_is_accepted(outside: Outside) -> None:
    assert (await outside.read(await outside.token())).status == 200


async def test_a_client_that_authenticated_by_private_key_jwt_is_accepted(outside: Outside) -> None:
    assert (await outside.read(await outside.token("bank-a-jwt"), "bank-a-jwt")).status == 200


async def test_its_token_with_another_banks_certificate_is_not_bound(outside: Outside) -> None:
    token = await outside.token()
    assert (await outside.read(token)).status == 200
    check_problem(await outside.read(token, "bank-b"), "TOKEN_NOT_BOUND")


async def test_its_token_with_another_certificate_of_the_same_bank_is_not_bound(outside: Outside) -> None:
    check_problem(await outside.read(await outside.token(), "bank-a-jwt"), "TOKEN_NOT_BOUND")


async def test_a_client_of_the_other_issuer_that_no_participant_has_is_not_bound(outside: Outside) -> None:
    check_problem(await outside.read(await outside.token(client_id=STRANGER_CLIENT)), "TOKEN_NOT_BOUND")


async def test_its_token_for_another_resource_is_invalid(outside: Outside) -> None:
    check_problem(await outside.read(await outside.token(resource=OTHER_RESOURCE)), "TOKEN_INVALID")


async def test_its_token_without_binding_is_invalid(outside: Outside) -> None:
    check_problem(await outside.read(await outside.token(client_id=UNBOUND_CLIENT)), "TOKEN_INVALID")


async def test_its_token_without_the_scope_opens_nothing(outside: Outside) -> None:
    check_problem(await outside.read(await outside.token(scope="cdi:notices")), "SCOPE_INSUFFICIENT")


async def test_the_answer_to_a_call_without_token_leads_to_the_metadata(outside: Outside) -> None:
    """RFC 9728 §5.1; the document names both issuers."""
    bank = await outside.bank("bank-a")
    reply = await bank.call("GET", "/.well-known/oauth-protected-resource")
    assert reply.status == 200
    own = outside.stage.world.description["issuer"]["issuer"]
    assert set(reply.json["authorization_servers"]) == {own, outside.provider.issuer}


# --- bound by DPoP (RFC 9449) ----------------------------------------------------------------------------------


async def test_its_dpop_bound_token_is_accepted_with_a_proof(outside: Outside) -> None:
    token = await outside.token("bank-a-dpop")
    assert (await outside.read_with_proof(token, outside.dpop)).status == 200


async def test_its_dpop_bound_token_as_a_bearers_is_refused(outside: Outside) -> None:
    reply = await outside.read(await outside.token("bank-a-dpop"), "bank-a-dpop")
    assert check_problem(reply)["status"] == 401


async def test_its_dpop_bound_token_with_a_proof_by_another_key_is_refused(outside: Outside) -> None:
    reply = await outside.read_with_proof(await outside.token("bank-a-dpop"), DPoP())
    assert check_problem(reply)["status"] == 401


# --- opaque tokens (RFC 7662) ----------------------------------------------------------------------------------


async def test_its_opaque_token_is_accepted_by_introspection(outside: Outside) -> None:
    token = await outside.token(kind="opaque")
    assert token.count(".") != 2
    assert (await outside.read(token)).status == 200


async def test_its_opaque_token_with_another_banks_certificate_is_not_bound(outside: Outside) -> None:
    token = await outside.token(kind="opaque")
    assert (await outside.read(token)).status == 200
    check_problem(await outside.read(token, "bank-b"), "TOKEN_NOT_BOUND")


async def test_its_opaque_token_for_another_resource_is_invalid(outside: Outside) -> None:
    check_problem(await outside.read(await outside.token(kind="opaque", resource=OTHER_RESOURCE)), "TOKEN_INVALID")


async def test_its_opaque_dpop_bound_token_needs_the_proof(outside: Outside) -> None:
    token = await outside.token("bank-a-dpop", kind="opaque")
    assert check_problem(await outside.read(token, "bank-a-dpop"))["status"] == 401
    assert (await outside.read_with_proof(token, outside.dpop)).status == 200


async def test_an_opaque_token_that_nobody_knows_is_invalid(outside: Outside) -> None:
    check_problem(await outside.read("x" * 43), "TOKEN_INVALID")


async def test_its_revoked_opaque_token_is_invalid_when_the_memory_of_it_has_passed(outside: Outside) -> None:
    token = await outside.token(kind="opaque")
    assert (await outside.read(token)).status == 200
    revoked = await outside.post("token/revocation", "bank-a", {"token": token})
    assert revoked.status == 200, revoked.body
    remembered_until = outside.clock.monotonic() + CACHE_SECONDS
    await until(lambda: outside.clock.monotonic() > remembered_until)
    check_problem(await outside.read(token), "TOKEN_INVALID")


# --- the data owner's word, from the other issuer --------------------------------------------------------------


async def test_a_submitted_consent_is_approved_by_its_token(outside: Outside) -> None:
    """`approves_consents`: the details of its token (RFC 9396) are the whole consent."""
    consent = await outside.stage.submitted()
    details = orjson.dumps([authorization_detail(consent)]).decode()
    token = await outside.token(scope="cdi:data-requests", authorization_details=details)
    reply = await outside.stage.bank_a.ask(
        token=token, consent=consent, digests=outside.stage.sample["digests"], wait_seconds=20
    )
    assert (reply.status, reply.json["verification"]["outcome"]) == (200, "MATCH")


async def test_a_token_for_a_consent_that_does_not_exist_asks_nothing(outside: Outside) -> None:
    consent = await outside.stage.submitted()
    other = consent | {"consentId": str(uuid.uuid4())}
    details = orjson.dumps([authorization_detail(other)]).decode()
    token = await outside.token(scope="cdi:data-requests", authorization_details=details)
    reply = await outside.stage.bank_a.ask(token=token, consent=other, digests=outside.stage.sample["digests"])
    check_problem(reply, "CONSENT_NOT_FOUND")


# --- its keys, and its absence: last, since the server is started anew -----------------------------------------


async def test_a_new_key_of_the_other_issuer_is_found(outside: Outside) -> None:
    outside.stop()
    outside.start(keys=[oidc_provider.new_key("ES256"), oidc_provider.new_key("PS256")])
    token = await outside.token()
    async with asyncio.timeout(WAIT_SECONDS):
        # An unknown key is looked for once in ten seconds at most.
        while (reply := await outside.read(token)).status == 401:  # noqa: ASYNC110  no event tells
            await asyncio.sleep(0.2)
    assert reply.status == 200, reply.body


async def test_its_token_of_an_algorithm_that_is_not_listed_is_invalid(outside: Outside) -> None:
    """After the test before: that server has such a key too, and it is published."""
    token = await outside.token(algorithm="PS256")
    check_problem(await outside.read(token), "TOKEN_INVALID")


async def test_without_the_other_issuer_its_signed_tokens_count_and_opaque_ones_wait(outside: Outside) -> None:
    signed, opaque = await outside.token(), await outside.token(kind="opaque")
    outside.stop()
    assert (await outside.read(signed)).status == 200
    check_problem(await outside.read(opaque), "UPSTREAM_UNAVAILABLE")
