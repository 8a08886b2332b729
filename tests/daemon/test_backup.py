"""`flightlogd backup`: a copy made while the log grows is the log, and can take its place."""

import threading
from pathlib import Path

import pytest

from support.daemon import Daemon, DaemonFactory, run_flightlogd
from support.govern import ask, govern, is_whole, messages, record
from support.lines import event, log, logs
from support.peers import IngestPeer


def back_up(daemon: Daemon, target: Path, code: int = 0) -> str:
    """Run the verb on a daemon's directories and return what it wrote."""
    directories = ("--state-dir", str(daemon.state_dir), "--runtime-dir", str(daemon.runtime_dir))
    done = run_flightlogd("backup", str(target), *directories)
    assert done.returncode == code, done.stderr
    return done.stdout + done.stderr


@pytest.mark.covers("P12")
def test_a_copy_made_under_load_takes_the_logs_place(daemon_factory: DaemonFactory, tmp_path: Path) -> None:
    """Copied while lines come, the log is whole up to where the copying began, and goes on from there."""
    daemon = daemon_factory()
    record(daemon, "old", *logs("old", 3000))
    govern(daemon, "retention", "--older-than", "0s")
    record(daemon, "kept", *logs("kept", 40_000), name="kept", goal="to be there")
    stop = threading.Event()

    def write() -> None:
        with IngestPeer(daemon.ingest_socket) as peer:
            peer.hello("writer")
            number = 0
            while not stop.is_set():
                number += 1
                peer.send_lines(log("busy", f"line {number}", id=f"key-{number}"))
                peer.until_ack(number)

    writing = threading.Thread(target=write)
    writing.start()
    target = tmp_path / "copy.db"
    try:
        said = back_up(daemon, target)
    finally:
        stop.set()
        writing.join()
    assert "positions" in said

    assert target.stat().st_mode & 0o077 == 0
    restored = daemon_factory(name="restored")
    record(restored, "other", *logs("other", 5000))
    restored.kill()  # what it leaves beside its database must not be taken for the copy's
    where = ("--state-dir", str(restored.state_dir), "--runtime-dir", str(restored.runtime_dir))
    done = run_flightlogd("restore", str(target), *where)
    assert (done.returncode, "restored; what was there is" in done.stdout) == (0, True), done.stderr
    assert run_flightlogd("restore", str(tmp_path / "none"), *where).returncode == 2
    assert govern(restored, "verify")["damage"] == []
    restored.start()
    assert messages(restored, "kept") == messages(daemon, "kept")
    assert messages(restored, "old") == []
    one = ask(restored, "inspect", execution_id="kept").one("execution")
    assert one == ask(daemon, "inspect", execution_id="kept").one("execution")
    then, now = messages(restored, "busy"), messages(daemon, "busy")
    assert then == now[: len(then)]
    assert is_whole(restored)
    # Keys and producers came along: what was stored once is not stored again.
    with IngestPeer(restored.ingest_socket) as peer:
        assert peer.hello("writer", 1)["ready"]["acked"] == len(then)
        if then:
            again = log("busy", "line 1", id="key-1")
            peer.send_lines(*(event("x.y", "busy") for _ in then), again)
            assert any("duplicate" in reply for reply in peer.until_ack(len(then) + 1))


@pytest.mark.covers("P12")
def test_without_a_daemon_and_where_it_cannot_be(daemon: Daemon, tmp_path: Path) -> None:
    """With no daemon it copies as well; it replaces nothing, and leaves no half of a copy."""
    record(daemon, "a", *logs("a", 100))
    daemon.terminate()
    target = tmp_path / "copy.db"
    back_up(daemon, target)
    assert govern(daemon, "verify")["damage"] == []
    assert "is there already" in back_up(daemon, target, code=2)
    assert "hint:" in back_up(daemon, tmp_path / "no" / "copy.db", code=2)
    assert [path.name for path in tmp_path.iterdir()] == ["copy.db"]
