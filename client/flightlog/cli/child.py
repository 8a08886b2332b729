"""The command that `exec` runs: its process, and the signals that are meant for it."""

import errno
import os
import signal
import threading
from collections.abc import Mapping, Sequence
from typing import Final

NOT_EXECUTABLE: Final = 126
NOT_FOUND: Final = 127
BY_SIGNAL: Final = 128

FORWARDED: Final = (
    signal.SIGINT,
    signal.SIGTERM,
    signal.SIGHUP,
    signal.SIGQUIT,
    signal.SIGUSR1,
    signal.SIGUSR2,
)

_FROM_KERNEL: Final = 0x80
"""si_code of a signal that the terminal sent (SI_KERNEL): the command, in the same group, has it already."""

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
    """

    def __init__(self, pid: int, stdout: int, stderr: int) -> None:
        self.pid = pid
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


def spawn(command: Sequence[str], environment: Mapping[str, str], blocked: frozenset[int]) -> Child:
    """Start a command, looked up in PATH as a shell would.

    Args:
        command: The program and its arguments.
        environment: All of its environment.
        blocked: Signals to block in it: those that were before we blocked more.

    Raises:
        SpawnError: there is no such program, or it cannot be executed.
    """
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
    return Child(pid, stdout, stderr)


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


class SignalRelay:
    """Takes the signals that come for us and are meant for the command, and hands them on.

    They are blocked in every thread from here on and taken in by a thread that waits for them, because only
    that tells who sent one: what the terminal sends reaches the command without us.

    Attributes:
        received: Numbers of the signals that came, the terminal's included.
        blocked_before: What was blocked before, for the command to begin with.
    """

    def __init__(self) -> None:
        self.received: list[int] = []
        # One that we were told to ignore (nohup, a background job) the command ignores, too.
        self._numbers = frozenset(
            number for number in FORWARDED if signal.getsignal(number) is not signal.SIG_IGN
        )
        # Whoever started us may ignore its children; one that is ignored cannot be waited for.
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        self.blocked_before = frozenset(signal.pthread_sigmask(signal.SIG_BLOCK, self._numbers))

    def forward_to(self, child: Child) -> None:
        """Hand on everything from here on, and what has come before."""
        threading.Thread(target=self._forward, args=(child,), name="signals", daemon=True).start()

    def _forward(self, child: Child) -> None:
        while True:
            arrived = signal.sigwaitinfo(self._numbers)
            self.received.append(arrived.si_signo)
            if arrived.si_code != _FROM_KERNEL:
                child.send(arrived.si_signo)
