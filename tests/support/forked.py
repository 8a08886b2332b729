"""Daemons that begin as copies of a process which has read all modules already: much faster to start."""

import array
import json
import os
import select
import signal
import socket
import subprocess
import sys
import threading
from contextlib import suppress
from pathlib import Path
from typing import IO, Final

from support.daemon import Daemon, clean_environment

_TESTS: Final = str(Path(__file__).parents[1])
_SERVE: Final = """
import sys
sys.path.insert(0, {tests!r})
from support import forked
forked.serve({fd})
"""
_REQUEST_LIMIT_BYTES: Final = 65536


class Nursery:
    """The process that is copied; a context manager that ends it, and all copies with it."""

    def __init__(self) -> None:
        self._asking = threading.Lock()

    def __enter__(self) -> "Nursery":
        self._socket, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            code = _SERVE.format(tests=_TESTS, fd=theirs.fileno())
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-c", code],
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                env=clean_environment(),
                cwd="/",
            )
        return self

    def __exit__(self, *_exc: object) -> None:
        self._socket.close()
        self._process.wait(30)

    def ask(self, *request: object, fds: tuple[int, ...] = ()) -> int:
        """Have the process do something; return its answer."""
        with self._asking:
            ancillary = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))] if fds else []
            self._socket.sendmsg([json.dumps(request).encode()], ancillary)
            return int(self._socket.recv(64))


class Forked(subprocess.Popen[bytes]):
    """A copy, to be used as any other process; its parent is the one that was copied."""

    def __init__(self, nursery: Nursery, control: Path, argv: list[str], environment: dict[str, str]) -> None:
        self._nursery = nursery
        reading, writing = os.pipe()
        self.stderr: IO[bytes] = os.fdopen(reading, "rb")
        self.stdin = self.stdout = None
        self.args = argv
        self.returncode = None
        try:
            self.pid = nursery.ask("fork", str(control), argv, environment, fds=(writing,))
        finally:
            os.close(writing)
        self._pidfd = os.pidfd_open(self.pid)

    def poll(self) -> int | None:
        """Return its exit code, None while it runs."""
        with suppress(subprocess.TimeoutExpired):
            return self.wait(0)
        return None

    def wait(self, timeout: float | None = None) -> int:
        """Wait until it ends; return its exit code."""
        if self.returncode is None:
            if not select.select([self._pidfd], [], [], timeout)[0]:
                raise subprocess.TimeoutExpired(self.args, timeout or 0)
            self.returncode = self._nursery.ask("reap", self.pid)
            os.close(self._pidfd)
        return self.returncode

    def send_signal(self, sig: int) -> None:
        """Send it a signal, where it still runs."""
        if self.returncode is None:
            signal.pidfd_send_signal(self._pidfd, sig)

    def __del__(self) -> None:
        """Leave out what is done for a child of our own."""


class ForkedDaemon(Daemon):
    """A flightlogd over a disk that fails as `control` says, started by a copy.

    Args:
        nursery: What is copied.
        control: The file by which the test says what fails.
        base: Where its directories are.
        config: Settings by name.
    """

    def __init__(self, nursery: Nursery, control: Path, base: Path, **config: object) -> None:
        super().__init__(base / "state", base / "run", argv=(), **config)
        self._nursery = nursery
        self._control = control

    def _spawn(self, argv: list[str], environment: dict[str, str]) -> subprocess.Popen[bytes]:
        return Forked(self._nursery, self._control, argv, environment)


def serve(fd: int) -> None:
    """Copy this process whenever that is asked for, until nobody can ask any more."""
    import flightlogd.verbs  # noqa: F401  # read before copies are made
    from support import faultvfs  # noqa: F401  # the same

    with socket.socket(fileno=fd) as asked:
        while True:
            content, fds, _, _ = socket.recv_fds(asked, _REQUEST_LIMIT_BYTES, 1)
            if not content:
                return
            what, *arguments = json.loads(content)
            if what == "reap":
                code = os.waitstatus_to_exitcode(os.waitpid(arguments[0], 0)[1])
                asked.send(str(code).encode())
                continue
            pid = os.fork()
            if pid == 0:
                asked.close()
                _become(fds[0], *arguments)
            os.close(fds[0])
            asked.send(str(pid).encode())


def _become(stderr: int, control: str, argv: list[str], environment: dict[str, str]) -> None:
    import ctypes

    from flightlogd.__main__ import main
    from support.faultvfs import Control, FaultyVFS

    pr_set_pdeathsig = 1
    ctypes.CDLL(None).prctl(pr_set_pdeathsig, signal.SIGKILL)
    os.dup2(stderr, 2)
    os.close(stderr)
    os.environ.clear()
    os.environ.update(environment)
    code = 70
    try:
        _vfs = FaultyVFS(Control(Path(control)))  # gone when nobody refers to it
        main(argv)
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:
        sys.excepthook(*sys.exc_info())
    finally:
        sys.stderr.flush()
        os._exit(code)
