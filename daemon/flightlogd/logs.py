"""The daemon's own log: for a person on a terminal, JSON elsewhere, priorities in the journal."""

import logging
import os
import sys
from typing import Any, TextIO

import msgspec
import structlog

_PRIORITIES = {"debug": b"<7>", "info": b"<6>", "warning": b"<4>", "error": b"<3>", "critical": b"<2>"}
"""syslog(3) severities, as sd-daemon(3) has them at the start of a line."""


def configure_logging(level: str, stream: TextIO = sys.stderr) -> None:
    """Send structlog's entries to `stream` in the form that fits it. May be called again with a new level."""
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    if stream.isatty():
        # No locals in tracebacks anywhere: they hold other people's secrets.
        plain = structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)
        processors, factory = [*shared, plain], structlog.PrintLoggerFactory(stream)
    else:
        transformer = structlog.tracebacks.ExceptionDictTransformer(show_locals=False, max_frames=20)
        processors = [*shared, structlog.processors.ExceptionRenderer(transformer), _render_json]
        if _is_journal(stream):
            processors[-1] = _render_journal
        factory = structlog.BytesLoggerFactory(stream.buffer)  # type: ignore[assignment]
    structlog.configure(
        processors=processors,
        logger_factory=factory,
        wrapper_class=structlog.make_filtering_bound_logger(getattr(logging, level.upper())),
        cache_logger_on_first_use=False,  # a reload changes the level
    )


def _render_json(_logger: object, _method: str, entry: Any) -> bytes:
    return msgspec.json.encode(entry, enc_hook=repr)


def _render_journal(logger: object, method: str, entry: Any) -> bytes:
    return _PRIORITIES.get(entry["level"], b"<6>") + _render_json(logger, method, entry)


def _is_journal(stream: TextIO) -> bool:
    """Say whether the stream is the journal's socket (systemd.exec(5), $JOURNAL_STREAM)."""
    device, _, inode = os.environ.get("JOURNAL_STREAM", "").partition(":")
    try:
        status = os.fstat(stream.fileno())
    except OSError:
        return False
    return (device, inode) == (str(status.st_dev), str(status.st_ino))
