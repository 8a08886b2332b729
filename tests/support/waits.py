"""How long a program waits for flightlog in each state that its daemon can be in."""

import json
import os
import select
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from support.daemon import Daemon
from support.programs import finish_program, start_program

EXIT_TIMEOUT_S: Final = 1.0
"""What the program allows the end of it to wait."""

CALLS: Final = ("log", "task", "finish", "flush", "close")
"""What is measured: a log line, a task from start to end, an execution's end, a flush of 0.2 s, the close."""

PROGRAM: Final = f"""
import json, sys, time
import flightlog

client = flightlog.Client(exit_timeout_s={EXIT_TIMEOUT_S}, buffer_limit_bytes=256 * 1024)
worst = dict.fromkeys({CALLS!r}, 0.0)

def timed(name, call, *arguments):
    began = time.perf_counter()
    result = call(*arguments)
    worst[name] = max(worst[name], time.perf_counter() - began)
    return result

def task(run, number):
    with run.task(f"t{{number}}", inputs={{"number": number}}):
        pass

first = client.execution("before").start()
first.log("hello")
client.flush(30)
print("ready", flush=True)
sys.stdin.readline()
for number in range(int(sys.argv[1]) if len(sys.argv) > 1 else 20):
    run = client.execution("waits").start()
    for index in range(1000):
        timed("log", run.log, f"line {{index}} of about the usual length, with a number in it")
    for index in range(20):
        timed("task", task, run, index)
    timed("finish", run.end)
timed("finish", first.end)
timed("flush", client.flush, 0.2)
timed("close", client.close)
print(json.dumps(worst))
"""


def _running(_daemon: Daemon, _until: int) -> None:
    """Leave it alone."""


def _stopped(daemon: Daemon, _until: int) -> None:
    os.kill(daemon.pid, signal.SIGSTOP)


def _killed(daemon: Daemon, _until: int) -> None:
    daemon.kill()


def _slow(daemon: Daemon, until: int) -> None:
    """Let it run for a tenth of the time, until a descriptor is readable."""
    while True:
        os.kill(daemon.pid, signal.SIGSTOP)
        over = select.select([until], [], [], 0.09)[0]
        os.kill(daemon.pid, signal.SIGCONT)
        if over or select.select([until], [], [], 0.01)[0]:
            return


STATES: Final[dict[str, Callable[[Daemon, int], None]]] = {
    "running": _running,
    "slow": _slow,
    "stopped": _stopped,
    "full": _running,
    "killed": _killed,
}
"""The states, and what brings a daemon into them; `full` is one with `FULL` in its configuration."""

FULL: Final[dict[str, Any]] = {"database_limit_bytes": 1_500_000, "retry_ms": 100}


def longest_waits(daemon: Daemon, state: str, spool_dir: Path) -> dict[str, float]:
    """Return how long each of the calls took at most, in seconds.

    Args:
        daemon: A fresh one that runs; it goes on as it was.
        state: One of `STATES`.
        spool_dir: Where the program may spool.
    """
    program = start_program(PROGRAM, daemon.runtime_dir, FLIGHTLOG_SPOOL_DIR=str(spool_dir))
    assert program.stdout is not None
    assert program.stdin is not None
    assert program.stdout.readline() == "ready\n"
    try:
        if state == "slow":
            program.stdin.write("\n")
            program.stdin.flush()
            _slow(daemon, program.stdout.fileno())
            done = finish_program(program)
        else:
            STATES[state](daemon, program.stdout.fileno())
            done = finish_program(program, "\n")
    finally:
        if daemon.running:
            os.kill(daemon.pid, signal.SIGCONT)
    assert done.returncode == 0, done.stderr
    found: dict[str, float] = json.loads(done.stdout)
    return found
