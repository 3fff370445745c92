"""The life of the process: start, serve, reload, drain."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import itertools
import signal
import sys
from pathlib import Path

import uvloop

from adapters.sql import migrations
from adapters.sql.audit import AuditLogDamaged
from gateway.app.flows import Flows, build_flows
from gateway.app.identities import published_codes, self_signed, stale_lists, view
from gateway.app.listeners import Listeners, build_listeners
from gateway.app.parts import Parts, open_parts
from gateway.errors import GatewayError
from gateway.exchange.recording import record
from gateway.followers.history import HistoryRefused
from gateway.followers.tiling import EntriesDamaged
from gateway.http.server import ListenerServer
from gateway.observe import logs
from gateway.settings import Participants, ServerTlsListener, Settings, load, load_participants
from gateway.tls import TlsMaterialError, server_context

WATCH_SECONDS = 1.0
COUNT_EVERY = 15  # counting consents reads their whole index

_REFUSALS = (AuditLogDamaged, HistoryRefused, EntriesDamaged, TlsMaterialError, migrations.SchemaOutdated)


class StartRefused(Exception):
    """The gateway cannot start; the text says what to do."""


def serve(config: Path) -> int:
    """Run the gateway until SIGTERM or SIGINT; the exit code. Raises SettingsError and StartRefused before it serves.

    1 when the audit log could not be written any more: what runs next recovers from what is durable.
    """
    settings, participants = load(config, codes=published_codes())
    log = logs.configure(settings.log.level, sys.stdout.buffer)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        try:
            return runner.run(Service(settings, participants, log).run())
        except (*_REFUSALS, ValueError, OSError) as error:
            raise StartRefused(str(error)) from error
        except GatewayError as error:
            raise StartRefused(f"{error.title}: {error.private or error.detail}") from error


class Service:
    """One gateway process. `stop` ends it from outside as a signal does."""

    def __init__(self, settings: Settings, participants: Participants, log: logs.Log) -> None:
        self.settings = settings
        self.participants = participants
        self.log = log
        self.stop = asyncio.Event()
        self.exit_code = 0
        self.started = False

    async def run(self) -> int:
        migrations.check(self.settings.store.url, "store")
        migrations.check(self.settings.audit.url, "audit")
        migrations.check(self.settings.audit.index_url, "index")
        async with open_parts(self.settings, self.participants, self.log) as parts:
            # What a crash left in the outbox goes first, so that records keep their order.
            await parts.recorder.flush()
            await parts.audit.append([record(parts.clock.now(), "service.started")])
            try:
                await self._serve(parts)
            except ExceptionGroup as group:
                if self.started or len(group.exceptions) != 1:
                    raise
                # The group's wrapping says nothing of a start that was refused: a port in use, a bad key file.
                raise group.exceptions[0] from None
        self.log.event("service.stopped", status=self.exit_code)
        return self.exit_code

    async def _serve(self, parts: Parts) -> None:
        async with contextlib.AsyncExitStack() as stack, asyncio.TaskGroup() as tasks:
            flows = build_flows(parts, tasks, stack)
            listeners = build_listeners(
                parts,
                flows,
                started=lambda: self.started,
                serving=lambda: self.started and not self.stop.is_set(),
            )
            for listener in listeners.all:
                await listener.start(tasks)
                self.log.event("listener.started", listener=listener.name, port=listener.port)
            endless = [
                tasks.create_task(parts.metrics.watch_loop()),
                tasks.create_task(parts.tokens.run()),
                tasks.create_task(self._watch(parts)),
            ]
            following = parts.trail.follow(tasks)
            worker = tasks.create_task(flows.worker.run(self.stop))
            loop = asyncio.get_running_loop()
            for number in (signal.SIGTERM, signal.SIGINT):
                loop.add_signal_handler(number, self.stop.set)
            loop.add_signal_handler(signal.SIGHUP, lambda: tasks.create_task(self._reload(parts, listeners)))
            # Start-up's objects live as long as the process: leave them out of every collection.
            gc.collect()
            gc.freeze()
            gc.set_threshold(50_000, 20, 50)
            self._warn_of_stale(stale_lists(self.settings, parts.clock.now()))
            self.started = True
            self.log.event("service.ready")
            await self.stop.wait()
            await self._drain(flows, listeners, worker)
            for task in endless:
                task.cancel()
            with contextlib.suppress(GatewayError):  # the log may be why we stop
                await flows.worker.write_refusals()
                await parts.audit.append([record(parts.clock.now(), "service.stopped")])
            parts.trail.stop.set()  # only now: the last record is published too
            await asyncio.gather(*following)

    async def _drain(self, flows: Flows, listeners: Listeners, worker: asyncio.Task[None]) -> None:
        """Ready is 503 from here on. Requests first, then the worker, then what both started; health to the end."""
        self.log.event("service.draining")
        seconds = self.settings.limits.shutdown_seconds
        # A wait may be longer than a drain: better an answer now than a cut connection; its client waits on elsewhere.
        flows.verifications.end_waits()
        flows.proofs.end_waits()
        flows.notices.end()
        await asyncio.gather(*(listener.drain(seconds) for listener in listeners.all if listener is not listeners.ops))
        await worker
        await flows.verifications.finish_running(seconds)
        await listeners.ops.drain(1.0)

    async def _watch(self, parts: Parts) -> None:
        """Gauges; and when the audit log is dead, the end: a failed sync is never retried in place."""
        for second in itertools.count():
            await asyncio.sleep(WATCH_SECONDS)
            if not parts.trail.log.healthy() and not self.stop.is_set():
                self.log.event("audit.failed", level="error")
                self.exit_code = 1
                self.stop.set()
            for platform_id, platform in parts.roster.platforms.items():
                parts.metrics.breaker_state(platform_id).set(platform.breaker_open())
            if second % COUNT_EVERY == 0:
                with contextlib.suppress(GatewayError):
                    await self._count(parts)

    @staticmethod
    async def _count(parts: Parts) -> None:
        for status, count in (await parts.store.count_open()).items():
            parts.metrics.exchanges_open(status.value).set(count)
        for consent_status, count in (await parts.store.count_consents()).items():
            parts.metrics.consents(consent_status.value).set(count)

    def _warn_of_stale(self, lists: list[str]) -> None:
        for name in lists:
            self.log.event("crl.stale", level="warning", file=name)

    async def _reload(self, parts: Parts, listeners: Listeners) -> None:
        """Participants, revocation lists, certificates: all of them or none. Who is no longer known is cut off."""
        try:
            participants = load_participants(self.settings.participants_file, codes=published_codes())
            fresh = view(self.settings, participants, parts.validators)
            # With the other files: one that breaks while this waits below must not end the process.
            stale = stale_lists(self.settings, parts.clock.now())
            tls: list[tuple[ListenerServer, ServerTlsListener]] = [(listeners.partner, self.settings.partner)]
            if listeners.consent is not None and self.settings.consent is not None:
                tls.append((listeners.consent, self.settings.consent))
            contexts = [(listener, server_context(settings)) for listener, settings in tls]
            bank = server_context(self.settings.bank, self_signed=self_signed(participants))
            tls.append((listeners.bank, self.settings.bank))
            contexts.append((listeners.bank, bank))
            parts.metrics.set_certificates({listener.name: settings.certificate_file for listener, settings in tls})
        except Exception as error:  # whatever is wrong with the new files, the old ones stay
            self.log.failure("reload.refused", error)
            return
        try:
            await parts.audit.append([record(parts.clock.now(), "config.loaded")])
        except GatewayError as error:
            self.log.failure("reload.refused", error)
            return
        self.participants = participants
        parts.roster.view = fresh
        for listener, context in contexts:
            listener.swap_context(context)
            listener.close_connections_where(
                lambda item: fresh.registry.by_certificate(item) is None or fresh.revoked(item)
            )
        self._warn_of_stale(stale)
        self.log.event("reload.done")
