"""Who gets copies of the log for security monitoring, as configured: targets, formats, their TLS."""

from __future__ import annotations

import platform
import ssl
from collections.abc import Sequence

from adapters.siem.https import HttpsTarget
from adapters.siem.syslog_tls import SyslogTls
from adapters.sql.audit import SqlAuditLog
from gateway.app.attestation import trusting
from gateway.audit.cef import cef
from gateway.audit.event import Event, Gap
from gateway.audit.ocsf import ocsf
from gateway.audit.syslog import syslog
from gateway.followers.forwarder import Forwarder, Render
from gateway.observe.forwarding import ObservedForwarding
from gateway.observe.logs import Log
from gateway.observe.metrics import Metrics
from gateway.ports import Clock, EventTarget
from gateway.settings.audit import Forward
from gateway.tls import TlsMaterialError

_FORMATS: dict[str, Render] = {"ocsf": ocsf, "cef": cef}


def forwarders(
    settings: Sequence[Forward], entries: SqlAuditLog, *, clock: Clock, metrics: Metrics, log: Log
) -> tuple[Forwarder, ...]:
    """One for each target. Raises TlsMaterialError, or ValueError for a URL that is none."""
    observer = ObservedForwarding(metrics, log)
    return tuple(
        Forwarder(
            target.name,
            log=entries,
            cursors=entries,
            target=event_target(target),
            render=rendering(target, hostname=platform.node()),
            clock=clock,
            observer=observer,
            batch_max=target.batch_max,
        )
        for target in settings
    )


def event_target(settings: Forward) -> EventTarget:
    """Raises TlsMaterialError, ValueError. Connects when something is to be delivered."""
    if settings.url.startswith("syslog+tls:"):
        return SyslogTls(settings.url, ssl_context=client_tls(settings), timeout_seconds=settings.timeout_seconds)
    return HttpsTarget(
        settings.url,
        ssl_context=client_tls(settings),
        timeout_seconds=settings.timeout_seconds,
        token_file=settings.token_file,
    )


def rendering(settings: Forward, *, hostname: str) -> Render:
    """How an event looks to this target: on syslog, its format is the text of a message."""
    text = _FORMATS[settings.format]
    if not settings.url.startswith("syslog+tls:"):
        return text

    def message(item: Event | Gap) -> bytes:
        return syslog(item, render=text, hostname=hostname)

    return message


def client_tls(settings: Forward) -> ssl.SSLContext:
    """With a client certificate, where there is one. TLS 1.2 is accepted: RFC 5425 receivers may know no other."""
    context = trusting(settings.ca_file)
    if settings.certificate_file is not None and settings.key_file is not None:
        try:
            # An empty password keeps OpenSSL from asking for one on a terminal.
            context.load_cert_chain(settings.certificate_file, settings.key_file, password="")
        except (OSError, ValueError) as error:
            raise TlsMaterialError(
                f"{settings.certificate_file} and {settings.key_file}: not a readable PEM chain with its unencrypted "
                "PEM key"
            ) from error
    return context
