"""Programs that begin as copies of a process which has read their modules already: much faster to start.

A copy is a process of its own, on sockets and files of its own; only reading modules is behind it. What is
about that, or about how Python itself was called, starts programs from nothing (the marker `from_nothing`).
"""

import array
import atexit
import ctypes
import gc
import importlib
import json
import os
import select
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import Any, Final

_TESTS: Final = str(Path(__file__).parents[1])
_SERVE: Final = """
import sys
sys.path.insert(0, {tests!r})
from support.forked import serve
main = serve({fd}, {modules!r})
if main is not None:
    main()
"""
_REQUEST_LIMIT_BYTES: Final = 1 << 17
_PR_SET_PDEATHSIG: Final = 1

# Whatever started the tests may have told them to ignore signals, and they are passed on.
DEFAULT_SIGNALS: Final = ("env", "--default-signal=INT,QUIT,HUP,TERM,USR1")


_wanted = True


def copies_wanted() -> bool:
    """Say whether programs are to be started as copies."""
    return _wanted


@contextmanager
def from_nothing() -> Iterator[None]:
    """Have programs start from nothing for a while."""
    global _wanted
    before, _wanted = _wanted, False
    try:
        yield
    finally:
        _wanted = before


class Nursery:
    """A process that is copied; it ends, and all copies with it, when this one does.

    Args:
        modules: What it reads; copies run `main` of the first.
        options: Python's own.
    """

    def __init__(self, *modules: str, options: Sequence[str] = ()) -> None:
        self._asking = threading.Lock()
        self._socket, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            code = _SERVE.format(tests=_TESTS, fd=theirs.fileno(), modules=modules)
            self._process = subprocess.Popen(
                [*DEFAULT_SIGNALS, sys.executable, "-P", *options, "-c", code],
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                cwd="/",
            )
        atexit.register(self._end)

    def ask(self, *request: object, fds: Sequence[int] = ()) -> int:
        """Have the process do something; return its answer."""
        with self._asking:
            ancillary = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))] if fds else []
            self._socket.sendmsg([json.dumps(request).encode()], ancillary)
            return int(self._socket.recv(64))

    def _end(self) -> None:
        self._socket.close()
        self._process.wait(30)


@cache
def nursery(*modules: str, options: Sequence[str] = ()) -> Nursery:
    """Return the process that was started so, the same whenever it is asked for."""
    return Nursery(*modules, options=options)


class Forked(subprocess.Popen[Any]):
    """A copy, to be used as any other process; its parent is the one that was copied.

    Args:
        nursery: What is copied.
        args: What its `main` finds on its command line.
        options: Those of `Popen` that are about streams, environment and working directory.
    """

    def __init__(self, nursery: Nursery, args: Sequence[str], **options: Any) -> None:
        self._nursery = nursery
        self._pidfd = -1
        self._reaping = threading.Lock()
        super().__init__(args, **options)

    def _execute_child(
        self,
        args: Sequence[str],
        _executable: None,
        _preexec_fn: None,
        _close_fds: bool,
        _pass_fds: tuple[int, ...],
        cwd: str | os.PathLike[str] | None,
        env: Mapping[str, str] | None,
        _startupinfo: None,
        _creationflags: int,
        _shell: bool,
        *rest: int,
    ) -> None:
        """Do what `Popen` does by fork and exec, which keeps all the rest of it."""
        pipes = rest[:6]
        streams = (pipes[0], pipes[3], pipes[5])
        environment = dict(os.environ if env is None else env)
        try:
            self.pid = self._nursery.ask(
                "fork",
                list(args),
                environment,
                os.path.abspath(cwd or "."),  # noqa: PTH100  # where a link leads is not asked
                fds=[number if fd == -1 else fd for number, fd in enumerate(streams)],
            )
        finally:
            self._close_pipe_fds(*pipes)  # type: ignore[attr-defined]  # the standard library's own
        self._child_created = True
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
            with self._reaping:
                if self.returncode is None:  # several threads may wait
                    self.returncode = self._nursery.ask("reap", self.pid)
        return self.returncode

    def send_signal(self, sig: int) -> None:
        """Send it a signal, where it still runs."""
        with suppress(ProcessLookupError):
            signal.pidfd_send_signal(self._pidfd, sig)

    def __del__(self) -> None:
        """Leave out what is done for a child of our own."""
        if self._pidfd >= 0:
            os.close(self._pidfd)


def serve(fd: int, modules: Sequence[str]) -> Callable[[], None] | None:
    """Copy this process whenever that is asked for.

    Returns:
        In a copy, what it is to do; None here, once nobody can ask any more.
    """
    program, *_ = [importlib.import_module(name) for name in modules]
    sys.path.remove(_TESTS)
    gc.collect()
    gc.freeze()
    with socket.socket(fileno=fd) as asked:
        while True:
            try:
                content, fds, _, _ = socket.recv_fds(asked, _REQUEST_LIMIT_BYTES, 3)
            except KeyboardInterrupt:
                content = b""
            if not content:
                return None
            what, *arguments = json.loads(content)
            if what == "reap":
                code = os.waitstatus_to_exitcode(os.waitpid(arguments[0], 0)[1])
                asked.send(str(code).encode())
                continue
            pid = os.fork()
            if pid == 0:
                break
            for fd in fds:
                os.close(fd)
            asked.send(str(pid).encode())
    argv, environment, directory = arguments
    _become(fds, environment, directory)
    sys.argv = [str(program.__file__), *argv]
    main: Callable[[], None] = program.main
    return main


def _become(fds: Sequence[int], environment: Mapping[str, str], directory: str) -> None:
    """Take what a process has from its parent from somebody else."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    for number, fd in enumerate(fds):
        os.dup2(fd, number)
        os.close(fd)
    os.environ.clear()
    os.environ.update(environment)
    time.tzset()
    os.chdir(directory)
    for number, (name, mode) in enumerate({"stdin": "r", "stdout": "w", "stderr": "w"}.items()):
        before = getattr(sys, name)
        stream: Any = open(  # noqa: SIM115  # as long as the process lives
            number,
            mode,
            buffering=1 if name == "stderr" else -1,
            encoding=before.encoding,
            errors=before.errors,
            closefd=False,
        )
        stream.buffer.raw.name = f"<{name}>"
        setattr(sys, name, stream)
        setattr(sys, f"__{name}__", stream)
