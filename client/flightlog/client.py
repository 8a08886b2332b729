"""What a program emits with: executions, log lines and events, delivered by a thread of its own."""

import os
from collections.abc import Mapping
from typing import Any, Final, Unpack

import msgspec
from msgspec import Struct

from flightlog import context, guard
from flightlog.clock import now_us
from flightlog.encode import encode_line
from flightlog.executions import Announcement, Execution
from flightlog.producer import Producer, Settings
from flightlog.scope import Scope
from flightlog_schemas.events.envelope import Event

LEAST_BUFFER_BYTES: Final = 16 * 1024
"""Smallest buffer: room for a declaration of drops and an ending whatever else is held."""


class Statistics(Struct, frozen=True, kw_only=True):
    """How a client stands, since its producer began.

    Attributes:
        producer: The producer's id in the log.
        lines: Events taken in.
        acked: Those of them that are settled: on disk, or refused.
        refused: Those that the daemon refused.
        dropped: Events left out, beside `lines`.
        held_bytes: Bytes held in memory for lines that are not settled.
        spooled_lines: Lines that are not settled and wait on disk.
        spooled_bytes: Size of the file in which they do.
        connected: Whether the daemon answers at the moment.
    """

    producer: str
    lines: int
    acked: int
    refused: int
    dropped: int
    held_bytes: int
    spooled_lines: int
    spooled_bytes: int
    connected: bool


class Client:
    """Emits to one daemon. Safe for threads; nothing but `flush` and `close` ever waits.

    No daemon is needed: what fits the buffer and the spool on disk is kept and delivered later, by this
    process or another one of this user's; the rest is counted, and the program goes on. After a fork the
    child begins anew as a producer of its own, with nothing of the parent's.

    Args:
        runtime_dir: Directory of the daemon's sockets; None looks where `paths.runtime_dir` says, anew at
            every connection.
        buffer_limit_bytes: Most bytes held in memory, those included that were sent and are not acked.
        flush_lines: Send when this many lines wait; where they come fast, about 10 ms later.
        flush_interval_s: Send at the latest this many seconds after a line was emitted.
        exit_timeout_s: Longest that the end of the program waits for the daemon, in seconds; shorter where
            nothing moves and there is a spool.
        spool: The directory in which lines wait on disk while the daemon is away or slow; True for the one
            that `paths.spool_dir` says, None for that one unless $FLIGHTLOG_SPOOL is off, False for none.
        spool_limit_bytes: Most bytes of this client's there.
        spool_total_limit_bytes: Most bytes of all programs' there, about: each looks before it writes.

    Raises:
        ValueError: a limit that cannot work.
    """

    def __init__(
        self,
        runtime_dir: str | os.PathLike[str] | None = None,
        *,
        buffer_limit_bytes: int = 8 * 1024 * 1024,
        flush_lines: int = 100,
        flush_interval_s: float = 1.0,
        exit_timeout_s: float = 2.0,
        spool: bool | str | os.PathLike[str] | None = None,
        spool_limit_bytes: int = 64 * 1024 * 1024,
        spool_total_limit_bytes: int = 256 * 1024 * 1024,
    ) -> None:
        if buffer_limit_bytes < LEAST_BUFFER_BYTES:
            raise ValueError(f"buffer_limit_bytes: at least {LEAST_BUFFER_BYTES}, got {buffer_limit_bytes}")
        if flush_lines < 1 or flush_interval_s < 0 or exit_timeout_s < 0:
            raise ValueError("flush_lines is at least 1, times are not negative")
        if spool_limit_bytes < 0 or spool_total_limit_bytes < 0:
            raise ValueError("limits of the spool are not negative")
        self._settings = Settings(
            runtime_dir=None if runtime_dir is None else os.fspath(runtime_dir),
            buffer_limit_bytes=buffer_limit_bytes,
            flush_lines=flush_lines,
            flush_interval_s=flush_interval_s,
            exit_timeout_s=exit_timeout_s,
            spool=spool if spool is None or isinstance(spool, bool) else os.fspath(spool),
            spool_limit_bytes=spool_limit_bytes,
            spool_total_limit_bytes=spool_total_limit_bytes,
        )
        self.producer = Producer(self._settings)
        self._open: dict[str, Execution] = {}
        guard.watch(self)

    def execution(self, name: str | None = None, **announcement: Unpack[Announcement]) -> Execution:
        """Return an execution to be entered with `with`, or to be started and ended by hand.

        Args:
            name: What it is called.
            **announcement: What else is known of it: see `Announcement`.
        """
        return Execution(self, name, announcement)

    def adopt(self, execution_id: str) -> Execution:
        """Take over an execution: from now on it is this process that ends it, and whose end is its end.

        The execution that is returned runs already: end it by hand, or enter it with `with`. That its old
        owner dies no longer matters. Where it has ended already, or never was, nothing happens but that the
        audit trail shows it.

        Args:
            execution_id: Its whole id.
        """
        from flightlog.adoption import AdoptedExecution  # here, because most programs begin what they end

        return AdoptedExecution(self, execution_id).start()

    def log(
        self,
        message: object,
        level: object = "INFO",
        *,
        execution_id: str | None = None,
        source: str | None = None,
        agent_id: str | None = None,
        fields: dict[str, Any] | None = None,
    ) -> None:
        """Write one log line to an execution: the one named, or the current one.

        The current one is that of the `with` block around, also in asynchronous tasks; in a thread outside of
        any, the only execution that this process has open; else the one, and the task of it, that the process
        was started inside.
        A line that belongs to none is dropped, counted and declared.

        Args:
            message: The text; what is no string is written as `str` says.
            level: A name in any case or an OpenTelemetry number 1..24; anything else is read as INFO.
            execution_id: The execution, if not the current one.
            source: What wrote it, such as a module's name.
            agent_id: Which agent of the execution.
            fields: Structured data beside the text; what JSON cannot say is written as its text.
        """
        scope = self.scope() if execution_id is None else Scope(self, execution_id, None)
        if scope is None:
            self.producer.drop("no_execution", level)
        else:
            scope.log(message, level, source=source, agent_id=agent_id, fields=fields)

    def emit(self, event: Event | Mapping[str, object]) -> None:
        """Write any event. It gets the time of now if it has none; nothing else is added.

        Args:
            event: One of `flightlog_schemas.events`, or a mapping with at least a `type`.
        """
        stamped: Event | Mapping[str, object]
        if isinstance(event, Event):
            stamped = msgspec.structs.replace(event, time=now_us()) if event.time is None else event
        else:
            stamped = {"time": now_us(), **event}
        line = encode_line(stamped)
        if line is None:
            self.producer.drop("unencodable")
        else:
            self.producer.put(line)

    def flush(self, timeout_s: float = 5.0) -> bool:
        """Wait until everything emitted before is on disk and readable.

        Args:
            timeout_s: Longest wait in seconds; while no daemon answers, it is looked for all that time.

        Returns:
            False when the time ran out first. What is left is kept and delivered later.
        """
        return self.producer.flush(timeout_s)

    def close(self, timeout_s: float | None = None) -> bool:
        """Deliver what is left, say goodbye and disconnect. Emitting after that begins a new producer.

        Args:
            timeout_s: Longest wait in seconds; default: the client's `exit_timeout_s`. A daemon that never
                answered is tried once more and not waited for.

        Returns:
            False when not everything reached the daemon. What is in the spool is delivered later; stderr says
            how much that is, or how much is lost.
        """
        producer, self.producer = self.producer, Producer(self._settings)
        return producer.close(self._settings.exit_timeout_s if timeout_s is None else timeout_s)

    def statistics(self) -> Statistics:
        """Return how the client stands at this moment."""
        producer = self.producer
        with producer.lock:
            return Statistics(
                producer=producer.id,
                lines=producer.outbox.last_line,
                acked=producer.outbox.acked,
                refused=producer.refused,
                dropped=producer.outbox.dropped,
                held_bytes=producer.outbox.held_bytes,
                spooled_lines=producer.outbox.spooled_lines,
                spooled_bytes=producer.spooled_bytes,
                connected=producer.connected,
            )

    def put_now(self, event: Event) -> None:
        """Emit an event that tells how an execution or a task fares, and have it sent at once."""
        line = encode_line(event)
        if line is None:
            self.producer.drop("unencodable")
        else:
            self.producer.put_now(line, event.execution_id)

    def opened(self, execution: Execution) -> None:
        """Note that this process has to end an execution."""
        self._open[execution.execution_id] = execution

    def closed(self, execution: Execution) -> None:
        """Note that an execution was ended."""
        self._open.pop(execution.execution_id, None)

    def cancel_open(self, reason: str) -> None:
        """End what is still open, innermost first, because the process is about to be ended."""
        for execution in reversed(list(self._open.values())):
            execution.end("cancelled", reason=reason)

    def begin_anew(self) -> None:
        """In a forked child: own nothing of the parent's, and be a producer of its own."""
        self.producer = Producer(self._settings)
        self._open = {}

    def scope(self) -> Scope | None:
        """Return what the caller is in, as `log` finds it; None where that is nothing."""
        scope = context.get_current()
        if scope is not None:
            return scope
        executions = list(self._open.values())
        mine = {execution.execution_id for execution in executions}
        roots = [execution for execution in executions if execution.parent_id not in mine]
        if len(roots) == 1:
            return roots[0]
        inherited = context.inherited_execution_id()
        return None if inherited is None else Scope(self, inherited, context.inherited_task_id(inherited))
