"""The embedded authorization server over the parts: its keys, its flows, the owners' login, its pages."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

import orjson

import schemas
from adapters.keys.file import KeyFileRefused, read_key_file
from adapters.login.credentials import PrivateKey, Secret
from adapters.login.oidc import OidcLogin
from gateway.app.parts import Parts
from gateway.app.token_keys import published_keys, token_signers
from gateway.authorization.authentication import ClientAuthentication
from gateway.authorization.grants import Grants
from gateway.authorization.interactions import Interactions, Lives
from gateway.authorization.minting import Mint
from gateway.authorization.owners import OwnerLives, Owners, SignInDemands
from gateway.authorization.pushing import Pushing
from gateway.authorization.responses import Responses
from gateway.authorization.tokens import TokenEndpoint
from gateway.exchange.liveness import Liveness
from gateway.exchange.owned import OwnedConsents
from gateway.exchange.possession import Possession
from gateway.http.addresses import Addresses
from gateway.http.consent import ConsentPages
from gateway.http.cookies import Cookies
from gateway.http.oauth import OAuthFlows
from gateway.http.owner import OwnerPages
from gateway.http.visits import Visits
from gateway.oauth import metadata, scopes
from gateway.pages.pages import CODE_LISTS, Pages
from gateway.ports import Clock, RateLimits, Signer
from gateway.profiles.cdi_v1 import CdiV1
from gateway.settings import Oidc, Server, Settings
from gateway.tls import outgoing_context


@dataclass(frozen=True, slots=True, kw_only=True)
class Embedded:
    """What stands on the listeners: the back channel on both, the pages on `consent`."""

    back_channel: OAuthFlows
    grants: Grants
    consent: ConsentPages
    owner: OwnerPages
    addresses: Addresses


@dataclass(frozen=True, slots=True, kw_only=True)
class Shared:
    """What the authorization server shares with the bank API."""

    limits: RateLimits
    addresses: Addresses
    possession: Possession
    liveness: Liveness
    codec: CdiV1
    reports: Signer
    pseudonym_key: bytes


def build_authorization(parts: Parts, shared: Shared, stack: contextlib.AsyncExitStack) -> Embedded | None:
    """None where there is no `oauth.server`. Connections to the login provider are closed by `stack`. Raises
    KeyFileRefused, TlsMaterialError, ValueError, OSError."""
    settings = parts.settings
    server, login = settings.oauth.server, settings.oauth.login
    if server is None or login is None:
        return None
    signers = token_signers(server)
    owned = OwnedConsents(
        store=parts.store,
        audit=parts.audit,
        recorder=parts.recorder,
        clock=parts.clock,
        liveness=shared.liveness,
    )
    provider = _login(login.oidc, server, parts.clock)
    stack.push_async_callback(provider.aclose)
    owners = Owners(
        state=parts.state,
        owned=owned,
        login=provider,
        demands=SignInDemands(acr_values=login.oidc.acr_values),
        audit=parts.audit,
        recorder=parts.recorder,
        roster=parts.roster,
        limits=shared.limits,
        signer=shared.reports,
        receipt_payload=shared.codec.consent_receipt_payload,
        key=shared.pseudonym_key,
        entropy=os.urandom,
        lives=OwnerLives(
            session=server.session_seconds,
            fresh=server.fresh_login_seconds,
            auth_code=server.auth_code_seconds,
            auth_codes_per_hour=server.auth_codes_per_hour_max,
        ),
        clock=parts.clock,
    )
    interactions = Interactions(
        store=parts.store,
        state=parts.state,
        owned=owned,
        audit=parts.audit,
        roster=parts.roster,
        responses=Responses(issuer=server.issuer, signer=signers[0]),
        lives=Lives(request=server.request_seconds, code=server.code_seconds, fresh=server.fresh_login_seconds),
        recorder=parts.recorder,
        clock=parts.clock,
    )
    grants = Grants(
        issuer=server.issuer,
        state=parts.state,
        tokens=parts.tokens,
        liveness=shared.liveness,
        roster=parts.roster,
        audit=parts.audit,
        recorder=parts.recorder,
        clock=parts.clock,
    )
    visits = _visits(parts, shared, server, owners)
    return Embedded(
        back_channel=_back_channel(parts, shared, server, signers, grants),
        grants=grants,
        consent=ConsentPages(interactions=interactions, visits=visits),
        owner=OwnerPages(visits=visits),
        addresses=shared.addresses,
    )


def _back_channel(
    parts: Parts, shared: Shared, server: Server, signers: tuple[Signer, ...], grants: Grants
) -> OAuthFlows:
    settings = parts.settings
    acr_values = settings.oauth.login.oidc.acr_values if settings.oauth.login is not None else ()
    return OAuthFlows(
        authentication=ClientAuthentication(
            issuer=server.issuer,
            roster=parts.roster,
            limits=shared.limits,
            participant_rate=settings.rates.participant.rate(),
            replays=parts.state,
            refusals=parts.refusals,
            clock=parts.clock,
        ),
        pushing=Pushing(
            issuer=server.issuer,
            resource=settings.oauth.resource,
            store=parts.store,
            state=parts.state,
            life_seconds=server.request_seconds,
            acr_values=acr_values,
        ),
        tokens=TokenEndpoint(
            store=parts.store,
            state=parts.state,
            audit=parts.audit,
            recorder=parts.recorder,
            liveness=shared.liveness,
            mint=Mint(
                issuer=server.issuer,
                resource=settings.oauth.resource,
                signer=signers[0],
                pairwise_key=shared.pseudonym_key,
                life_seconds=server.access_token_seconds,
            ),
            resource=settings.oauth.resource,
            refresh_tokens=server.refresh_tokens,
        ),
        grants=grants,
        possession=shared.possession,
        audit=parts.audit,
        signer=signers[0],
        issuer=server.issuer,
        jwks=published_keys(server),
        server_metadata=orjson.dumps(_server_metadata(settings, server, acr_values)),
        body_bytes_max=settings.limits.body_bytes_max,
        body_timeout_seconds=settings.limits.body_timeout_seconds,
    )


def _server_metadata(settings: Settings, server: Server, acr_values: Sequence[str]) -> dict[str, object]:
    return metadata.server_metadata(
        issuer=server.issuer,
        mtls_base=settings.deployment.public_url,
        scopes=(*scopes.MACHINE, *scopes.CONSENT),
        refresh_tokens=server.refresh_tokens,
        acr_values=acr_values,
    )


def resource_metadata(settings: Settings) -> dict[str, object]:
    issuers = [issuer.issuer for issuer in settings.oauth.issuers]
    if settings.oauth.server is not None:
        issuers.insert(0, settings.oauth.server.issuer)
    return metadata.protected_resource_metadata(
        resource=settings.oauth.resource, issuers=issuers, scopes=(*scopes.MACHINE, *scopes.CONSENT)
    )


def _visits(parts: Parts, shared: Shared, server: Server, owners: Owners) -> Visits:
    settings = parts.settings
    return Visits(
        owners=owners,
        pages=Pages(
            deployment=settings.deployment.name,
            titles={name: schemas.codelist(name) for name in CODE_LISTS},
        ),
        cookies=Cookies(parts.sealer.derived("cookies")),
        addresses=shared.addresses,
        # RFC 6797 §8.2 knows no ports: in a sandbox, a browser would refuse every plain address of the machine.
        strict_transport=urlsplit(server.issuer).hostname != "localhost",
        clock=parts.clock,
        body_bytes_max=settings.limits.body_bytes_max,
        body_timeout_seconds=settings.limits.body_timeout_seconds,
    )


def login_credentials(oidc: Oidc) -> PrivateKey | Secret:
    """How the gateway proves itself to the login provider. Raises KeyFileRefused."""
    file = oidc.key_file or oidc.secret_file
    if file is None:
        raise ValueError("oauth.login.oidc has no credentials")
    data = read_key_file(file)
    try:
        return Secret.of(data) if oidc.key_id is None else PrivateKey.of(data, key_id=oidc.key_id)
    except ValueError as error:
        raise KeyFileRefused(f"{file}: {error}") from error


def _login(oidc: Oidc, server: Server, clock: Clock) -> OidcLogin:
    return OidcLogin(
        issuer=oidc.issuer,
        client_id=oidc.client_id,
        redirect_uri=f"{server.issuer}/login/callback",
        credentials=login_credentials(oidc),
        ssl_context=outgoing_context(ca_file=oidc.ca_file),
        owner_claim=oidc.owner_claim,
        clock=clock,
        entropy=os.urandom,
        scopes=oidc.scopes,
        algorithms=oidc.algorithms,
        timeout_seconds=oidc.timeout_seconds,
    )
