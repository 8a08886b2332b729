"""What happens to the process as a whole: its end, SIGTERM, fork.

- At exit, what is left is delivered within a bound.
- SIGTERM, where the program leaves it at its default: open executions end as cancelled, what is left is
  delivered, and then the process dies by the signal as it would have. A handler of the program stays.
  (Like all handlers in Python it runs between two steps of the main thread: a long call into C delays it.)
- A fork finds the sending threads stopped and their locks free, so that parent and child both go on. (A
  process that forks while it has threads is warned by Python 3.12 and later, and would be because of us.)
"""

import atexit
import os
import signal
import sys
import threading
import time
from types import FrameType
from typing import TYPE_CHECKING
from weakref import WeakSet

if TYPE_CHECKING:
    from flightlog.client import Client
    from flightlog.producer import Producer

_clients: "WeakSet[Client]" = WeakSet()
_running: "set[Producer]" = set()
"""Held here, so that a client that the program let go of still delivers."""
_paused: "list[Producer]" = []
_armed_pid = 0


def watch(client: "Client") -> None:
    """Let a client begin anew in forked children."""
    _clients.add(client)


def arm(producer: "Producer") -> None:
    """Have a producer deliver at exit, and on SIGTERM if the program has left that alone."""
    global _armed_pid  # the process is one
    _running.add(producer)
    if _armed_pid != os.getpid():
        _armed_pid = os.getpid()
        atexit.unregister(deliver_all)
        atexit.register(deliver_all)
        # Children of multiprocessing end without atexit; they run its own finalizers, ours after others.
        util = sys.modules.get("multiprocessing.util")
        if util is not None:
            util.Finalize(None, deliver_all, exitpriority=-100)
    _take_sigterm()


def disarm(producer: "Producer") -> None:
    """Forget a producer that has finished."""
    _running.discard(producer)


def deliver_all() -> None:
    """Close all producers, all of them within the longest time to exit that one of them has."""
    began = time.monotonic()
    for producer in list(_running):
        producer.close(max(producer.settings.exit_timeout_s - (time.monotonic() - began), 0.0))


def _take_sigterm() -> None:
    if threading.current_thread() is not threading.main_thread():
        return
    if signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:
        signal.signal(signal.SIGTERM, _on_sigterm)


def _on_sigterm(number: int, _frame: FrameType | None) -> None:
    for client in list(_clients):
        client.cancel_open("SIGTERM")
    deliver_all()
    signal.signal(number, signal.SIG_DFL)
    os.kill(os.getpid(), number)


def _before_fork() -> None:
    # In one order everywhere: two threads that fork at once must not wait for each other.
    _paused[:] = sorted({*_running, *(client.producer for client in _clients)}, key=id)
    for producer in _paused:
        producer.pause()


def _after_fork_in_parent() -> None:
    for producer in reversed(_paused):
        producer.resume()
    _paused.clear()


def _after_fork_in_child() -> None:
    for producer in _paused:
        producer.abandon()
    _paused.clear()
    _running.clear()
    for client in _clients:
        client.begin_anew()


os.register_at_fork(
    before=_before_fork, after_in_parent=_after_fork_in_parent, after_in_child=_after_fork_in_child
)
