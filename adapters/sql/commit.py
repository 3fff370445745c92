"""Group commit: one thread with one connection runs all waiting jobs in one transaction and commits once.

A job is acknowledged after the commit that holds it. What a killed process leaves: before the commit nothing of the
batch; after it all of the batch, though nobody was told. So callers repeat with the same ids, and jobs are idempotent.
"""

from __future__ import annotations

import asyncio
import queue
import threading
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import SQLAlchemyError

from adapters.sql.engine import lock_timed_out
from gateway.errors import GatewayError

Job = TypeVar("Job")
Result = TypeVar("Result")

Execute = Callable[[Connection, Sequence[Job]], "Sequence[Result | Exception]"]
"""Runs a batch inside the open transaction: one result each. An exception in the answer is that job's own refusal,
and the job has written nothing; an exception that is raised undoes the whole batch."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Waiting(Generic[Job, Result]):
    job: Job
    weight: int
    future: asyncio.Future[Result]


class _Unusable(Exception):
    """No connection, or a commit that failed."""


class NotBegun(Exception):
    """Raised by an `Execute` whose first statement failed: nothing was sent before that could have been written."""


class GroupCommit(Generic[Job, Result]):
    """Used from one event loop. `full` and `unavailable` are the errors that callers get.

    `fatal`: the first failure is the last; every later job is refused and nothing is tried again. Waiting in vain for a
    lock is none: nothing was written then, and another process that pauses must not end this one. Nor is a connection
    that was cut while it was idle, when it can be made anew at once.
    """

    def __init__(
        self,
        engine: Engine,
        execute: Execute[Job, Result],
        *,
        name: str,
        queue_max: int,
        batch_max: int,
        full: type[GatewayError],
        unavailable: type[GatewayError],
        fatal: bool = False,
    ) -> None:
        self._engine = engine
        # Jobs may go to the driver without SQLAlchemy between (see `prepared`).
        self._troubles: tuple[type[Exception], ...] = (SQLAlchemyError, engine.dialect.loaded_dbapi.Error)
        self._execute = execute
        self._queue_max = queue_max
        self._batch_max = batch_max
        self._full = full
        self._unavailable = unavailable
        self._fatal = fatal
        self._name = name
        # The loop's side.
        self._thread: threading.Thread | None = None
        self._tick: list[_Waiting[Job, Result]] = []
        self._weight = 0
        self._closing = False
        # Between the two: whole ticks go over, and None at the end.
        self._queue: queue.SimpleQueue[list[_Waiting[Job, Result]] | None] = queue.SimpleQueue()
        # The thread's side; `_usable` and `_dead` are read from the loop too.
        self._usable = True
        self._dead = False
        self._connection: Connection | None = None

    async def run(self, job: Job, *, weight: int = 1) -> Result:
        """The job's result once it is durable. A caller that is cancelled leaves its job to be done all the same.

        Raises the job's own refusal, `full` at once, or `unavailable` (the outcome is then unknown).
        """
        if self._dead or self._closing:
            raise self._unavailable()
        if self._weight + weight > self._queue_max:
            raise self._full()
        loop = asyncio.get_running_loop()
        if self._thread is None:
            self._thread = threading.Thread(target=self._work, args=(loop,), name=self._name, daemon=True)
            self._thread.start()
        if not self._tick:
            # One hand-over for all callers of this turn of the loop: fewer wake-ups, larger batches.
            loop.call_soon(self._hand_over)
        waiting: _Waiting[Job, Result] = _Waiting(job=job, weight=weight, future=loop.create_future())
        self._tick.append(waiting)
        self._weight += weight
        return await waiting.future

    def healthy(self) -> bool:
        """False when the last transaction failed for want of the database; where that is fatal, for ever."""
        return self._usable and not self._dead and not self._closing

    async def close(self) -> None:
        """Refuses new jobs, finishes the waiting ones, and gives the connection back."""
        self._closing = True
        self._hand_over()
        self._queue.put(None)
        if self._thread is not None:
            await asyncio.to_thread(self._thread.join)

    def _hand_over(self) -> None:
        if self._tick:
            self._queue.put(self._tick)
            self._tick = []

    def _settle(self, batch: Sequence[_Waiting[Job, Result]], outcomes: Sequence[Result | Exception]) -> None:
        for waiting, outcome in zip(batch, outcomes, strict=True):
            self._weight -= waiting.weight
            if waiting.future.done():
                continue  # its caller was cancelled
            if isinstance(outcome, Exception):
                waiting.future.set_exception(outcome)
            else:
                waiting.future.set_result(outcome)

    # --- in the thread ------------------------------------------------------------------------------------------

    def _work(self, loop: asyncio.AbstractEventLoop) -> None:
        backlog: deque[_Waiting[Job, Result]] = deque()
        open_ = True
        while open_ or backlog:
            while open_ and not (backlog and self._queue.empty()):
                tick = self._queue.get()
                if tick is None:
                    open_ = False
                else:
                    backlog.extend(tick)
            if backlog:
                batch = self._next_batch(backlog)
                outcomes = self._serve(batch)
                try:
                    loop.call_soon_threadsafe(self._settle, batch, outcomes)
                except RuntimeError:
                    break  # the loop was closed: nobody waits any more
        self._disconnect()

    def _next_batch(self, backlog: deque[_Waiting[Job, Result]]) -> list[_Waiting[Job, Result]]:
        """The oldest jobs, up to `batch_max` by weight; at least one."""
        batch: list[_Waiting[Job, Result]] = []
        weight = 0
        while backlog and (not batch or weight + backlog[0].weight <= self._batch_max):
            weight += backlog[0].weight
            batch.append(backlog.popleft())
        return batch

    def _serve(self, batch: Sequence[_Waiting[Job, Result]]) -> list[Result | Exception]:
        if self._dead:
            return self._refused(batch, None)
        try:
            return list(self._transact([waiting.job for waiting in batch]))
        except _Unusable as error:
            return self._refused(batch, error)
        except Exception as error:
            if self._fatal:
                return self._refused(batch, error)
        # The batch was rolled back. Each job alone: one that fails does not fail its neighbours, and what failed
        # for a passing reason (a key that another replica took, a lost connection) gets its second try.
        outcomes: list[Result | Exception] = []
        for position, waiting in enumerate(batch):
            try:
                outcomes.extend(self._transact([waiting.job]))
            except _Unusable as error:
                return outcomes + self._refused(batch[position:], error)
            except self._troubles as error:
                outcomes.extend(self._refused([waiting], error))
            except Exception as error:
                outcomes.append(error)
        return outcomes

    def _transact(self, jobs: Sequence[Job], *, anew: bool = True) -> Sequence[Result | Exception]:
        """`anew`: on another connection, should this one have been cut since the last transaction."""
        connection = self._connected()
        try:
            transaction = connection.begin()
        except SQLAlchemyError as error:
            self._disconnect()
            raise _Unusable from error
        try:
            outcomes = self._execute(connection, jobs)
        except NotBegun:
            self._roll_back(connection)
            if self._connection is not None or not anew:
                raise
            return self._transact(jobs, anew=False)
        except Exception:
            self._roll_back(connection)
            raise
        try:
            transaction.commit()
        except Exception as error:
            # A failed sync may have lost pages that a second one would report as written, and a lost connection
            # leaves the outcome unknown. Neither is tried again here: the callers repeat, with the same ids.
            self._disconnect()
            raise _Unusable from error
        self._usable = True
        return outcomes

    def _connected(self) -> Connection:
        if self._connection is None:
            try:
                self._connection = self._engine.connect()
            except Exception as error:
                raise _Unusable from error
        return self._connection

    def _roll_back(self, connection: Connection) -> None:
        try:
            connection.rollback()
        except SQLAlchemyError:
            self._disconnect()
            return
        if connection.invalidated:
            self._disconnect()

    def _disconnect(self) -> None:
        connection, self._connection = self._connection, None
        if connection is None:
            return
        try:
            connection.invalidate()
            connection.close()
        except SQLAlchemyError:
            return  # it is given up anyway

    def _refused(self, batch: Sequence[_Waiting[Job, Result]], cause: Exception | None) -> list[Result | Exception]:
        if not self._fatal:
            self._usable = False
        elif not lock_timed_out(cause):
            self._dead = True
        refusals: list[Result | Exception] = []
        for _waiting in batch:
            refusal = self._unavailable(private=type(cause.__cause__ or cause).__name__ if cause else "")
            refusal.__cause__ = cause
            refusals.append(refusal)
        return refusals
