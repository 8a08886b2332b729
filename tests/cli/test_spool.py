"""`flightlog spool`, `exec` without a daemon, and what `status` says of what waits."""

import os
from pathlib import Path

import pytest

from cli.runner import Cli
from flightlog.courier import spool_paths
from support.daemon import Daemon, DaemonFactory
from support.programs import messages
from support.spools import spooled_messages


@pytest.fixture
def spool(home: Path) -> Path:
    """Give the directory of spools of a test."""
    return home / "spool"


def record(cli: Cli, spool: Path, text: str) -> None:
    """Record a command without a daemon, so that it waits in the spool."""
    done = cli.ok("exec", "--name", text, "--", "echo", text, FLIGHTLOG_SPOOL_DIR=str(spool))
    assert done.out == f"{text}\n"


@pytest.mark.covers("S1.15", "P5")
def test_exec_without_a_daemon_leaves_what_it_recorded(daemon_factory: DaemonFactory, spool: Path) -> None:
    """`exec` ends with its command where no daemon is, and what it recorded is delivered later."""
    daemon = daemon_factory(start=False)
    cli = Cli(daemon.runtime_dir)

    done = cli("exec", "--", "sh", "-c", "echo out; exit 3", FLIGHTLOG_SPOOL_DIR=str(spool))

    assert (done.code, done.out) == (3, "out\n")
    assert done.err.count("\n") == 1
    assert "delivered later" in done.err
    assert spooled_messages(spool) == ["out"]
    daemon.start()
    cli.ok("exec", "--", "true", FLIGHTLOG_SPOOL_DIR=str(spool))
    assert spool_paths(spool) == []
    assert messages(daemon) == ["out"]


def test_list_and_deliver(daemon_factory: DaemonFactory, spool: Path) -> None:
    """`spool list` shows what waits, `spool deliver` delivers it to the daemon that it was meant for."""
    daemon = daemon_factory(start=False)
    cli = Cli(daemon.runtime_dir)
    assert cli.ok("spool", "list", FLIGHTLOG_SPOOL_DIR=str(spool)).out == ""
    for text in ("one", "two"):
        record(cli, spool, text)

    listed = cli.ok("spool", "list", FLIGHTLOG_SPOOL_DIR=str(spool)).rows
    assert [(row[1], row[2], row[5]) for row in listed] == [("waiting", "3", str(daemon.runtime_dir))] * 2
    (first, _) = cli.ok("spool", "list", "--json", FLIGHTLOG_SPOOL_DIR=str(spool)).json
    assert (first["state"], first["lines"], first["ended"], first["reason"]) == ("waiting", 3, True, None)
    assert first["created_at"].endswith("Z")
    away = cli("spool", "deliver", FLIGHTLOG_SPOOL_DIR=str(spool))
    assert away.code == 2
    assert away.err.count("no daemon listens on") == 1
    daemon.start()

    # Wherever it is called from: each spool knows its daemon.
    done = Cli(spool / "elsewhere").ok("spool", "deliver", "--dir", str(spool))

    assert done.err == "flightlog spool deliver: 2 spools delivered, 6 lines\n"
    assert spool_paths(spool) == []
    assert messages(daemon) == ["one", "two"]
    assert (
        cli.ok("spool", "deliver", FLIGHTLOG_SPOOL_DIR=str(spool)).err
        == "flightlog spool deliver: nothing was delivered\n"
    )


def test_deliver_elsewhere(daemon: Daemon, home: Path, spool: Path) -> None:
    """`spool deliver --runtime-dir` delivers to the daemon that is named, whatever the programs asked for."""
    record(Cli(home / "nobody"), spool, "moved")

    Cli(home / "nobody").ok(
        "spool", "deliver", "--runtime-dir", str(daemon.runtime_dir), FLIGHTLOG_SPOOL_DIR=str(spool)
    )

    assert messages(daemon) == ["moved"]


def test_deliver_shows_how_far_it_is(daemon: Daemon, home: Path, spool: Path) -> None:
    """On a terminal `spool deliver` draws a bar."""
    record(Cli(home / "nobody"), spool, "bar")

    shown = Cli(daemon.runtime_dir).on_terminal(
        "spool", "deliver", "--runtime-dir", str(daemon.runtime_dir), FLIGHTLOG_SPOOL_DIR=str(spool)
    )

    assert "100%" in shown


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"garbage\n", "damaged"),
        (b"", "no first line"),
        (
            b'{"spool":{"format":9,"producer":"p","uid":%d,"line":1,"runtime_dir":null,"created":0}}\n',
            "format is 9",
        ),
        (
            b'{"spool":{"format":1,"producer":"p","uid":12345,"line":1,"runtime_dir":null,"created":0}}\n',
            "user",
        ),
    ],
)
def test_spool_that_cannot_be_read_is_said_and_kept(
    daemon: Daemon, spool: Path, content: bytes, reason: str
) -> None:
    """A file that is no spool, or of another format or user, is shown with the reason, and stays as it is."""
    spool.mkdir()
    file = spool / "strange.spool"
    file.write_bytes(content.replace(b"%d", str(os.geteuid()).encode()))
    cli = Cli(daemon.runtime_dir)

    (row,) = cli.ok("spool", "list", "--dir", str(spool)).rows
    done = cli("spool", "deliver", "--dir", str(spool))

    assert row[1] == "unreadable"
    assert reason in row[6]
    assert done.code == 2
    assert reason in done.err
    assert file.exists()
    cli.ok("exec", "--", "true", FLIGHTLOG_SPOOL_DIR=str(spool))
    assert file.exists()


def test_status_tells_what_waits(daemon_factory: DaemonFactory, spool: Path) -> None:
    """`status` tells how many lines wait on disk, with a daemon and without."""
    daemon = daemon_factory(start=False)
    cli = Cli(daemon.runtime_dir)
    record(cli, spool, "one")

    away = cli("status", FLIGHTLOG_SPOOL_DIR=str(spool))
    daemon.start()
    there = cli.ok("status", FLIGHTLOG_SPOOL_DIR=str(spool))

    assert away.code == 2
    assert f"flightlog status: 3 lines wait in {spool}\n" in away.err
    assert ["spool", f"3 lines wait in {spool}"] in there.rows
    assert cli.ok("status", "--json", FLIGHTLOG_SPOOL_DIR=str(spool)).json["spool"]["lines"] == 3
