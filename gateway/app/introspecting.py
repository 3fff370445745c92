"""Opaque tokens of external issuers: from the settings to the adapter that looks them up."""

from __future__ import annotations

from pathlib import Path

from adapters.issuers.introspection import IntrospectionVerifier
from adapters.keys.file import KeyFileRefused, read_key_file
from gateway.oauth.basic import client_secret
from gateway.ports import Clock
from gateway.settings import Introspection, Issuer, OAuth
from gateway.tls import outgoing_context


def introspection(issuer: Issuer, settings: Introspection, oauth: OAuth, clock: Clock) -> IntrospectionVerifier:
    """Raises KeyFileRefused, TlsMaterialError, ValueError, OSError for files that cannot be used."""
    return IntrospectionVerifier(
        issuer=issuer.issuer,
        url=settings.url,
        client_id=settings.client_id,
        ssl_context=outgoing_context(
            ca_file=issuer.ca_file, certificate_file=settings.certificate_file, key_file=settings.key_file
        ),
        secret=None if settings.secret_file is None else _secret(settings.secret_file),
        resource=oauth.resource,
        approves_consents=issuer.approves_consents,
        clock=clock,
        skew_seconds=oauth.clock_skew_seconds,
        lifetime_seconds_max=oauth.lifetime_seconds_max,
        cache_seconds=settings.cache_seconds,
        cache_max=settings.cache_max,
        timeout_seconds=issuer.timeout_seconds,
    )


def _secret(file: Path) -> str:
    data = read_key_file(file)
    try:
        return client_secret(data)
    except ValueError as error:
        raise KeyFileRefused(f"{file}: {error}") from error
