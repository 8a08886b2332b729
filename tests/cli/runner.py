"""The real `flightlog` in a process of its own."""

import json
import os
import pty
import select
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from support.daemon import clean_environment
from support.forked import DEFAULT_SIGNALS, Forked, copies_wanted, nursery

TIMEOUT_S = 60.0
STRICT = ("-W", "error")
COMMAND = (sys.executable, "-P", *STRICT, "-m", "flightlog")
MODULES = ("flightlog.__main__", "flightlog.cli.run")
"""What flightlog is, and what it reads whatever the verb."""


class Done(NamedTuple):
    """A command that has ended."""

    code: int
    out: str
    err: str

    @property
    def lines(self) -> list[str]:
        """The lines of its stdout."""
        return self.out.splitlines()

    @property
    def rows(self) -> list[list[str]]:
        """The tab-separated values of its stdout."""
        return [line.split("\t") for line in self.lines]

    @property
    def json(self) -> Any:
        """Its stdout as one JSON value."""
        return json.loads(self.out)


class Cli:
    """`flightlog` with one daemon.

    Args:
        runtime_dir: Where that daemon's sockets are.
    """

    def __init__(self, runtime_dir: Path) -> None:
        self.runtime_dir = runtime_dir

    def environment(self, **extra: str) -> dict[str, str]:
        """Return what a command finds in its environment."""
        return clean_environment(FLIGHTLOG_RUNTIME_DIR=str(self.runtime_dir), TZ="UTC", **extra)

    def __call__(
        self, *arguments: str, stdin: bytes = b"", cwd: Path | str = "/", **environment: str
    ) -> Done:
        """Run a command to its end."""
        streams: dict[str, Any] = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
        with launch(arguments, env=self.environment(**environment), cwd=cwd, **streams) as process:
            try:
                out, err = process.communicate(stdin, timeout=TIMEOUT_S)
            except BaseException:
                process.kill()
                raise
        return Done(process.returncode, out.decode(), err.decode())

    def ok(self, *arguments: str, **options: Any) -> Done:
        """Run a command that must succeed."""
        done = self(*arguments, **options)
        assert done.code == 0, done
        return done

    def start(self, *arguments: str) -> subprocess.Popen[bytes]:
        """Start a command whose output is of no interest."""
        streams: dict[str, Any] = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.DEVNULL)
        return launch(arguments, env=self.environment(), cwd="/", **streams)

    @contextmanager
    def running(self, *arguments: str, **environment: str) -> Iterator["Running"]:
        """Start a command; what is left of it at the end is killed."""
        streams: dict[str, Any] = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
        process = launch(arguments, env=self.environment(**environment), cwd="/", **streams)
        with process:
            try:
                yield Running(process)
            finally:
                process.kill()

    def on_terminal(self, *arguments: str, columns: int = 100, **environment: str) -> str:
        """Run a command on a terminal and return what it wrote there."""
        ours, its = pty.openpty()
        process = launch(
            arguments,
            stdin=its,
            stdout=its,
            stderr=its,
            env=self.environment(COLUMNS=str(columns), TERM="xterm", **environment),
            cwd="/",
        )
        os.close(its)
        written = b""
        with process:
            while True:
                try:
                    data = os.read(ours, 65536)
                except OSError:  # EIO: nobody holds the other end any more
                    break
                if not data:
                    break
                written += data
        os.close(ours)
        return written.decode().replace("\r\n", "\n")


def launch(arguments: Sequence[str], *, modules: Sequence[str] = (), **options: Any) -> subprocess.Popen[Any]:
    """Start `flightlog`, as a copy where the test does not want it to begin from nothing.

    Args:
        arguments: Its command line.
        modules: What its verb reads beside what every verb does.
        options: Those of `Popen`.
    """
    if copies_wanted():
        return Forked(nursery(*MODULES, *modules, options=STRICT), arguments, **options)
    return subprocess.Popen([*DEFAULT_SIGNALS, *COMMAND, *arguments], **options)


class Running:
    """A command that runs, and its lines as they come."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self.process = process
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stderr is not None
        self._stdin = process.stdin
        self._stderr = process.stderr
        self._said = b""
        self._stdout = process.stdout

    def send(self, text: str) -> None:
        """Write to its stdin."""
        self._stdin.write(text.encode())
        self._stdin.flush()

    def read(self, count: int) -> bytes:
        """Return that many bytes of its stdout, as soon as they are there."""
        data = b""
        while len(data) < count:
            ready, _, _ = select.select([self._stdout], [], [], TIMEOUT_S)
            assert ready, f"nothing came after {data!r}"
            more = os.read(self._stdout.fileno(), count - len(data))
            assert more, f"stdout ended after {data!r}"
            data += more
        return data

    def line(self) -> str:
        """Return the next line of its stdout, as soon as it is there."""
        data = b""
        while not data.endswith(b"\n"):
            data += self.read(1)
        return data.decode().rstrip("\n")

    def until_said(self, text: str) -> None:
        """Wait until it has said this on stderr."""
        while text.encode() not in self._said:
            ready, _, _ = select.select([self._stderr], [], [], TIMEOUT_S)
            more = os.read(self._stderr.fileno(), 65536) if ready else b""
            assert more, f"{text!r} is not in {self._said!r}"
            self._said += more

    def interrupt(self) -> None:
        """Do what Ctrl-C does."""
        self.process.send_signal(signal.SIGINT)

    def end(self) -> Done:
        """Wait until it ends; what it wrote since the last line is in the answer."""
        out, err = self.process.communicate(timeout=TIMEOUT_S)
        return Done(self.process.returncode, out.decode(), (self._said + err).decode())
