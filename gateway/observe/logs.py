"""Structured logs: one JSON object a line, of fields that are on a list. Whatever is not on it does not get out.

Messages of libraries are not written, since they may hold values: of their records remain the logger's name, the
level and the exception's type and place.
"""

from __future__ import annotations

import contextlib
import logging
from types import TracebackType
from typing import Any, BinaryIO, Literal

import orjson
import structlog

Level = Literal["debug", "info", "warning", "error"]
Field = str | int | float | bool | None

FIELDS = frozenset(
    {
        "attempts",
        "checks",
        "code",
        "count",
        "error",
        "exchange",
        "file",
        "index",
        "interaction",
        "listener",
        "location",
        "logger",
        "milliseconds",
        "name",
        "outcome",
        "participant",
        "platform",
        "port",
        "reason",
        "route",
        "seconds",
        "state",
        "status",
        "trace",
        "type",
        "version",
    }
)
"""What may be logged: names, codes, numbers and ids of our own making. No path, query, header, identity or digest."""

TEXT_LENGTH_MAX = 256
OUR_PACKAGES = ("gateway.", "adapters.", "schemas.")
_LEVELS = {"debug": logging.DEBUG, "info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR}


class Log:
    """Where events go. Made by `configure`."""

    __slots__ = ("_bound",)

    def __init__(self, bound: structlog.typing.FilteringBoundLogger) -> None:
        self._bound = bound

    def event(self, name: str, /, *, level: Level = "info", **fields: Field) -> None:
        """Write one line. `name` is a constant in dotted words (`request.done`); fields outside FIELDS are dropped."""
        # A log that cannot be written stops nothing: the audit log is the record.
        with contextlib.suppress(OSError, ValueError):
            self._bound.log(_LEVELS[level], name, **fields)

    def failure(self, name: str, error: BaseException, /, *, level: Level = "error", **fields: Field) -> None:
        """An event with the exception's type and place, never its message."""
        self.event(name, level=level, error=type(error).__name__, location=place(error), **fields)


def configure(level: Level, stream: BinaryIO) -> Log:
    """A log that writes to `stream`, to which the logging of libraries is routed from now on (whole process)."""
    bound: structlog.typing.FilteringBoundLogger = structlog.wrap_logger(
        structlog.BytesLogger(stream),
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True, key="time"),
            _listed_only,
            _render,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(_LEVELS[level]),
        cache_logger_on_first_use=True,
    ).bind()
    log = Log(bound)
    logging.basicConfig(handlers=[_Libraries(log)], level=logging.WARNING, force=True)
    logging.captureWarnings(True)
    logging.raiseExceptions = False  # its report of a broken handler would print the record
    return log


def place(error: BaseException) -> str:
    """`module:line` of the innermost frame that is ours, else of the innermost frame; no path, no local, no value."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    innermost = ours = "unknown"
    trace: TracebackType | None = error.__traceback__
    while trace is not None:
        module = str(trace.tb_frame.f_globals.get("__name__", "unknown"))
        innermost = f"{module}:{trace.tb_lineno}"
        if module.startswith(OUR_PACKAGES):
            ours = innermost
        trace = trace.tb_next
    return ours if ours != "unknown" else innermost


class _Libraries(logging.Handler):
    """Takes what libraries log through `logging`, and keeps what is safe of it."""

    def __init__(self, log: Log) -> None:
        super().__init__(logging.WARNING)
        self._log = log

    def emit(self, record: logging.LogRecord) -> None:
        level: Level = "error" if record.levelno >= logging.ERROR else "warning"
        error = record.exc_info[1] if record.exc_info else None
        if error is None:
            self._log.event("library.message", level=level, logger=record.name)
        else:
            self._log.failure("library.message", error, level=level, logger=record.name)


def _listed_only(_logger: Any, _method: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
    kept: dict[str, Any] = {"time": event["time"], "level": event["level"], "event": event["event"]}
    dropped = 0
    for name, value in event.items():
        if name in kept:
            continue
        if name not in FIELDS or not (value is None or isinstance(value, str | int | float)):
            dropped += 1
        elif isinstance(value, str):
            kept[name] = value[:TEXT_LENGTH_MAX]
        elif value is not None:
            kept[name] = value
    if dropped:
        kept["dropped"] = dropped
    return kept


def _render(_logger: Any, _method: str, event: structlog.typing.EventDict) -> bytes:
    return orjson.dumps(event, default=str)
