"""systemd's journal, in and out: a real journald in a namespace of its own, and what journalctl writes."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from cli.runner import TIMEOUT_S, Cli
from flightlog.importing.journal import EXITED, FAILED, SUCCEEDED
from support.daemon import Daemon
from support.fake_daemon import FakeDaemon
from support.lines import event, log
from support.origins import id_here, ran, repeat
from support.peers import IngestPeer
from support.programs import events

INNER = Path(__file__).parents[1] / "support" / "journald.sh"
FLIGHTLOG = f"{sys.executable} -P -m flightlog"
BOOT = "b" * 32
FIRST, SECOND = "1" * 32, "2" * 32

WRITE = """
import socket, struct, sys
def send(**fields):
    data = b""
    for name, value in fields.items():
        value = value if isinstance(value, bytes) else str(value).encode()
        data += name.encode() + b"\\n" + struct.pack("<Q", len(value)) + value + b"\\n"
    peer = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    peer.sendto(data, "/run/systemd/journal/socket")
"""


def entry(number: int, message: object, **fields: object) -> str:
    """Return an entry as `journalctl -o json` writes it."""
    time = str(1_790_000_000_000_000 + number)
    said = {
        "__CURSOR": f"s=abc;i={number};b={BOOT};m=1;t=2;x=3", "__REALTIME_TIMESTAMP": time,
        "__MONOTONIC_TIMESTAMP": "7", "_BOOT_ID": BOOT, "_HOSTNAME": "host", "PRIORITY": "6",
        "MESSAGE": message,
    }  # fmt: skip
    return json.dumps(said | fields) + "\n"


def of_unit(number: int, message: object, invocation: str, **fields: object) -> str:
    """Return an entry that a unit wrote."""
    own = {"_SYSTEMD_UNIT": "job.service", "_SYSTEMD_INVOCATION_ID": invocation, "SYSLOG_IDENTIFIER": "job"}
    return entry(number, message, **{**own, "_PID": "77", **fields})


def of_systemd(number: int, message: str, invocation: str, message_id: str, **fields: object) -> str:
    """Return an entry that systemd wrote about that unit."""
    about = {"UNIT": "job.service", "INVOCATION_ID": invocation, "MESSAGE_ID": message_id}
    own = {"_PID": "1", "_SYSTEMD_UNIT": "init.scope", "SYSLOG_IDENTIFIER": "systemd"}
    return entry(number, message, **about, **own, **fields)


JOURNAL = "".join(
    [
        of_unit(1, "begins", FIRST, PRIORITY="4", SHARD="7"),
        of_unit(2, [255, 104, 105], FIRST),
        of_unit(3, "password=hunter2hunter2", FIRST, COLOUR=["red", "blue"]),
        of_systemd(4, "Main process exited, status=3", FIRST, EXITED, EXIT_CODE="exited", EXIT_STATUS="3"),
        of_systemd(5, "Failed with result 'exit-code'.", FIRST, FAILED, UNIT_RESULT="exit-code"),
        of_unit(6, "again", SECOND),
        of_unit(7, "not systemd", SECOND, MESSAGE_ID=FAILED, UNIT="job.service", INVOCATION_ID=SECOND),
        of_systemd(8, "Deactivated successfully.", SECOND, SUCCEEDED),
        entry(9, "kernel says", _TRANSPORT="kernel", SYSLOG_IDENTIFIER="kernel", PRIORITY="3"),
        entry(10, "ours", FLIGHTLOG_SEQ="12"),
    ]
)


@pytest.mark.covers("P9", "D4", "S1.1")
def test_runs_of_units_are_executions(flightlog: Cli, daemon: Daemon, home: Path) -> None:
    """Each invocation is an execution with lines, levels, fields and end; a second import adds nothing."""
    (home / "j.json").write_text(JOURNAL)

    first = flightlog.ok("import", "journal", str(home / "j.json"), "--json").json
    again = flightlog.ok("import", "journal", str(home / "j.json"))

    assert first["entries"] == {"total": 9, "added": 9, "skipped": 0, "failed": 0}
    assert first["own"] == 1
    assert again.out == "9 entries: 0 added, 9 skipped, 0 failed; 1 of flightlog's own passed over\n"
    found = {one["execution_id"]: one for one in flightlog.ok("list", "--json").json}
    kernel = f"journal-{BOOT[:12]}-kernel"
    assert found.keys() == {FIRST, SECOND, kernel}
    assert [found[one]["name"] for one in (FIRST, SECOND, kernel)] == ["job.service", "job.service", "kernel"]
    failed = found[FIRST]
    assert (failed["status"], failed["exit_status"], failed["outcome_reason"]) == ("failed", 3, "exit-code")
    assert failed["error"]["message"] == "Main process exited, status=3"
    assert failed["labels"] == {"host": "host", "boot_id": BOOT}
    assert found[SECOND]["status"] == "succeeded"

    lines = events(daemon, type=["log"], execution_id=FIRST)
    assert [line["message"] for line in lines[:3]] == ["begins", "\\xffhi", "password=********"]
    assert lines[0]["fields"] == {"_PID": "77", "SHARD": "7"}
    assert lines[2]["fields"]["COLOUR"] == ["red", "blue"]
    assert (lines[0]["level"], lines[0]["source"], lines[0]["time"]) == (13, "job", 1_790_000_000_000_001)
    assert flightlog.ok("logs", kernel, "--json", "--level", "ERROR").json["message"] == "kernel says"


def test_numbers_that_are_none(flightlog: Cli, daemon: Daemon, home: Path) -> None:
    """A time that no clock shows names its line; levels and exit statuses like it are left out."""
    path = home / "strange.json"
    path.write_text(
        entry(1, "timeless", __REALTIME_TIMESTAMP="9" * 5000)
        + of_unit(2, "very important", FIRST, PRIORITY="9" * 5000)
        + of_systemd(3, "exited", FIRST, EXITED, EXIT_CODE="exited", EXIT_STATUS="\N{SUPERSCRIPT TWO}")
        + of_systemd(4, "failed", FIRST, FAILED, UNIT_RESULT="exit-code")
    )
    done = flightlog("import", "journal", str(path))

    assert (done.code, done.out) == (2, "4 entries: 3 added, 0 skipped, 1 failed\n")
    assert done.err.endswith("strange.json:1: it has no __REALTIME_TIMESTAMP\n")
    assert [line["level"] for line in events(daemon, type=["log"])] == [9, 9, 9]
    assert [end.get("exit_status") for end in events(daemon, type=["execution.ended"])] == [None]


@pytest.mark.covers("D5")
def test_fields_that_are_there_several_times(flightlog: Cli, daemon: Daemon, home: Path) -> None:
    """Of several messages the first is the line's, and all are in its fields, as of any other name."""
    path = home / "several.json"
    path.write_text(
        of_unit(1, ["first", [255, 50]], FIRST, PRIORITY=["4", "6"])
        + "\n"
        + of_unit(2, [["nested"], {"a": 1}, None], FIRST, COLOUR=[])
        + of_unit(3, [], FIRST)
    )
    done = flightlog.ok("import", "journal", str(path))

    assert done.out == "3 entries: 3 added, 0 skipped, 0 failed\n"
    first, odd, empty = events(daemon, type=["log"])
    assert (first["message"], first["level"]) == ("first", 13)
    assert first["fields"] == {"MESSAGE": ["first", "\\xff2"], "PRIORITY": ["4", "6"], "_PID": "77"}
    assert odd["fields"]["MESSAGE"] == ["['nested']", "{'a': 1}", ""]
    assert empty["message"] == ""


def test_an_entry_fails_once(flightlog: Cli, home: Path) -> None:
    """An entry that is refused fails as one, however many events it is told by."""
    path = home / "refused.json"
    path.write_text(of_unit(1, "refused", "run~0123456789ab") + of_unit(2, "fine", FIRST))
    done = flightlog("import", "journal", str(path))

    assert (done.code, done.out) == (2, "2 entries: 1 added, 0 skipped, 1 failed\n")
    assert done.err.count("refused.json:1: ") == 1


def test_a_daemon_that_goes_away(home: Path) -> None:
    """Where the connection breaks, what to do is to run it again: entries have keys."""
    daemon = FakeDaemon(home)
    flightlog = Cli(home)
    with daemon.listener, flightlog.running("import", "journal", "-") as running:
        assert running.process.stdin is not None
        running.process.stdin.write(of_unit(1, "told", FIRST).encode())
        running.process.stdin.close()
        running.process.stdin = None
        with daemon.accept() as producer:
            producer.said(2)
        _, err = running.process.communicate(timeout=TIMEOUT_S)

    assert running.process.returncode == 2
    assert b"hint: run it again: what is stored is skipped" in err


@pytest.mark.covers("D9")
def test_a_second_signal_does_not_wait(home: Path) -> None:
    """The first signal ends the reading; while the daemon is busy, a second one ends the import at once."""
    (home / "journalctl").write_text(
        f"#!/bin/sh\necho '{of_unit(1, 'told', FIRST)}'\nexec tail -f /dev/null\n"
    )
    (home / "journalctl").chmod(0o755)
    daemon = FakeDaemon(home)
    path = f"{home}:{os.environ['PATH']}"
    with (
        daemon.listener,
        Cli(home).running("import", "journal", "--follow", PATH=path) as running,
        daemon.accept() as producer,
    ):
        producer.said(2)
        producer.say(busy={"code": "storage_full"})
        running.process.terminate()
        assert "bye" in producer.said()[0]
        running.process.terminate()
        running.process.communicate(timeout=TIMEOUT_S)

    assert running.process.returncode == 130


def test_what_is_no_journal(flightlog: Cli, alone: Cli, home: Path) -> None:
    """Lines that are no entries are named and passed over; choices go with this machine's journal alone."""
    (home / "j.json").write_text("nothing\n{}\n" + of_unit(1, None, FIRST))

    done = flightlog("import", "journal", str(home / "j.json"))
    assert (done.code, done.out) == (2, "3 entries: 1 added, 0 skipped, 2 failed\n")
    assert "j.json:2: no entry of a journal: it has no __CURSOR" in done.err
    assert alone("import", "journal", str(home / "j.json"), "--dry-run").out.startswith(
        "1 entries would be sent"
    )
    assert alone("import", "journal", str(home / "gone")).code == 2
    for wrong in (["journal", "x", "-u", "a"], ["codex", "x", "--follow"], ["events", "x", "-S", "1d"]):
        assert flightlog("import", *wrong).code == 3
    (home / "cursor").write_text("no cursor")
    done = flightlog("import", "journal", "--cursor-file", str(home / "cursor"))
    assert done.code == 2
    assert "holds no cursor of a journal" in done.err
    done = flightlog("import", "journal", PATH="/nowhere")
    assert done.code == 2
    assert "journalctl cannot be run" in done.err


def beside_journald(flightlog: Cli, home: Path, script: str) -> str:
    """Run a script beside a journald of its own and return what it wrote."""
    python = f"{sys.executable} -P"
    head = f'set -eu\nwrite() {{ {python} -c "$(cat {home}/write.py)\n$1"; }}\n'
    head += f'flightlog() {{ {FLIGHTLOG} "$@"; }}\n'
    (home / "write.py").write_text(WRITE)
    (home / "script.sh").write_text(head + script)
    done = subprocess.run(
        ["unshare", "--mount", "--propagation", "private", "bash", str(INNER), str(home / "script.sh")],
        env=flightlog.environment(),
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
    )
    if "unshare" in done.stderr:
        pytest.skip(f"namespaces are not allowed here: {done.stderr}")
    assert done.returncode == 0, done
    return done.stdout


needs_journald = pytest.mark.skipif(
    os.geteuid() != 0 or not Path("/lib/systemd/systemd-journald").exists() or not shutil.which("unshare"),
    reason="root and systemd are needed",
)


@needs_journald
@pytest.mark.slow
@pytest.mark.covers("P9", "D4")
def test_a_real_journal_is_followed(flightlog: Cli, daemon: Daemon, home: Path) -> None:
    """Entries of a real journald are told as they come; the next import goes on after the last."""
    out = beside_journald(
        flightlog,
        home,
        f"""
        write 'send(MESSAGE="one", SYSLOG_IDENTIFIER="demo", PRIORITY=4)'
        write 'send(MESSAGE="other", SYSLOG_IDENTIFIER="else")'
        journalctl --sync
        flightlog import journal -t demo --since 1h --cursor-file {home}/cursor
        write 'send(MESSAGE=b"two\\nlines " + b"x" * 20000, SYSLOG_IDENTIFIER="demo", SHARD="7")'
        journalctl --sync
        flightlog import journal -t demo --cursor-file {home}/cursor
        flightlog import journal -t demo
        {FLIGHTLOG} import journal -t demo -f --cursor-file {home}/cursor >{home}/followed &
        following=$!
        trap 'kill $following' EXIT
        write 'send(MESSAGE="three", SYSLOG_IDENTIFIER="demo")'
        execution=$(flightlog list --name demo --json | grep -o '"execution_id": *"[^"]*' | cut -d'"' -f4)
        timeout 60 {FLIGHTLOG} logs -f $execution | grep -q 'three$'
        kill -TERM $following
        trap - EXIT
        wait $following && cat {home}/followed
        """,
    )

    assert out.splitlines() == [
        "1 entries: 1 added, 0 skipped, 0 failed",
        "1 entries: 1 added, 0 skipped, 0 failed",
        "2 entries: 0 added, 2 skipped, 0 failed",
        "1 entries: 1 added, 0 skipped, 0 failed",
    ]
    one, two, three = events(daemon, type=["log"])
    assert [line["message"][:9] for line in (one, two, three)] == ["one", "two\nlines", "three"]
    assert len(two["message"]) == 20_010
    assert two["fields"]["SHARD"] == "7"
    assert one["level"] == 13
    assert one["fields"]["_TRANSPORT"] == "journal"


@needs_journald
@pytest.mark.slow
@pytest.mark.covers("P9", "P3")
def test_events_go_to_the_journal(flightlog: Cli, daemon: Daemon, home: Path) -> None:
    """`tail --to-journal` writes entries with proper fields, of any size, once; none comes back."""
    large = "x" * 400_000
    with IngestPeer(daemon.ingest_socket) as peer:
        peer.settle(
            event("execution.started", "e", name="demo"),
            event("log", "e", message="two\nlines", level="WARN", source="db", task_id="t",
                  fields={"code.file.path": "/a.py", "code.line.number": 7, "n": [1]}),
            event("log", "e", message=large, level="FATAL"),
            event("execution.ended", "e", outcome="failed", error={"message": "no"}),
        )  # fmt: skip

    out = beside_journald(
        flightlog,
        home,
        f"""
        flightlog tail --execution e --after 0 --no-follow --to-journal --cursor journal
        flightlog tail --execution e --no-follow --to-journal --cursor journal
        journalctl --sync
        journalctl -t flightlog -o json --all >{home}/out.json
        flightlog import journal -t flightlog
        journalctl FLIGHTLOG_TASK_ID=t -o cat
        """,
    )

    assert out.splitlines() == [
        "0 entries: 0 added, 0 skipped, 0 failed; 4 of flightlog's own passed over", "two", "lines"
    ]  # fmt: skip
    found = [json.loads(line) for line in (home / "out.json").read_text().splitlines()]
    began, line, long, ended = found
    assert [one["PRIORITY"] for one in found] == ["6", "4", "2", "3"]
    assert [one["FLIGHTLOG_SEQ"] for one in found] == ["2", "3", "4", "5"]
    assert {one["FLIGHTLOG_EXECUTION_ID"] for one in found} == {"e"}
    assert line["MESSAGE"] == "two\nlines"
    assert (line["CODE_FILE"], line["CODE_LINE"], line["FLIGHTLOG_SOURCE"]) == ("/a.py", "7", "db")
    assert json.loads(line["FLIGHTLOG_FIELDS"])["n"] == [1]
    assert long["MESSAGE"] == large
    assert began["MESSAGE"].startswith("execution.started")
    assert json.loads(ended["FLIGHTLOG_EVENT"])["error"] == {"message": "no"}
    assert began["FLIGHTLOG_TIME"].endswith("Z")


@needs_journald
@pytest.mark.slow
@pytest.mark.covers("P9", "P18")
def test_whose_an_entry_is(flightlog: Cli, daemon: Daemon, home: Path) -> None:
    """What another machine recorded names that one, and its execution as it is called here."""
    repeat(daemon, *ran("far", "build-7", log("build-7", "over there")))

    beside_journald(
        flightlog,
        home,
        f"""
        flightlog tail --type log --after 0 --no-follow --to-journal
        journalctl --sync
        journalctl -t flightlog -o json >{home}/out.json
        """,
    )

    (found,) = map(json.loads, (home / "out.json").read_text().splitlines())
    assert (found["MESSAGE"], found["FLIGHTLOG_HOST"]) == ("over there", "far")
    assert found["FLIGHTLOG_EXECUTION_ID"] == id_here("far", "build-7")


def test_no_journal_to_write_to(flightlog: Cli) -> None:
    """Where no journald runs, or a form is asked for, too, `tail --to-journal` says so."""
    if not Path("/run/systemd/journal/socket").exists():
        done = flightlog("tail", "--to-journal", "--no-follow")
        assert (done.code, "the journal cannot be written" in done.err) == (2, True)
    assert flightlog("tail", "--to-journal", "--json").code == 3
