"""A disk that is really full: a small tmpfs in a mount namespace of its own."""

import os
import resource
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from support.daemon import Daemon, DaemonFactory, clean_environment
from support.govern import ask, govern
from support.lines import event, log
from support.peers import IngestPeer, Json

MIB = 1024 * 1024
SIZE_BYTES = 32 * MIB


class SmallDisk:
    """A file system of 32 MiB where a daemon keeps its state; a process holds its namespace."""

    def __init__(self, state_dir: Path) -> None:
        state_dir.mkdir(parents=True)
        mount = f'mount -t tmpfs -o size={SIZE_BYTES} tmpfs "$0" && echo ready && exec cat'
        self._holder = subprocess.Popen(
            ["unshare", "--mount", "--propagation", "private", "sh", "-c", mount, str(state_dir)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        assert self._holder.stdout is not None
        self.is_there = self._holder.stdout.readline() == b"ready\n"
        self.prefix = ["nsenter", "--target", str(self._holder.pid), "--mount", "--"]
        self.root = Path(f"/proc/{self._holder.pid}/root{state_dir}")

    @property
    def free_bytes(self) -> int:
        """How much is free."""
        found = os.statvfs(self.root)
        return found.f_bavail * found.f_frsize

    def fill(self, leave_bytes: int = 0) -> None:
        """Have somebody else take what is free."""
        path = self.root / "somebody-else"
        path.touch()
        with path.open("r+b") as file, suppress(OSError):
            os.posix_fallocate(file.fileno(), path.stat().st_size, max(self.free_bytes - leave_bytes, 1))

    def close(self) -> None:
        """Give it up."""
        self._holder.communicate()


@pytest.fixture
def disk(home: Path) -> Iterator[SmallDisk]:
    """Give a small disk where the state directory of a daemon in `home` is."""
    if os.geteuid() or not shutil.which("unshare") or not shutil.which("nsenter"):
        pytest.skip("takes root, unshare and nsenter")
    disk = SmallDisk(home / "state")
    try:
        if not disk.is_there:
            pytest.skip("no tmpfs can be mounted here")
        yield disk
    finally:
        disk.close()


@pytest.fixture
def daemon(disk: SmallDisk, daemon_factory: DaemonFactory) -> Daemon:
    """Give a daemon that keeps its state there."""
    daemon = daemon_factory(start=False, retry_ms=50, checkpoint_bytes=MIB, search=False)
    daemon.prefix = disk.prefix
    return daemon.start()


def fill_by_emitting(peer: IngestPeer, first: int) -> tuple[int, int]:
    """Send lines of executions that end until the daemon is busy; return how many were sent, and acked."""
    sent = acked = first
    while True:
        name = f"run-{sent}"
        lines = [event("execution.started", name, name="n")]
        lines += [log(name, f"{number} " + os.urandom(250).hex(), level="DEBUG") for number in range(98)]
        peer.send_lines(*lines, event("execution.ended", name, outcome="succeeded"))
        sent += 100
        while acked < sent:
            reply = peer.next()
            assert reply is not None
            if "busy" in reply:
                assert reply["busy"]["code"] == "storage_full"
                return sent, acked
            assert "ack" in reply, reply
            acked = reply["ack"]["lines"]


def status(daemon: Daemon) -> Json:
    """Return how it is."""
    return ask(daemon, "status").one("status")


@pytest.mark.covers("P15", "D1", "D5", "D10")
@pytest.mark.slow
def test_retention_makes_room(daemon: Daemon, disk: SmallDisk) -> None:
    """On a full disk reads, a hello and retention go on, by what was kept aside; ingestion resumes."""
    with IngestPeer(daemon.ingest_socket) as peer:
        peer.settle(log("first", "what is kept aside is made before the first commit"))
    assert status(daemon)["reserve_bytes"] == SIZE_BYTES // 8
    disk.fill(leave_bytes=12 * MIB)
    with IngestPeer(daemon.ingest_socket) as peer:
        peer.hello("p")
        sent, acked = fill_by_emitting(peer, 0)
        full = daemon.wait_for_entry("storage fault")
        assert full["state"] == "storage_full"
        daemon.wait_for_entry("storage fault", where=lambda entry: "retention" in entry["hint"])
        found = status(daemon)
        assert (found["state"], found["reserve_bytes"]) == ("storage_full", 0)
        assert "retention" in found["state_reason"]
        assert len(ask(daemon, "tail", after=0, follow=False, limit=5).lines) == 5
        with IngestPeer(daemon.ingest_socket) as other:
            assert other.hello("other")["ready"]["acked"] == 0

        done = govern(daemon, "retention", "--older-than", "0s", "--level", "DEBUG")
        assert done["lines"] > 5000

        replies = peer.until_ack(sent)
        assert not [reply for reply in replies if "refused" in reply]
        peer.send_lines(log("after", "there is room"))
        peer.until_ack(sent + 1)
    daemon.wait_for_entry("storage works again")
    found = status(daemon)
    assert (found["state"], found["reserve_bytes"]) == ("ok", SIZE_BYTES // 8)
    assert acked <= sent
    with IngestPeer(daemon.ingest_socket) as peer:
        assert peer.hello("p")["ready"]["acked"] == sent + 1
    assert govern(daemon, "rebuild", "--check") == []


@pytest.mark.covers("P15")
@pytest.mark.slow
def test_it_starts_and_stops_on_a_full_disk(daemon: Daemon, disk: SmallDisk) -> None:
    """Killed while the disk is full it starts there, answers, stops, and goes on when there is room."""
    disk.fill(leave_bytes=8 * MIB)
    with IngestPeer(daemon.ingest_socket) as peer:
        peer.hello("p")
        sent, _ = fill_by_emitting(peer, 0)
        disk.fill(leave_bytes=256 * 1024)  # what was given up as well; not even SQLite starts in less
        daemon.kill()
    daemon.start()
    acked = [
        row["line"] for row in ask(daemon, "tail", after=0, follow=False).lines if row["producer"] == "p"
    ]
    assert acked == list(range(1, len(acked) + 1))
    assert daemon.terminate() == 0
    daemon.start()
    (disk.root / "somebody-else").unlink()
    with IngestPeer(daemon.ingest_socket) as peer:
        assert peer.hello("p", len(acked) + 1)["ready"]["acked"] == len(acked)
        peer.send_lines(log("after", "there is room"))
        peer.until_ack(len(acked) + 1)
    assert sent > len(acked) > 0


@pytest.mark.covers("P15")
def test_a_file_that_may_not_grow(daemon_factory: DaemonFactory) -> None:
    """A limit on the size of a process's files is a full disk with a hint of its own, until it is raised."""
    daemon = daemon_factory(start=False, retry_ms=50, search=False, reserve_bytes=0)
    daemon.prefix = ["prlimit", f"--fsize={4 * MIB}:"]
    daemon.start()
    with IngestPeer(daemon.ingest_socket) as peer:
        sent, _ = fill_by_emitting(peer, 0)
        found = status(daemon)
        assert found["state"] == "storage_full"
        assert "LimitFSIZE" in found["state_reason"]
        resource.prlimit(daemon.pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        peer.until_ack(sent)
    daemon.wait_for_entry("storage works again")
    assert status(daemon)["state"] == "ok"


@pytest.mark.covers("P11", "P15")
def test_a_disk_without_a_byte(disk: SmallDisk, home: Path) -> None:
    """A first start there says that it cannot, in a sentence; `doctor` says that nothing can be spooled."""
    disk.fill()
    with suppress(OSError):
        (disk.root / "rest").write_bytes(bytes(MIB))
    state, runtime = home / "state", home / "run"
    command = [*disk.prefix, sys.executable, "-P", "-m"]
    where = ["--state-dir", str(state), "--runtime-dir", str(runtime)]
    environment = clean_environment(FLIGHTLOG_SPOOL_DIR=str(state / "spool"))
    done = subprocess.run(
        [*command, "flightlogd", *where], capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, "hint: free" in done.stderr, "Traceback" in done.stderr) == (2, True, False), (
        done
    )
    (disk.root / "spool").mkdir()
    done = subprocess.run(
        [*command, "flightlog", "doctor", "--runtime-dir", str(runtime)],
        capture_output=True,
        text=True,
        timeout=60,
        env=environment,
        check=False,
    )
    [spool] = [line.split("\t") for line in done.stdout.splitlines() if "\tspool\t" in line]
    assert (done.returncode, spool[0], "No space left on device" in spool[2]) == (1, "bad", True), done
