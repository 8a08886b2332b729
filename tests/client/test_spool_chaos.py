"""Programs, daemon and deliverers die at random; the log ends up with what the programs said."""

import os
import random
import signal
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

from flightlog.courier import spool_paths
from support.daemon import Daemon, DaemonFactory, clean_environment
from support.programs import finish_program, records, start_program
from support.spools import deliver_all

STEPS: Final = 60
PROGRAMS_LIMIT: Final = 4

PROGRAM = """
    import flightlog, sys
    flightlog.configure(exit_timeout_s=1, buffer_limit_bytes=1024 * 1024)
    said = 0
    with flightlog.execution("chaos", execution_id=sys.stdin.readline().strip()) as run:
        for line in sys.stdin:
            for _ in range(int(line)):
                run.info(said)
                said += 1
            if flightlog.flush(0.3):
                print("settled", said, flush=True)
            else:
                print("said", said, flush=True)
    """


class Emitter:
    """A program that says numbers, as many as it is told.

    Attributes:
        name: Its execution.
        said: How many it has said.
        settled: How many it knows to be on disk, in the log.
        ended: Whether it came to its end.
    """

    def __init__(self, name: str, runtime_dir: Path, spool: Path) -> None:
        self.name = name
        self.said = self.settled = 0
        self.ended = False
        self._process = start_program(PROGRAM, runtime_dir, FLIGHTLOG_SPOOL_DIR=str(spool))
        self._write(name)

    def emit(self, count: int) -> None:
        """Let it say so many more."""
        self._write(str(count))
        assert self._process.stdout is not None
        word, total = self._process.stdout.readline().split()
        self.said = int(total)
        if word == "settled":
            self.settled = self.said

    def kill(self) -> None:
        """Kill it."""
        self._process.kill()
        finish_program(self._process)

    def end(self) -> None:
        """Let it come to its end."""
        done = finish_program(self._process)
        assert done.returncode == 0, done.stderr
        self.ended = True

    def _write(self, line: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(f"{line}\n")
        self._process.stdin.flush()


class Chaos:
    """What may happen, one thing at a time, by the dice."""

    def __init__(self, seed: int, daemon: Daemon, spool: Path) -> None:
        self.random = random.Random(seed)
        self.daemon = daemon
        self.spool = spool
        self.alive: list[Emitter] = []
        self.gone: list[Emitter] = []
        self._stopped = False

    def step(self) -> None:
        """Do one thing."""
        steps = [self.begin, self.emit, self.emit, self.emit, self.kill, self.end]
        steps += [self.daemon_dies, self.daemon_halts, self.daemon_is_back, self.deliverer_dies]
        self.random.choice(steps)()

    def begin(self) -> None:
        """A program begins."""
        if len(self.alive) < PROGRAMS_LIMIT:
            name = f"e{len(self.alive) + len(self.gone)}"
            self.alive.append(Emitter(name, self.daemon.runtime_dir, self.spool))

    def emit(self) -> None:
        """A program says something."""
        if self.alive:
            self.random.choice(self.alive).emit(self.random.choice([1, 50, 5000]))

    def kill(self) -> None:
        """A program is killed."""
        if self.alive:
            self._leave().kill()

    def end(self) -> None:
        """A program ends in good order."""
        if self.alive:
            self._leave().end()

    def _leave(self) -> Emitter:
        emitter = self.alive.pop(self.random.randrange(len(self.alive)))
        self.gone.append(emitter)
        return emitter

    def daemon_dies(self) -> None:
        """The daemon is killed."""
        if self.daemon.running:
            self.daemon.kill()
            self._stopped = False

    def daemon_halts(self) -> None:
        """The daemon stands still."""
        if self.daemon.running:
            os.kill(self.daemon.pid, signal.SIGSTOP)
            self._stopped = True

    def daemon_is_back(self) -> None:
        """The daemon runs again."""
        if not self.daemon.running:
            self.daemon.start()
        elif self._stopped:
            os.kill(self.daemon.pid, signal.SIGCONT)
        self._stopped = False

    def deliverer_dies(self) -> None:
        """Somebody delivers what is left, and is killed on the way."""
        with subprocess.Popen(
            [sys.executable, "-P", "-m", "flightlog", "spool", "deliver", "--dir", str(self.spool)],
            env=clean_environment(),
            stderr=subprocess.DEVNULL,
        ) as deliverer:
            try:
                deliverer.wait(self.random.choice([0.3, 0.5, 1.0]))
            except subprocess.TimeoutExpired:
                deliverer.kill()


@pytest.mark.slow
@pytest.mark.covers("P5", "D3", "D4")
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_the_log_has_what_the_programs_said(daemon_factory: DaemonFactory, home: Path, seed: int) -> None:
    """Whatever dies, each line of a program that ended is there once, in order; of others a prefix."""
    chaos = Chaos(seed, daemon_factory(), home / "spool")
    for _ in range(STEPS):
        chaos.step()
    chaos.daemon_is_back()
    while chaos.alive:
        chaos.end()
    deliver_all(home / "spool", chaos.daemon.runtime_dir)

    assert spool_paths(home / "spool") == []
    numbers: dict[str, list[int]] = {}
    lines: dict[str, list[int]] = {}
    for record in records(chaos.daemon, limit=10**6):
        if record["event"]["type"] == "log":
            numbers.setdefault(record["event"]["execution_id"], []).append(int(record["event"]["message"]))
        lines.setdefault(record["producer"], []).append(record["line"])
    assert all(found == list(range(1, len(found) + 1)) for found in lines.values())
    for emitter in chaos.gone:
        found = numbers.get(emitter.name, [])
        assert found == list(range(len(found))), emitter.name
        assert len(found) == emitter.said if emitter.ended else len(found) >= emitter.settled, emitter.name
