"""A command whose output is captured: its process."""

import errno
import os
import signal
import time
from collections.abc import Mapping, Sequence
from typing import Final

NOT_EXECUTABLE: Final = 126
NOT_FOUND: Final = 127
BY_SIGNAL: Final = 128

# Python ignores these for itself; a command expects to find them as a shell would leave them.
_IGNORED_BY_PYTHON: Final = (signal.SIGPIPE, signal.SIGXFSZ)


class SpawnError(Exception):
    """The command could not be started.

    Attributes:
        exit_code: 127 when it is not there, 126 when it cannot be executed.
    """

    def __init__(self, reason: str, exit_code: int) -> None:
        super().__init__(reason)
        self.exit_code = exit_code


class Child:
    """A running command whose stdout and stderr are pipes to us; everything else is as we have it.

    Attributes:
        pid: Its process id.
        stdout: Reading end of its stdout.
        stderr: Reading end of its stderr.
        pidfd: Descriptor that is readable once the process has ended.
        started: When it was about to start, by the monotonic clock, in seconds.
    """

    def __init__(self, pid: int, stdout: int, stderr: int, started: float) -> None:
        self.pid = pid
        self.started = started
        self.stdout = stdout
        self.stderr = stderr
        self.pidfd = os.pidfd_open(pid)

    def send(self, number: int) -> None:
        """Send the command a signal; one that has ended takes none."""
        try:
            signal.pidfd_send_signal(self.pidfd, number)
        except ProcessLookupError:
            return

    def reap(self) -> int:
        """Wait until it has ended; return its exit status, or the negated number of a signal."""
        _, status = os.waitpid(self.pid, 0)
        return os.waitstatus_to_exitcode(status)

    def close(self) -> None:
        """Let go of its descriptor, once it was reaped and nobody sends it signals any more."""
        os.close(self.pidfd)


def spawn(command: Sequence[str], environment: Mapping[str, str], blocked: frozenset[int]) -> Child:
    """Start a command, looked up in PATH as a shell would.

    Args:
        command: The program and its arguments.
        environment: All of its environment.
        blocked: Signals to block in it: those that were before we blocked more.

    Raises:
        SpawnError: there is no such program, or it cannot be executed.
    """
    started = time.monotonic()
    stdout, its_stdout = os.pipe()
    stderr, its_stderr = os.pipe()
    try:
        pid = _spawn(
            command,
            environment,
            file_actions=[(os.POSIX_SPAWN_DUP2, its_stdout, 1), (os.POSIX_SPAWN_DUP2, its_stderr, 2)],
            setsigmask=blocked,
            setsigdef=_IGNORED_BY_PYTHON,
        )
    except OSError as error:
        os.close(stdout)
        os.close(stderr)
        missing = isinstance(error, FileNotFoundError | NotADirectoryError)
        raise SpawnError(
            f"{command[0]}: {'not found' if missing else error.strerror}",
            NOT_FOUND if missing else NOT_EXECUTABLE,
        ) from error
    finally:
        os.close(its_stdout)
        os.close(its_stderr)
    return Child(pid, stdout, stderr, started)


def _spawn(command: Sequence[str], environment: Mapping[str, str], **options: object) -> int:
    if not command[0]:
        raise FileNotFoundError
    try:
        return os.posix_spawnp(command[0], command, environment, **options)  # type: ignore[arg-type]
    except OSError as error:
        if error.errno != errno.ENOEXEC:
            raise
    # A script that does not say by what: a shell would run it itself.
    return os.posix_spawn("/bin/sh", ["/bin/sh", *command], environment, **options)  # type: ignore[arg-type]
