"""One daemon as strict commands see it: questions, and events that are on disk when the call returns."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Final

import msgspec

from flightlog.errors import AppendRefused, Conflict
from flightlog.paths import ingest_socket, query_socket, runtime_dir
from flightlog.query import Connection
from flightlog_schemas.answers import Execution
from flightlog_schemas.events.envelope import Event
from flightlog_schemas.wire.ingest import Busy
from flightlog_schemas.wire.query import Inspect

SILENCE_LIMIT_S: Final = 30.0
"""Longest wait for a daemon that accepts and says nothing, where an answer is due at once."""

ACK_LIMIT_S: Final = 30.0
"""Longest that the daemon may take without any progress, unless it says that it is busy."""


class Daemon:
    """Where commands go. Nothing is connected before it is needed, and nothing stays connected.

    Args:
        runtime_dir: Directory of the daemon's sockets; None looks where `paths.runtime_dir` says.
        on_busy: Called when the daemon keeps what came and waits out a fault, such as a full disk.
    """

    def __init__(
        self,
        runtime_dir: str | os.PathLike[str] | None = None,
        *,
        on_busy: Callable[[Busy], None] | None = None,
    ) -> None:
        self._runtime_dir = None if runtime_dir is None else Path(runtime_dir)
        self._on_busy = on_busy

    @property
    def directory(self) -> Path:
        """The directory that holds the daemon's sockets."""
        return runtime_dir(self._runtime_dir)

    def ask(self, *, patient: bool = False, wait: Callable[[int], None] | None = None) -> Connection:
        """Return a connection for questions.

        Args:
            patient: The answer may take any time.
            wait: As `Connection` takes it.
        """
        return Connection(query_socket(self.directory), None if patient else SILENCE_LIMIT_S, wait)

    def examine(self) -> Connection:
        """Return a connection for how the daemon is: one that is stopped is told soon, and why."""
        from flightlog.prompt import ANSWER_LIMIT_S, Prompt  # here: most commands ask something else

        path = query_socket(self.directory)
        return Connection(path, ANSWER_LIMIT_S, Prompt(path))

    def execution(self, execution_id: str, min_seq: int = 0) -> Execution:
        """Return an execution by its id or the beginning of one.

        Args:
            execution_id: Id or prefix.
            min_seq: Position of the log that the answer must include.

        Raises:
            QueryFailed: there is none, or the prefix fits several.
            DaemonAway: nobody answers.
        """
        with self.ask() as connection:
            return connection.one(Inspect(execution_id=execution_id, min_seq=min_seq), Execution)

    def write(self, *events: Event) -> int:
        """Append events, wait until they are on disk, and return a position that includes them.

        Raises:
            Conflict: an `expect_seq` says that its execution has changed in the meantime.
            AppendRefused: an event was not stored for another reason.
            DaemonAway: nobody listens, or the outcome is unknown.
        """
        from flightlog.append import append  # here, for most commands only ask

        done = append(
            ingest_socket(self.directory),
            map(msgspec.json.encode, events),
            timeout_s=ACK_LIMIT_S,
            on_busy=self._on_busy,
        )
        for reply in done.refused:
            execution_id = events[reply.line - 1].execution_id
            if reply.code == "conflict" and execution_id is not None:
                raise Conflict(execution_id)
        if done.refused:
            raise AppendRefused(done.refused)
        return done.seq
