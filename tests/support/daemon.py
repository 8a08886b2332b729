"""A real flightlogd in a process of its own, on sockets of its own."""

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import IO, Any, Final

from support.forked import Forked, copies_wanted, nursery

MODULES: Final = ("flightlogd.__main__", "flightlogd.verbs")
"""What flightlogd is, and what it reads at every start."""

START_TIMEOUT_S: Final = 30.0
STOP_TIMEOUT_S: Final = 30.0

_SETPRIV: Final = shutil.which("setpriv")


class StartFailedError(AssertionError):
    """The daemon ended before it was ready, or never became ready.

    Attributes:
        returncode: Its exit code, None where it hung.
        stderr: All that it wrote.
    """

    def __init__(self, returncode: int | None, stderr: str) -> None:
        super().__init__(f"flightlogd did not become ready (exit code {returncode}), it wrote:\n{stderr}")
        self.returncode = returncode
        self.stderr = stderr


def clean_environment(**extra: str) -> dict[str, str]:
    """Return the environment without anything of flightlog's, for tests may themselves be recorded.

    Only the spool stays where the tests have put it.
    """
    inherited = {
        name: value
        for name, value in os.environ.items()
        if (not name.startswith("FLIGHTLOG_") or name == "FLIGHTLOG_SPOOL_DIR")
        and name not in ("TRACEPARENT", "NOTIFY_SOCKET", "LISTEN_FDS")
    }
    return inherited | extra


HOST: Final = "machine"
"""What daemons call the machine: the same on any."""

SUPERVISION: dict[str, str] = {}
"""More of the environment of daemons that are started: what a supervisor would put there."""


class Daemon:
    """One flightlogd; a context manager that kills what is left of it.

    Args:
        state_dir: Where its database is.
        runtime_dir: Where its sockets are; keep it short (a Unix socket's path has 107 bytes).
        argv: More arguments for the command line.
        config: Settings by name, given to it as `FLIGHTLOG_<NAME>`.
    """

    def __init__(
        self, state_dir: Path, runtime_dir: Path, *, argv: Sequence[str] = (), **config: object
    ) -> None:
        self.state_dir = state_dir
        self.runtime_dir = runtime_dir
        self.argv = list(argv)
        self.config = config
        self.clock_shift_us = 0
        """How far its wall clock is from ours, from its next start on."""
        self.variant: Sequence[str] = ()
        """A module of ours whose `main` is run in place of flightlogd's, and arguments for it."""
        self.prefix: list[str] = []
        """A command that runs it, as in another namespace; it begins from nothing then."""
        self._process: subprocess.Popen[bytes] | None = None
        self._reader: threading.Thread | None = None
        self._lines: list[bytes] = []
        self._news = threading.Condition()
        self._stderr_open = False

    @property
    def ingest_socket(self) -> Path:
        """Where producers write."""
        return self.runtime_dir / "ingest.sock"

    @property
    def query_socket(self) -> Path:
        """Where readers ask."""
        return self.runtime_dir / "query.sock"

    @property
    def control_socket(self) -> Path:
        """Where operators govern."""
        return self.runtime_dir / "control.sock"

    @property
    def database(self) -> Path:
        """The database file."""
        return self.state_dir / "flightlog.db"

    @property
    def process(self) -> subprocess.Popen[bytes]:
        """The process of the last start."""
        assert self._process is not None, "the daemon was never started"
        return self._process

    @property
    def pid(self) -> int:
        """Process id of the last start."""
        return self.process.pid

    @property
    def running(self) -> bool:
        """True while the process is there."""
        return self._process is not None and self._process.poll() is None

    @property
    def started(self) -> bool:
        """True once it was started, whatever became of it."""
        return self._process is not None

    @property
    def stderr(self) -> str:
        """All that it has written since its last start."""
        with self._news:
            return b"".join(self._lines).decode(errors="replace")

    @property
    def entries(self) -> list[dict[str, Any]]:
        """The entries of its own log since its last start."""
        with self._news:
            lines = list(self._lines)
        return [entry for line in lines if (entry := _entry(line)) is not None]

    def start(self, *, wait: bool = True) -> "Daemon":
        """Start it and, with `wait`, return once its sockets accept.

        Raises:
            StartFailedError: it ended first, or took longer than START_TIMEOUT_S.
        """
        assert not self.running, "the daemon runs already"
        argv = [*self.argv, "--state-dir", str(self.state_dir), "--runtime-dir", str(self.runtime_dir)]
        settings = SUPERVISION | {"FLIGHTLOG_HOST_NAME": HOST}
        settings |= {f"FLIGHTLOG_{name.upper()}": str(value) for name, value in self.config.items()}
        self._lines = []
        self._stderr_open = True
        self._process = self._spawn(argv, clean_environment(**settings))
        assert self._process.stderr is not None
        self._reader = threading.Thread(
            target=self._read, args=(self._process.stderr, self._lines), name="daemon-stderr", daemon=True
        )
        self._reader.start()
        if wait:
            self.wait_for_entry("ready", timeout_s=START_TIMEOUT_S)
        return self

    def _spawn(self, argv: list[str], environment: dict[str, str]) -> subprocess.Popen[bytes]:
        variant = ("support.shifted", str(self.clock_shift_us)) if self.clock_shift_us else self.variant
        streams = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE}
        options: dict[str, Any] = streams | {"env": environment, "cwd": "/"}
        if variant:
            module, *given = variant
            return Forked(nursery(module, *MODULES), [*given, *argv], **options)
        if copies_wanted() and not self.prefix:
            return Forked(nursery(*MODULES), argv, **options)
        command = [*self.prefix, sys.executable, "-P", "-m", "flightlogd", *argv]
        if _SETPRIV and threading.current_thread() is threading.main_thread():
            # Dies with the tests even when those are killed. The kernel watches the thread that forks.
            command = [_SETPRIV, "--pdeathsig", "KILL", *command]
        return subprocess.Popen(command, **options)

    def _read(self, stream: IO[bytes], lines: list[bytes]) -> None:
        with stream:
            for line in stream:
                with self._news:
                    lines.append(line)
                    self._news.notify_all()
        with self._news:
            self._stderr_open = False
            self._news.notify_all()

    def wait_for_entry(
        self,
        event: str,
        *,
        where: Callable[[dict[str, Any]], bool] = lambda _: True,
        timeout_s: float = STOP_TIMEOUT_S,
    ) -> dict[str, Any]:
        """Return the first entry of its log with this `event` for which `where` is true.

        Raises:
            StartFailedError: its log ended, or the time was up, without such an entry.
        """
        found: list[dict[str, Any]] = []
        seen = 0

        def arrived() -> bool:
            nonlocal seen
            while seen < len(self._lines) and not found:
                entry = _entry(self._lines[seen])
                seen += 1
                if entry is not None and entry.get("event") == event and where(entry):
                    found.append(entry)
            return bool(found) or not self._stderr_open

        with self._news:
            self._news.wait_for(arrived, timeout_s)
        if not found:
            code = self.process.wait(STOP_TIMEOUT_S) if not self._stderr_open else None
            raise StartFailedError(code, self.stderr)
        return found[0]

    def signal(self, number: signal.Signals) -> None:
        """Send it a signal."""
        self.process.send_signal(number)

    def kill(self) -> None:
        """End it with SIGKILL and wait until it is gone."""
        self.process.kill()
        self._gone()

    def terminate(self) -> int:
        """Ask it to stop with SIGTERM, wait, and return its exit code."""
        self.process.terminate()
        return self._gone()

    def wait(self, timeout_s: float = STOP_TIMEOUT_S) -> int:
        """Wait until it ends by itself; return its exit code."""
        return self._gone(timeout_s)

    def _gone(self, timeout_s: float = STOP_TIMEOUT_S) -> int:
        try:
            code = self.process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"flightlogd did not end within {timeout_s} s:\n{self.stderr}") from None
        if self._reader is not None:
            self._reader.join(timeout_s)
        return code

    def restart(self) -> "Daemon":
        """Stop it in good order where it runs, and start it again."""
        if self.running:
            self.terminate()
        return self.start()

    def close(self) -> None:
        """Kill what runs and give back what was opened."""
        if self.running:
            # A stopped process takes the signal, too.
            self.process.kill()
        if self._process is not None:
            self._gone()

    def __enter__(self) -> "Daemon":
        return self

    def __exit__(self, *_exc: object) -> None:
        self.close()


DaemonFactory = Callable[..., Daemon]
"""What the fixture `daemon_factory` gives: settings to a daemon that is ready."""


def run_flightlogd(
    *arguments: str, stdin: bytes = b"", **environment: str
) -> subprocess.CompletedProcess[str]:
    """Run `flightlogd ARGUMENTS` to its end (at most a minute); return exit code, output and errors."""
    streams = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
    options: dict[str, Any] = streams | {"env": clean_environment(**environment), "cwd": "/"}
    program: subprocess.Popen[bytes]
    if copies_wanted():
        program = Forked(nursery(*MODULES), arguments, **options)
    else:
        program = subprocess.Popen([sys.executable, "-P", "-m", "flightlogd", *arguments], **options)
    try:
        out, err = program.communicate(stdin, timeout=60)
    finally:
        program.kill()
    return subprocess.CompletedProcess(arguments, program.returncode, out.decode(), err.decode())


def _entry(line: bytes) -> dict[str, Any] | None:
    try:
        entry = json.loads(line)
    except ValueError:
        return None
    return entry if isinstance(entry, dict) else None
