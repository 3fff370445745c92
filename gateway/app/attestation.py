"""Who attests to the published log, as configured: witnesses of every checkpoint, a time-stamping authority."""

from __future__ import annotations

import contextlib
import ssl
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

from adapters.timestamps.client import HttpTimestampAuthority, read_roots
from adapters.witness.client import HttpWitness
from gateway.followers.cosigning import Cosigning
from gateway.followers.guard import Limit, patience
from gateway.followers.publisher import Nobody
from gateway.followers.timestamping import Timestamping
from gateway.observe.attestations import ObservedCosigning, ObservedTimestamping
from gateway.observe.logs import Log
from gateway.observe.metrics import Metrics
from gateway.ports import Clock, Cosigners, LogReader, TileStore
from gateway.settings import Audit
from gateway.settings.audit import Timestamps, Witness, Witnesses
from gateway.tls import TlsMaterialError


@dataclass(frozen=True, slots=True, kw_only=True)
class Attestation:
    cosigners: Cosigners
    followers: tuple[Timestamping, ...]
    limits: tuple[Limit, ...]


@contextlib.asynccontextmanager
async def open_attestation(
    settings: Audit, reader: LogReader, files: TileStore, *, clock: Clock, metrics: Metrics, log: Log
) -> AsyncIterator[Attestation]:
    """For as long as the block lasts. Raises NoteInvalid for a key that is no witness's, and TlsMaterialError and
    ValueError for files that cannot be used."""
    async with contextlib.AsyncExitStack() as stack:
        cosigners: Cosigners = Nobody()
        followers: tuple[Timestamping, ...] = ()
        limits: list[Limit] = []
        if settings.witnesses.witnesses:
            witnesses = [http_witness(one, settings.witnesses) for one in settings.witnesses.witnesses]
            for one in witnesses:
                stack.push_async_callback(one.close)
            cosigners = cosigning = Cosigning(
                witnesses,
                quorum=settings.witnesses.quorum,
                timeout_seconds=settings.witnesses.timeout_seconds,
                store=files,
                clock=clock,
                observer=ObservedCosigning(metrics, log),
            )
            metrics.audit_witnessed_lag.set_function(cosigning.lag_seconds)
            limits.append(patience(cosigning.lag_seconds, settings.witnesses.refuse_after_seconds))
        if settings.timestamps is not None:
            stamping = Timestamping(
                http_authority(settings.timestamps, clock),
                files,
                reader,
                interval_seconds=settings.timestamps.interval_seconds,
                clock=clock,
                observer=ObservedTimestamping(log),
            )
            metrics.audit_timestamped_lag.set_function(stamping.lag_seconds)
            limits.append(patience(stamping.lag_seconds, settings.timestamps.refuse_after_seconds))
            followers = (stamping,)
        yield Attestation(cosigners=cosigners, followers=followers, limits=tuple(limits))


def http_witness(settings: Witness, all_of_them: Witnesses) -> HttpWitness:
    """Raises NoteInvalid, TlsMaterialError."""
    return HttpWitness(
        settings.vkey,
        settings.url,
        ssl_context=trusting(settings.ca_file),
        timeout_seconds=all_of_them.timeout_seconds,
    )


def http_authority(settings: Timestamps, clock: Clock) -> HttpTimestampAuthority:
    """Raises ValueError, OSError."""
    try:
        roots = read_roots(settings.ca_file.read_bytes())
    except ValueError as error:
        raise ValueError(f"{settings.ca_file}: holds no PEM certificate") from error
    # Its connection may be under its own roots, or anybody's: what is believed is the token alone.
    context = trusting(None)
    context.load_verify_locations(settings.ca_file)
    return HttpTimestampAuthority(
        settings.url, roots=roots, ssl_context=context, timeout_seconds=settings.timeout_seconds, clock=clock
    )


def trusting(ca_file: Path | None) -> ssl.SSLContext:
    """A context for calls to a server of these authorities; None: the system's. Raises TlsMaterialError."""
    try:
        context = ssl.create_default_context(cafile=None if ca_file is None else str(ca_file))
    except ssl.SSLError as error:
        raise TlsMaterialError(f"{ca_file}: holds no usable PEM certificate") from error
    except OSError as error:
        raise TlsMaterialError(f"{ca_file}: cannot be read: {error.strerror}") from error
    return context
