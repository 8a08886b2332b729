"""Signals that come for `exec` and are meant for its command."""

import signal
import threading
from typing import Final

from flightlog.capture.child import Child

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
        self._lock = threading.Lock()
        self._child: Child | None = None
        self._waiting: list[int] = []
        self._forwarding = False
        # One that we were told to ignore (nohup, a background job) the command ignores, too.
        self._numbers = frozenset(
            number for number in FORWARDED if signal.getsignal(number) is not signal.SIG_IGN
        )
        # Whoever started us may ignore its children; one that is ignored cannot be waited for.
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        self.blocked_before = frozenset(signal.pthread_sigmask(signal.SIG_BLOCK, self._numbers))

    def forward_to(self, child: Child) -> None:
        """Hand on everything from here on, and what has come before."""
        with self._lock:
            self._child = child
            waiting, self._waiting = self._waiting, []
            for number in waiting:
                child.send(number)
        if not self._forwarding:
            self._forwarding = True
            threading.Thread(target=self._forward, name="signals", daemon=True).start()

    def let_go(self) -> None:
        """Hand nothing on, for the command has ended; what comes now is for the next one, if there is one."""
        with self._lock:
            self._child = None

    def _forward(self) -> None:
        while True:
            arrived = signal.sigwaitinfo(self._numbers)
            with self._lock:
                self.received.append(arrived.si_signo)
                if self._child is None:
                    self._waiting.append(arrived.si_signo)
                elif arrived.si_code != _FROM_KERNEL:
                    self._child.send(arrived.si_signo)
