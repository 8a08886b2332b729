"""PostgreSQL with its default settings, which keep its word: a table with an index by execution."""

import os
import shutil
import socket
import struct
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from bench.contestant import Following, SkippedError, connect_unix, ping_pong, pump, share
from bench.servers import end, wait_for_socket
from bench.workload import execution_of

_TABLE = """
create table event (
    seq bigserial primary key,
    received timestamptz not null default clock_timestamp(),
    execution_id text not null,
    line text not null
);
create index event_of_execution on event (execution_id, seq);
create function tell() returns trigger language plpgsql as $$ begin notify grown; return null; end $$;
create trigger told after insert on event for each statement execute function tell();
alter table event disable trigger told
"""
_INSERT = "insert into event (execution_id, line) values ($1, $2)"
_LAST = """
select line from (
    select seq, line from event where execution_id = $1 order by seq desc limit 100
) as last order by seq
"""
_AFTER = "select seq, line from event where seq > $1::bigint order by seq"
_PROTOCOL = 3 << 16


class RefusedError(Exception):
    """PostgreSQL said no; the text is what it said."""


class PostgreSQL:
    """A server of its own, asked over a Unix socket; requests are encoded before the clock starts.

    Args:
        directory: Where its files and its socket go.

    Raises:
        SkippedError: it is not installed, or cannot be set up.
    """

    name = "PostgreSQL, COPY and INSERT"
    settings = "defaults: fsync and synchronous_commit on; a trigger that notifies while a tail is measured"

    def __init__(self, directory: Path) -> None:
        binaries = sorted(Path("/usr/lib/postgresql").glob("*/bin"))
        if not binaries:
            raise SkippedError("postgresql is not installed (make bench-peers)")
        home = directory / "postgres"
        home.mkdir()
        self.files = home / "data"
        as_user: list[str] = []
        if os.geteuid() == 0:
            # It does not run as root; Debian's package brings a user.
            as_user = ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups"]
            directory.chmod(0o711)
            shutil.chown(home, "postgres", "postgres")
        made = subprocess.run(
            [*as_user, str(binaries[-1] / "initdb"), "-D", str(self.files), "-U", "postgres", "-E", "UTF8"],
            capture_output=True,
            check=False,
            cwd="/",
        )
        if made.returncode:
            raise SkippedError(f"initdb: {made.stderr.decode().strip()}")
        self._path = home / ".s.PGSQL.5432"
        self._process = subprocess.Popen(
            [
                *(*as_user, str(binaries[-1] / "postgres"), "-D", str(self.files)),
                *("-k", str(home), "-c", "listen_addresses="),
            ],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd="/",
        )
        wait_for_socket(self._path, self._process)
        with self._connect() as sock:
            _command(sock, _TABLE)

    def bulk(self, batches: list[list[bytes]]) -> float:
        """Copy each batch in one transaction; return lines a second until the last one was committed."""
        blocks = [(_copy(batch), len(batch)) for batch in batches]
        acked, rest = 0, b""

        def count(data: bytes) -> int:
            nonlocal acked, rest
            *messages, rest = _messages(rest + data)
            for message in messages:
                if message.startswith(b"C"):
                    acked += int(message[10:-1])  # "COPY 500" and a zero
            return acked

        with self._connect() as sock:
            return sum(map(len, batches)) / pump(sock, blocks, count)

    def single(self, lines: list[bytes], connections: int) -> tuple[float, list[float]]:
        """Insert lines one by one over that many connections; return the rate and each wait in seconds."""
        socks = [self._prepared(_INSERT) for _ in range(connections)]
        shares = share([_run(execution_of(line), line[:-1]) for line in lines], connections)
        try:
            return ping_pong(list(zip(socks, shares, strict=True)), _is_ready)
        finally:
            for sock in socks:
                sock.close()

    @contextmanager
    def following(self) -> Iterator[Following]:
        """Give what inserts lines, and a follower that selects when it is notified."""
        with self._connect() as sock:
            _command(sock, "alter table event enable trigger told")
        try:
            with self._prepared(_INSERT) as writer, self._connect() as reader:
                _command(reader, "listen grown")
                [[last]] = _rows(_command(reader, "select coalesce(max(seq), 0) from event"))
                _prepare(reader, _AFTER)
                yield Following(
                    writer, lambda line: _run(execution_of(line), line[:-1]), _Notified(reader, last)
                )
        finally:
            with self._connect() as sock:
                _command(sock, "alter table event disable trigger told")

    @contextmanager
    def asking(self) -> Iterator[Callable[[bytes], int]]:
        """Give a function that reads the last 100 lines of an execution and says how many came."""
        with self._prepared(_LAST) as sock:

            def ask(execution_id: bytes) -> int:
                sock.sendall(_run(execution_id))
                return len(_rows(_until_ready(sock)))

            yield ask

    def close(self) -> None:
        """Stop the server."""
        end(self._process)

    def _connect(self) -> socket.socket:
        """Return a connection; its socket is there a moment before the server takes anybody."""
        body = struct.pack("!I", _PROTOCOL) + b"user\0postgres\0database\0postgres\0\0"
        for _ in range(1000):
            sock = connect_unix(self._path)
            sock.sendall(struct.pack("!I", len(body) + 4) + body)
            try:
                _until_ready(sock)
            except (ConnectionError, RefusedError):
                sock.close()
                time.sleep(0.01)
            else:
                return sock
        raise RuntimeError("PostgreSQL takes no connection")

    def _prepared(self, statement: str) -> socket.socket:
        """Return a connection that knows one statement by heart."""
        sock = self._connect()
        _prepare(sock, statement)
        return sock


class _Notified:
    """A follower that is told that the table grew, and selects what is new."""

    def __init__(self, sock: socket.socket, last: bytes) -> None:
        self.sock = sock
        self._last = last

    def take(self) -> int:
        """Read what is new; return how many lines."""
        self.sock.recv(65536)
        count, told = 0, True
        while told:
            self.sock.sendall(_run(self._last))
            messages = _until_ready(self.sock)
            rows = _rows(messages)
            if rows:
                self._last = rows[-1][0]
            count += len(rows)
            # What was said meanwhile may be of rows that were not there yet.
            told = any(message.startswith(b"A") for message in messages)
        return count


def _message(kind: bytes, body: bytes) -> bytes:
    """Return a message of PostgreSQL's own protocol, version 3."""
    return kind + struct.pack("!I", len(body) + 4) + body


def _run(*values: bytes) -> bytes:
    """Return the request that runs the prepared statement with values, given and returned as text."""
    bound = b"".join(struct.pack("!I", len(value)) + value for value in values)
    return (
        _message(b"B", b"\0\0\0\0" + struct.pack("!H", len(values)) + bound + b"\0\0")
        + _message(b"E", b"\0" + b"\0\0\0\0")
        + _message(b"S", b"")
    )


def _copy(batch: list[bytes]) -> bytes:
    """Return a batch as one COPY; what it asks and what it sends may go out together."""
    rows = b"".join(b"%s\t%s\n" % (execution_of(line), line[:-1].replace(b"\\", b"\\\\")) for line in batch)
    return (
        _message(b"Q", b"copy event (execution_id, line) from stdin\0")
        + _message(b"d", rows)
        + _message(b"c", b"")
    )


def _prepare(sock: socket.socket, statement: str) -> None:
    """Make a statement known; a command forgets it."""
    sock.sendall(_message(b"P", b"\0%s\0\0\0" % statement.encode()) + _message(b"S", b""))
    _until_ready(sock)


def _command(sock: socket.socket, sql: str) -> list[bytes]:
    sock.sendall(_message(b"Q", sql.encode() + b"\0"))
    return _until_ready(sock)


def _is_ready(data: bytes) -> bool:
    return data.endswith(b"Z\0\0\0\5I")


def _until_ready(sock: socket.socket) -> list[bytes]:
    """Return the messages up to the one that says that the server waits for the next request."""
    rest = b""
    messages: list[bytes] = []
    while rest or not any(message.startswith(b"Z") for message in messages):
        more = sock.recv(1024 * 1024)
        if not more:
            raise ConnectionError("PostgreSQL closed the connection")
        *whole, rest = _messages(rest + more)
        messages += whole
    return messages


def _messages(data: bytes) -> list[bytes]:
    """Return whole messages, and at the end what is left of one.

    Raises:
        RefusedError: one of them is an error.
    """
    messages = []
    start = 0
    while len(data) - start >= 5:
        stop = start + 1 + int.from_bytes(data[start + 1 : start + 5], "big")
        if stop > len(data):
            break
        messages.append(data[start:stop])
        start = stop
        if messages[-1][:1] == b"E":
            raise RefusedError(messages[-1].decode(errors="replace"))
    return [*messages, data[start:]]


def _rows(messages: list[bytes]) -> list[list[bytes]]:
    """Return the rows among messages, each as its values."""
    rows = []
    for message in messages:
        if message[:1] == b"D":
            values, at = [], 7
            while at < len(message):
                size = int.from_bytes(message[at : at + 4], "big")
                values.append(message[at + 4 : at + 4 + size])
                at += 4 + size
            rows.append(values)
    return rows
