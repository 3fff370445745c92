"""The authorization server's flows on a real database: one process of `fakes_flows.World`, with two banks' clients."""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import AsyncIterator, Awaitable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import orjson
import pytest

from adapters.issuers.jwks import IssuerKeys
from adapters.issuers.verifier import JwtVerifier, TrustedIssuer
from adapters.limits.memory import MemoryRateLimits
from gateway.authorization.authentication import ClientAuthentication
from gateway.authorization.grants import Grants
from gateway.authorization.handles import REQUEST_URI, kept
from gateway.authorization.interactions import Interactions, Leave, Lives, View
from gateway.authorization.minting import Mint
from gateway.authorization.owners import OwnerLives, Owners, SignInDemands
from gateway.authorization.presented import Authenticated, Presented
from gateway.authorization.pushing import Pushing
from gateway.authorization.responses import Responses
from gateway.authorization.tokens import TokenEndpoint
from gateway.core.canonical import canonical
from gateway.core.model import Certificate, Consent, ConsentStatus, Rate
from gateway.core.pseudonym import pseudonym
from gateway.exchange.admission import Caller
from gateway.exchange.liveness import Liveness
from gateway.exchange.owned import OwnedConsents
from gateway.oauth.client import Authentication, Client, Clients
from gateway.oauth.grant import OAuthGrant, OwnerSession
from gateway.oauth.jws import parse_jws
from gateway.oauth.refusal import OAuthRefusal
from gateway.ports import ConsentStep, GrantStep
from tests import fakes_flows, oauth_clients, samples
from tests.authorization_parts import OWNER, BreakableState, FakeLogin, TokenSigner
from tests.fakes import FakeClock
from tests.fakes_flows import INTERACTION, OTHER_BANK, PSEUDONYM_KEY, TRACE, World, certificate, open_world
from tests.fakes_oauth import FakeFetch, b64, jwks
from tests.oauth_clients import CLIENT, ISSUER, REDIRECT_URI, VERIFIER, details, key, parameters
from tests.samples import BANK

RESOURCE = "https://gateway.example"
LIVES = Lives(request=300, code=60, fresh=600)
OWNER_LIVES = OwnerLives(session=1_800, fresh=600, auth_code=600, auth_codes_per_hour=3)

CLIENTS = (
    oauth_clients.client(),
    oauth_clients.client(client_id="bank-a-batch"),
    oauth_clients.client(client_id="bank-a-tls", authentication=Authentication.TLS, keys=None, subject=f"CN={BANK}"),
    oauth_clients.client(
        client_id="bank-a-self",
        authentication=Authentication.SELF_SIGNED_TLS,
        keys=None,
        certificates=frozenset({certificate(BANK).sha256}),
    ),
    oauth_clients.client(client_id="bank-a-dpop", dpop=True),
    oauth_clients.client(client_id="bank-a-jar", signed_requests=True),
    oauth_clients.client(client_id="bank-b", participant_id=OTHER_BANK),
)


def shown(owner: str) -> Certificate:
    """A certificate of this participant with a thumbprint as they are (RFC 8705 §3.1)."""
    return certificate(owner, thumbprint=b64(hashlib.sha256(owner.encode()).digest()))


def subject_of(owner: str = OWNER) -> str:
    return pseudonym(PSEUDONYM_KEY, "subject", owner)


class Server:
    """The flows as the composition root builds them, over one World."""

    def __init__(self, world: World) -> None:
        self.world, self.clock, self.audit = world, world.clock, world.audit
        self.state: Any = BreakableState(world.state)
        self.liveness = Liveness(revocations=self.state, clock=self.clock, own_issuer=ISSUER)
        self.owned = OwnedConsents(
            store=world.store, audit=self.audit, recorder=world.recorder, clock=self.clock, liveness=self.liveness
        )
        self.login = FakeLogin()
        self.signer = TokenSigner()
        self.use(CLIENTS)
        source = FakeFetch(jwks(key()))
        issuer_keys = IssuerKeys(source, clock=self.clock, refresh_seconds=1e6, stale_seconds_max=2e6)
        self.tokens = JwtVerifier(
            [
                TrustedIssuer(issuer=name, keys=issuer_keys, algorithms=frozenset({"ES256"}), approves_consents=False)
                for name in (ISSUER, "https://other-issuer.example")
            ],
            resource=RESOURCE,
            clock=self.clock,
            skew_seconds=10,
            lifetime_seconds_max=3_600,
            cache_max=100,
        )
        self.authentication = ClientAuthentication(
            issuer=ISSUER,
            roster=world.roster,
            limits=MemoryRateLimits(self.clock, keys_max=100),
            participant_rate=Rate(per_second=10, burst=5),
            replays=self.state,
            refusals=world.refusals,
            clock=self.clock,
        )
        self.pushing = Pushing(
            issuer=ISSUER, resource=RESOURCE, store=world.store, state=self.state, life_seconds=LIVES.request
        )
        self.endpoint = self.token_endpoint()
        self.grants = Grants(
            issuer=ISSUER,
            state=self.state,
            tokens=self.tokens,
            liveness=self.liveness,
            roster=world.roster,
            audit=self.audit,
            recorder=world.recorder,
            clock=self.clock,
        )
        self.interactions = Interactions(
            store=world.store,
            state=self.state,
            owned=self.owned,
            audit=self.audit,
            roster=world.roster,
            responses=Responses(issuer=ISSUER, signer=self.signer),
            lives=LIVES,
            recorder=world.recorder,
            clock=self.clock,
        )
        self.owners = Owners(
            state=self.state,
            owned=self.owned,
            login=self.login,
            demands=SignInDemands(acr_values=("loa1",)),
            audit=self.audit,
            recorder=world.recorder,
            roster=world.roster,
            limits=MemoryRateLimits(self.clock, keys_max=100),
            signer=self.signer,
            receipt_payload=lambda consent, now: canonical({"consentId": consent.consent_id, "at": int(now)}),
            key=PSEUDONYM_KEY,
            entropy=lambda size: uuid.uuid4().bytes[:size],
            lives=OWNER_LIVES,
            clock=self.clock,
        )

    def token_endpoint(self, *, refresh_tokens: bool = True) -> TokenEndpoint:
        return TokenEndpoint(
            store=self.world.store,
            state=self.state,
            audit=self.audit,
            recorder=self.world.recorder,
            liveness=self.liveness,
            mint=Mint(
                issuer=ISSUER, resource=RESOURCE, signer=self.signer, pairwise_key=PSEUDONYM_KEY, life_seconds=300
            ),
            resource=RESOURCE,
            refresh_tokens=refresh_tokens,
        )

    # --- who and what --------------------------------------------------------------------------------------

    def use(self, clients: Iterable[Client], **changes: Any) -> None:
        """As after a reload."""
        view = self.world.roster.view
        self.world.roster.view = replace(view, clients=Clients(clients), **changes)

    def caller(self, client_id: str = CLIENT, *, certified: bool = True, **changes: Any) -> Authenticated:
        """A client that proved itself, over a connection with its participant's certificate or without one."""
        client = self.world.roster.view.clients.by_id(client_id)
        assert client is not None
        participant = self.world.roster.view.registry.by_id(client.participant_id)
        assert participant is not None
        return Authenticated(
            client=replace(client, **changes),
            participant=participant,
            certificate=shown(client.participant_id) if certified else None,
            interaction=INTERACTION,
            now=self.clock.now(),
            allowances=(),
        )

    def managing(self, client_id: str = CLIENT) -> Caller:
        """The same at the grants endpoint, which takes access tokens."""
        caller = self.caller(client_id)
        assert caller.certificate is not None
        return Caller(
            participant=caller.participant,
            certificate=caller.certificate,
            interaction=INTERACTION,
            trace=TRACE,
            now=self.clock.now(),
            token=fakes_flows.token(client_id=client_id),
        )

    def presented(self, *, owner: str | None = None, **form: str) -> Presented:
        """`owner`: of the connection's certificate."""
        held = certificate(owner) if owner is not None else None
        return Presented(certificate=held, parameters=form, interaction=INTERACTION)

    def session(self, owner: str = OWNER, **changes: Any) -> OwnerSession:
        values: dict[str, Any] = {
            "session_hash": kept(samples.unique("session")),
            "subject": subject_of(owner),
            "name": "Data Owner 7",
            "auth_time": int(self.clock.now()),
            "acr": "loa2",
            "expires_at": self.clock.now() + 1_800,
        }
        return OwnerSession(**(values | changes))

    # --- the way of an authorization -----------------------------------------------------------------------

    async def consent(self, **changes: Any) -> Consent:
        values = {
            "consent_id": str(uuid.uuid4()),
            "status": ConsentStatus.SUBMITTED,
            "subject": subject_of(),
        }
        return await self.world.consent(**(values | changes))

    async def pushed(self, consent: Consent, client_id: str = CLIENT, *, jkt: str | None = None, **changes: Any) -> str:
        """The handle of a pushed request."""
        form = parameters(client_id=client_id, authorization_details=details(consent.consent_id), **changes)
        made = await self.pushing.push(self.caller(client_id), form, jkt)
        return made.request_uri.removeprefix(REQUEST_URI)

    async def decided(self, handle: str, session: OwnerSession | None = None, *, approve: bool = True) -> View:
        return await self.interactions.decide(
            handle, session or self.session(), approve=approve, interaction=INTERACTION
        )

    async def code(self, consent: Consent, client_id: str = CLIENT, **pushed: Any) -> str:
        """Of an approval by the owner."""
        view = await self.decided(await self.pushed(consent, client_id, **pushed))
        assert isinstance(view, Leave)
        return answer_of(view)["code"]

    async def redeem(self, code: str, caller: Authenticated | None = None, **changes: Any) -> dict[str, Any]:
        jkt = changes.pop("jkt", None)
        right = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": REDIRECT_URI,
            "code_verifier": VERIFIER,
        }
        form = {name: value for name, value in (right | changes).items() if value is not None}
        return await self.endpoint.token(caller or self.caller(), form, jkt)

    async def refresh(self, token: str, caller: Authenticated | None = None, **changes: Any) -> dict[str, Any]:
        jkt = changes.pop("jkt", None)
        form = {"grant_type": "refresh_token", "refresh_token": token} | changes
        return await self.endpoint.token(caller or self.caller(), form, jkt)

    async def machine(self, scope: str | None, caller: Authenticated | None = None, **changes: Any) -> dict[str, Any]:
        jkt = changes.pop("jkt", None)
        form = {"grant_type": "client_credentials"} | ({"scope": scope} if scope is not None else {}) | changes
        return await self.endpoint.token(caller or self.caller(), form, jkt)

    async def granted(self, **consent: Any) -> tuple[Consent, dict[str, Any]]:
        """A consent that was approved and redeemed, and the token endpoint's answer."""
        made = await self.consent(**consent)
        return made, await self.redeem(await self.code(made))

    # --- what became of it -----------------------------------------------------------------------------------

    async def grant(self, grant_id: str) -> OAuthGrant:
        found: list[OAuthGrant] = []

        def look(grant: OAuthGrant | None, _: Consent | None) -> GrantStep | None:
            assert grant is not None
            found.append(grant)
            return None

        await self.world.state.by_id(grant_id, look)
        return found[-1]

    async def status(self, consent: Consent) -> ConsentStatus:
        found = await self.world.store.consent(consent.consent_id)
        assert found is not None
        return found.status

    async def alive(self, token: str) -> bool:
        """Whether this resource server believes it now, as another replica would after its next look."""
        self.liveness.look_again()
        body = await self.grants.introspect(self.caller(), {"token": token})
        return bool(body["active"])

    async def changed(self, consent: Consent, status: ConsentStatus) -> None:
        """Whatever it was before, and without the flow."""
        now = int(self.clock.now())
        await self.world.store.change_consent(
            consent.consent_id, lambda current: ConsentStep(consent=replace(current, status=status, updated_at=now))
        )

    async def entries(self, *types: str) -> list[dict[str, Any]]:
        """Of these types, in the log's order, once what waits in the outbox is there too."""
        await self.world.recorder.flush()
        return [entry for entry in await self.world.entries() if not types or entry["type"] in types]


@asynccontextmanager
async def open_server(folder: Path, clock: FakeClock | None = None) -> AsyncIterator[Server]:
    async with open_world(folder, clock) as world:
        yield Server(world)


def answer_of(view: View) -> dict[str, str]:
    """The parameters that the browser takes to the client."""
    assert isinstance(view, Leave)
    return dict(parse_qsl(urlsplit(view.url).query, strict_parsing=True))


def claims_of(token: str) -> dict[str, Any]:
    return parse_jws(token, characters_max=8_192).claims


async def refused(work: Awaitable[object]) -> OAuthRefusal:
    with pytest.raises(OAuthRefusal) as caught:
        await work
    return caught.value


async def told(work: Awaitable[object]) -> tuple[str, str]:
    """Code and reason of a refusal."""
    found = await refused(work)
    assert found.status == 400
    return found.code, found.reason


def holds_none(entries: Sequence[Mapping[str, Any]], *secrets: str) -> bool:
    """No entry has any of these anywhere."""
    text = orjson.dumps(list(entries)).decode()
    return not any(secret in text for secret in secrets)
