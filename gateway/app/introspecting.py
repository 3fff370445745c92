"""Opaque tokens of external issuers: from the settings to the adapter that looks them up."""

from __future__ import annotations

import ssl

from adapters.issuers.introspection import IntrospectionVerifier
from gateway.ports import Clock
from gateway.settings import Introspection, Issuer, OAuth


def introspection(issuer: Issuer, settings: Introspection, oauth: OAuth, clock: Clock) -> IntrospectionVerifier:
    """Raises OSError, ssl.SSLError, ValueError for files that cannot be used."""
    context = ssl.create_default_context(cafile=str(issuer.ca_file) if issuer.ca_file else None)
    if settings.certificate_file is not None:
        context.load_cert_chain(settings.certificate_file, settings.key_file, password="")
    return IntrospectionVerifier(
        issuer=issuer.issuer,
        url=settings.url,
        client_id=settings.client_id,
        ssl_context=context,
        secret_file=settings.secret_file,
        resource=oauth.resource,
        approves_consents=issuer.approves_consents,
        clock=clock,
        skew_seconds=oauth.clock_skew_seconds,
        cache_seconds=settings.cache_seconds,
        cache_max=settings.cache_max,
        timeout_seconds=issuer.timeout_seconds,
    )
