"""`flightlog exec` and signals: they are for the command, once, and exec outlives it to tell the tale."""

import fcntl
import os
import pty
import signal
import subprocess
import sys
import termios

import pytest

from cli.runner import COMMAND, Cli
from flightlog.capture import record
from flightlog.capture.child import spawn
from flightlog.capture.record import Recorder
from support.daemon import Daemon

TRAPS = """
import signal, sys
def told(number, frame):
    print(signal.Signals(number).name, flush=True)
    sys.exit(5)
for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR1):
    signal.signal(number, told)
print("ready", flush=True)
while True:
    signal.pause()
"""

COUNTS = """
import signal, sys
count = 0
def interrupted(number, frame):
    global count
    count += 1
    print("interrupted", flush=True)
def asked(number, frame):
    print("count", count, flush=True)
    sys.exit(0)
signal.signal(signal.SIGINT, interrupted)
signal.signal(signal.SIGUSR1, asked)
print("ready", flush=True)
while True:
    signal.pause()
"""


@pytest.fixture
def flightlog(shared: Daemon) -> Cli:
    """Give the command line of the module's daemon."""
    return Cli(shared.runtime_dir)


def ending(flightlog: Cli, name: str) -> tuple[str, str | None]:
    """Return the status of the only execution of this name, and why."""
    (execution,) = flightlog.ok("list", "--json", "--name", name).json
    return execution["status"], execution["outcome_reason"]


@pytest.mark.covers("S0.4")
@pytest.mark.parametrize(
    ("name", "status"),
    [
        ("SIGINT", "cancelled"),
        ("SIGTERM", "cancelled"),
        ("SIGHUP", "cancelled"),
        ("SIGQUIT", "cancelled"),
        ("SIGUSR1", "failed"),
    ],
)
def test_signals_are_handed_on(flightlog: Cli, name: str, status: str) -> None:
    """The command gets the signal, decides itself how to end, and its ending and last words are recorded."""
    with flightlog.running("exec", "--name", name, "--", sys.executable, "-c", TRAPS) as running:
        assert running.line() == "ready"
        running.process.send_signal(signal.Signals[name])
        assert running.line() == name
        done = running.end()

    assert done.code == 5
    assert ending(flightlog, name)[0] == status
    if status == "cancelled":
        assert ending(flightlog, name)[1] == name


@pytest.mark.covers("S0.4")
def test_a_command_that_dies_by_a_signal(flightlog: Cli) -> None:
    """The exit code says by which signal; somebody wanted that end, so it is cancelled."""
    with flightlog.running("exec", "--name", "dies", "--", "sh", "-c", "echo ready; exec cat") as running:
        assert running.line() == "ready"
        running.process.terminate()

        # Its stdin stays open until then: at the end of that, cat would end by itself.
        assert running.process.wait(60) == 128 + signal.SIGTERM
    assert ending(flightlog, "dies") == ("cancelled", "SIGTERM")


def test_control_c_reaches_the_command_once(flightlog: Cli) -> None:
    """What the terminal sends to both of them is not handed on a second time."""
    ours, its = pty.openpty()
    claim = "import os, sys, fcntl, termios; fcntl.ioctl(0, termios.TIOCSCTTY, 0)\n"
    claim += "os.execv(sys.argv[1], sys.argv[1:])"
    recorded = [*COMMAND, "exec", "--name", "terminal", "--", sys.executable, "-c", COUNTS]
    process = subprocess.Popen(
        ["env", "--default-signal=INT", sys.executable, "-c", claim, *recorded],
        stdin=its,
        stdout=its,
        stderr=its,
        start_new_session=True,
        env=flightlog.environment(),
    )
    os.close(its)
    with process, os.fdopen(ours, "rb", buffering=0) as terminal:
        assert read_until(terminal.fileno(), b"ready")
        os.write(terminal.fileno(), b"\x03")
        assert read_until(terminal.fileno(), b"interrupted")
        # Handed on in order, so that a second SIGINT would come before this one.
        process.send_signal(signal.SIGUSR1)
        assert b"count 1" in read_until(terminal.fileno(), b"count 1")
        assert process.wait(30) == 0


def read_until(descriptor: int, text: bytes) -> bytes:
    """Return what a terminal shows up to and with a text."""
    seen = b""
    while text not in seen:
        seen += os.read(descriptor, 1024)
    return seen


def test_an_ignored_signal_stays_ignored(flightlog: Cli) -> None:
    """Under nohup neither exec nor its command hears of SIGHUP."""
    script = "kill -HUP $$; kill -HUP $PPID; echo alive"
    command = ["env", "--ignore-signal=HUP", *COMMAND, "exec", "--", "sh", "-c", script]
    done = subprocess.run(
        command, capture_output=True, env=flightlog.environment(), timeout=60, check=False, text=True
    )

    assert (done.returncode, done.stdout) == (0, "alive\n")


def test_the_command_starts_with_signals_as_usual(flightlog: Cli) -> None:
    """Nothing is blocked or ignored in the command because of us."""
    command = [
        "env",
        "--default-signal",
        *COMMAND,
        "exec",
        "--",
        "grep",
        "^Sig\\(Blk\\|Ign\\)",
        "/proc/self/status",
    ]
    done = subprocess.run(
        command, capture_output=True, env=flightlog.environment(), timeout=60, check=True, text=True
    )

    blocked, ignored = (int(line.split()[1], 16) for line in done.stdout.splitlines())
    assert blocked == 0
    # The C library starts processes with its own two ignored (32 and 33); those are no program's business.
    assert ignored & (1 << 31) - 1 == 0


def test_ignored_children_are_waited_for(flightlog: Cli) -> None:
    """Started by a process that ignores its children, exec still knows how its own ended."""
    command = ["env", "--ignore-signal=CHLD", *COMMAND, "exec", "--", "sh", "-c", "exit 9"]

    assert subprocess.run(command, env=flightlog.environment(), timeout=60, check=False).returncode == 9


@pytest.mark.covers("S1.5")
def test_a_reader_that_leaves_ends_the_command(flightlog: Cli) -> None:
    """When whoever reads our output goes away, the command gets the SIGPIPE that it would get without us."""
    with flightlog.running("exec", "--name", "pipe", "--", "yes") as running:
        assert running.line() == "y"
        assert running.process.stdout is not None
        running.process.stdout.close()

        assert running.process.wait(60) == 128 + signal.SIGPIPE
    assert ending(flightlog, "pipe")[0] == "failed"


def test_a_reader_that_stops_does_not_stop_signals(flightlog: Cli) -> None:
    """With nobody reading, the command waits as it would without us, and can still be ended."""
    with flightlog.running("exec", "--name", "stuck", "--", "yes") as running:
        assert running.line() == "y"
        pipe = running.process.stdout
        assert pipe is not None
        capacity = fcntl.fcntl(pipe, fcntl.F_GETPIPE_SZ)
        while unread(pipe.fileno()) < capacity - 4096:
            os.sched_yield()
        running.process.terminate()

        assert running.process.wait(60) == 128 + signal.SIGTERM
    assert ending(flightlog, "stuck") == ("cancelled", "SIGTERM")


def unread(descriptor: int) -> int:
    """Return how many bytes lie in a pipe."""
    return int.from_bytes(fcntl.ioctl(descriptor, termios.FIONREAD, bytes(4)), sys.byteorder)


@pytest.mark.covers("S1.3")
def test_a_command_that_will_not_end_is_killed(monkeypatch: pytest.MonkeyPatch) -> None:
    """A command that ignores the request to end is killed after a grace, however long it would run."""
    monkeypatch.setattr(record, "KILL_GRACE_S", 0.05)
    child = spawn(
        ["sh", "-c", "trap '' TERM; sleep 60 & while :; do wait; done"], dict(os.environ), frozenset()
    )
    ended = Recorder(child, lambda _: None, lambda: False, lambda: False, timeout_s=0.2).run()

    assert ended.timed_out
    assert ended.status == -signal.SIGKILL


def test_signals_before_the_start_are_kept() -> None:
    """A signal that comes while the command is being started reaches it, and not us."""
    script = "import os, signal, sys\n"
    script += "from flightlog.capture.child import spawn\nfrom flightlog.cli.signals import SignalRelay\n"
    script += "relay = SignalRelay()\n"
    script += "os.kill(os.getpid(), signal.SIGTERM)\n"
    script += "child = spawn(['sleep', '60'], dict(os.environ), relay.blocked_before)\n"
    script += "relay.forward_to(child)\n"
    script += "print(child.reap(), relay.received)\n"
    done = subprocess.run(
        [sys.executable, "-P", "-c", script], capture_output=True, text=True, timeout=60, check=True
    )

    assert done.stdout == f"{-signal.SIGTERM} [{int(signal.SIGTERM)}]\n"
