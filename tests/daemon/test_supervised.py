"""Under a supervisor: notification, watchdog, inherited sockets, and the units themselves."""

import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.daemon import Daemon, DaemonFactory, clean_environment
from support.govern import ask
from support.lines import log
from support.peers import IngestPeer

pytestmark = pytest.mark.from_nothing

UNITS = Path(__file__).parents[2] / "systemd"
ANALYZE = shutil.which("systemd-analyze")


class Supervisor:
    """Hears what a daemon says by sd_notify(3)."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(str(path))
        self._socket.settimeout(20)

    def hear(self) -> dict[str, str]:
        """Return the next message."""
        said = self._socket.recv(4096).decode()
        return dict(line.split("=", 1) for line in said.splitlines())

    def until(self, name: str) -> dict[str, str]:
        """Return the next message that says this."""
        while name not in (said := self.hear()):
            pass
        return said

    def drain(self) -> None:
        """Forget what was said so far."""
        self._socket.setblocking(False)
        try:
            while self._socket.recv(4096):
                pass
        except BlockingIOError:
            self._socket.settimeout(20)

    def close(self) -> None:
        """Hear no more."""
        self._socket.close()


@pytest.fixture
def supervisor(home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Supervisor]:
    """Give a supervisor that daemons started from here find in their environment."""
    made = Supervisor(home / "notify")
    monkeypatch.setattr(
        "support.daemon.SUPERVISION", {"NOTIFY_SOCKET": str(made.path), "WATCHDOG_USEC": "200000"}
    )
    yield made
    made.close()


@pytest.mark.covers("P13")
def test_the_supervisor_is_told(daemon_factory: DaemonFactory, supervisor: Supervisor) -> None:
    """Ready, alive, reloading and ready again, stopping: each is said when it is true."""
    daemon = daemon_factory()
    assert supervisor.hear()["READY"] == "1"
    assert "events" in supervisor.until("WATCHDOG")["STATUS"]
    daemon.signal(signal.SIGHUP)
    assert int(supervisor.until("RELOADING")["MONOTONIC_USEC"]) > 0
    supervisor.until("READY")
    assert daemon.terminate() == 0
    assert "SIGTERM" in supervisor.until("STOPPING")["STATUS"]


@pytest.mark.covers("P13")
def test_the_watchdog_hears_of_work_alone(daemon_factory: DaemonFactory, supervisor: Supervisor) -> None:
    """A daemon that stands still feeds no watchdog; one that goes on, or waits for storage, does."""
    daemon = daemon_factory(database_limit_bytes=1_000_000, retry_ms=50)
    supervisor.until("WATCHDOG")
    daemon.signal(signal.SIGSTOP)
    supervisor.drain()
    supervisor._socket.settimeout(1)
    with pytest.raises(TimeoutError):
        supervisor.hear()
    supervisor._socket.settimeout(20)
    daemon.signal(signal.SIGCONT)
    supervisor.until("WATCHDOG")

    with IngestPeer(daemon.ingest_socket) as peer:
        peer.send_lines(*(log("a", "x" * 1000) for _ in range(2000)))
        while "busy" not in (peer.next() or {}):
            pass
        while "storage_full" not in supervisor.until("WATCHDOG")["STATUS"]:
            pass


@pytest.mark.covers("P13", "D1", "D4")
def test_a_restart_behind_inherited_sockets_loses_nothing(daemon_factory: DaemonFactory) -> None:
    """With sockets that the supervisor keeps, lines may come before the daemon, and it leaves them there."""
    daemon = daemon_factory(start=False)
    daemon.runtime_dir.mkdir()
    names = ("ingest", "query", "control")
    paths = {name: daemon.runtime_dir / f"{name}.sock" for name in names}
    listening = {name: socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) for name in names}
    for name, sock in listening.items():
        sock.bind(str(paths[name]))
        sock.listen(64)
    acked = 0
    for round_number in range(3):
        with IngestPeer(paths["ingest"]) as early:  # before anybody accepts
            early.send_lines(log("a", f"early {round_number}"))
            process = _start_with(listening, daemon)
            early.until_ack(1)
            process.send_signal(signal.SIGTERM)
            assert process.wait(20) == 0
            acked += 1
        assert all(path.exists() for path in paths.values())
    process = _start_with(listening, daemon)
    found = ask(daemon, "logs", execution_id="a").all("log")
    assert [line["message"] for line in found] == [f"early {number}" for number in range(acked)]
    process.terminate()
    assert process.wait(20) == 0
    for sock in listening.values():
        sock.close()


def _start_with(listening: dict[str, socket.socket], daemon: Daemon) -> subprocess.Popen[bytes]:
    """Start a daemon as systemd does: descriptors from 3 on, named."""
    descriptors = [sock.fileno() for sock in listening.values()]
    program = (
        "import os, sys\n"
        f"for place, fd in enumerate({descriptors!r}): os.dup2(fd, 100 + place)\n"
        f"for place in range({len(listening)}): os.dup2(100 + place, 3 + place)\n"
        f"os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS='{len(listening)}',"
        f" LISTEN_FDNAMES='{':'.join(listening)}')\n"
        "os.execv(sys.executable, [sys.executable, '-P', '-m', 'flightlogd', *sys.argv[1:]])\n"
    )
    return subprocess.Popen(
        [
            sys.executable,
            "-c",
            program,
            "--state-dir",
            str(daemon.state_dir),
            "--runtime-dir",
            str(daemon.runtime_dir),
        ],
        pass_fds=descriptors,
        env=clean_environment(),
        stderr=subprocess.DEVNULL,
    )


@pytest.mark.covers("P13")
@pytest.mark.skipif(ANALYZE is None, reason="systemd-analyze is not installed")
def test_units_are_right_and_hardened(tmp_path: Path) -> None:
    """Systemd understands every line of the units, and finds the services well confined."""
    program = tmp_path / "flightlogd"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    for folder in (UNITS, UNITS / "user"):
        target = tmp_path / folder.name
        target.mkdir()
        for unit in (*folder.glob("*.service"), *folder.glob("*.socket")):
            text = unit.read_text().replace("/opt/flightlog/bin/flightlogd", str(program))
            text = text.replace("/opt/flightlog/bin/flightlog ", f"{program} ")
            text = text.replace("%h/.local/bin/flightlogd", str(program))
            (target / unit.name).write_text(text.replace("%h/.local/bin/flightlog ", f"{program} "))
        units = [str(unit) for unit in sorted(target.iterdir())]
        assert len(units) >= 4
        user = ["--user"] if folder.name == "user" else []
        done = subprocess.run(
            [str(ANALYZE), *user, "verify", *units],
            capture_output=True,
            text=True,
            check=False,
            env={**os.environ, "XDG_RUNTIME_DIR": str(tmp_path)},
        )
        assert (done.returncode, done.stderr) == (0, "")
    for name in ("flightlogd", "flightlog-relay", "flightlog-collect"):
        service = tmp_path / f"systemd/{name}.service"
        exposed = subprocess.run(
            [str(ANALYZE), "security", "--offline=true", "--threshold=15", str(service)],
            capture_output=True,
            text=True,
            check=False,
        )
        assert exposed.returncode == 0, exposed.stdout[-500:]
