"""`flightlog logs --check`: whether all is here, or what is missing and why, with real processes."""

import os
import signal
import sys
from typing import Any

import pytest

from cli.runner import Cli, Done
from support.daemon import Daemon
from support.govern import govern, record
from support.lines import event, log, logs
from support.owners import await_events
from support.peers import IngestPeer
from support.programs import finish_program, run_program, start_program
from support.rebuild import stopped, tell

BYE = b'{"bye":{"lines":%d}}\n'


def check(daemon: Daemon, execution: str, code: int) -> Done:
    """Return what --check says in text; its exit code must be this."""
    done = Cli(daemon.runtime_dir)("logs", execution, "--check")
    assert (done.code, done.err) == (code, ""), done
    return done


def answer(daemon: Daemon, execution: str) -> dict[str, Any]:
    """Return what --check says in JSON."""
    found = Cli(daemon.runtime_dir)("logs", execution, "--check", "--json").json
    assert isinstance(found, dict)
    return found


@pytest.mark.covers("S1.10")
def test_a_whole_execution(shared_daemon: Daemon) -> None:
    """Where every line came, the verdict is one line that counts them, exit code 0."""
    code = """
        import flightlog
        with flightlog.execution("clean", execution_id="clean") as run:
            for number in range(500):
                run.info(number)
        """
    assert run_program(code, shared_daemon.runtime_dir).returncode == 0

    assert check(shared_daemon, "clean", 0).lines == ["all 502 records present"]
    found = answer(shared_daemon, "clean")
    (producer,) = found["producers"]
    assert found["complete"] is True
    assert found["so_far"] is False
    assert (found["records"], found["logs"], found["log_count"], found["pruned"]) == (502, 500, 500, 0)
    assert producer["state"] == "closed"
    assert producer["last_seen"].endswith("Z")
    assert producer["exclusive"] is True
    assert (producer["first_line"], producer["last_line"], producer["settled_line"]) == (1, 502, 502)
    assert producer["uid"] == os.getuid()


@pytest.mark.covers("S1.10")
def test_one_that_runs_is_whole_so_far(shared_daemon: Daemon) -> None:
    """While an execution runs, or somebody who wrote to it is connected, more may come, and who is named."""
    with IngestPeer(shared_daemon.ingest_socket) as peer:
        peer.hello("running-1")
        peer.send_lines(event("execution.started", "running"), *logs("running", 3))
        peer.until_ack(4)

        first, who = check(shared_daemon, "running", 0).lines
        assert first == "all 4 records so far"
        assert who.startswith(
            "- a producer is connected and may say more after line 4; producer running-1, pid "
        )
        assert f"pid {os.getpid()}, uid {os.getuid()}; " in who
        peer.send_lines(event("execution.ended", "running", outcome="succeeded"))
        peer.until_ack(5)
        assert check(shared_daemon, "running", 0).lines == ["all 5 records present"]


@pytest.mark.covers("S1.10", "D5")
def test_a_process_that_died_with_unsent_lines_is_named(daemon: Daemon) -> None:
    """A client that was killed before it could send all is named, with its last line; exit code 1."""
    code = """
        import sys, flightlog
        run = flightlog.execution("died", execution_id="died").start()
        run.info("sent")
        flightlog.flush()
        print("sent", flush=True)
        sys.stdin.readline()
        run.info("never sent")
        print("held", flush=True)
        sys.stdin.readline()
        """
    program = start_program(code, daemon.runtime_dir)
    assert program.stdin is not None
    assert program.stdout is not None
    with program:
        assert program.stdout.readline() == "sent\n"
        daemon.signal(signal.SIGSTOP)
        program.stdin.write("\n")
        program.stdin.flush()
        assert program.stdout.readline() == "held\n"
        program.send_signal(signal.SIGKILL)
        program.wait()
        daemon.signal(signal.SIGCONT)
    await_events(daemon, "execution.lost")

    first, finding = check(daemon, "died", 1).lines
    assert first == "not all is here: 3 records present, and"
    assert finding.startswith(
        "- nothing is known after line 2: its process died without a goodbye; producer "
    ), finding
    assert f"pid {program.pid}, uid {os.getuid()}; " in finding
    assert answer(daemon, "died")["producers"][0]["state"] == "died"


@pytest.mark.covers("S1.10", "S1.2", "D5")
def test_declared_drops_are_counted_by_level_and_cause(daemon: Daemon) -> None:
    """What a producer's buffer had no room for is there as a number, and with the records makes all."""
    code = """
        import sys, flightlog
        client = flightlog.Client(buffer_limit_bytes=16 * 1024)
        run = client.execution("drops", execution_id="drops").start()
        client.flush()
        print("started", flush=True)
        sys.stdin.readline()
        for number in range(1000):
            run.log("x" * 100, level="DEBUG" if number % 2 else "WARN")
        print("written", flush=True)
        sys.stdin.readline()
        run.end()
        assert client.close(20)
        """
    program = start_program(code, daemon.runtime_dir)
    assert program.stdin is not None
    assert program.stdout is not None
    assert program.stdout.readline() == "started\n"
    daemon.signal(signal.SIGSTOP)
    program.stdin.write("\n")
    program.stdin.flush()
    assert program.stdout.readline() == "written\n"
    daemon.signal(signal.SIGCONT)
    assert finish_program(program, "\n").returncode == 0

    found = answer(daemon, "drops")
    drops = [finding for finding in found["findings"] if finding["kind"] == "dropped"]
    assert [finding["kind"] for finding in found["findings"]] == ["dropped"] * len(drops)
    assert found["logs"] + sum(finding["count"] for finding in drops) == 1000
    assert all(finding["reason"] == "buffer_full" and finding["certain"] for finding in drops)
    assert sum(sum(finding["by_level"].values()) for finding in drops) == 1000 - found["logs"]
    text = check(daemon, "drops", 1)
    assert "events were dropped by the producer (" in text.out
    assert "): buffer full; producer " in text.out


@pytest.mark.covers("S1.10", "D5")
def test_refused_lines_are_told_with_their_reason(shared_daemon: Daemon) -> None:
    """A refused line that names the execution is missing; that of another, or a lost race, is not."""
    tell(
        shared_daemon,
        event("execution.started", "refused"),
        b'{"type":"log","execution_id":"refused","message":5}',
        b'{"type":"log","execution_id":"refused","message":5}',
        b'{"type":"log","execution_id":"another","message":5}',
        event("execution.changed", "refused", expect_seq=1, labels={"a": "b"}),
        event("execution.ended", "refused", outcome="succeeded"),
    )

    first, refused, conflict = check(shared_daemon, "refused", 1).lines
    assert first == "not all is here: 2 records present, and"
    assert refused.startswith("- 2 lines were refused (lines 2 to 3): invalid: log: message: expected `str`")
    assert conflict.startswith("- a command came second and was told so, so nothing is missing: conflict: ")


@pytest.mark.covers("S1.10", "D5")
def test_a_gap_in_the_numbers_is_a_loss(shared_daemon: Daemon) -> None:
    """Lines that have a number and never came are named, and those that a goodbye tells of likewise."""
    with IngestPeer(shared_daemon.ingest_socket) as peer:
        peer.hello("gap-1")
        peer.send_lines(event("execution.started", "gap"), log("gap", "one"))
        peer.until_ack(2)
    with IngestPeer(shared_daemon.ingest_socket) as peer:
        peer.hello("gap-1", line=10)
        peer.send_lines(log("gap", "ten"))
        peer.until_ack(10)
        peer.send(BYE % 12)
        peer.half_close()
        peer.rest()

    first, gap, end = check(shared_daemon, "gap", 1).lines
    assert first == "not all is here: 3 records present so far, and"
    assert gap.startswith("- 7 lines never came: lines 3 to 9; producer gap-1, ")
    assert end.startswith("- 2 lines never came: lines 11 to 12; producer gap-1, ")
    assert "another execution" not in gap


@pytest.mark.covers("S1.10")
def test_what_may_be_of_another_execution_is_said_to_be(shared_daemon: Daemon) -> None:
    """A gap of a producer that serves several executions may be of each that was there, and no other."""
    with IngestPeer(shared_daemon.ingest_socket) as peer:
        peer.hello("serves-1")
        peer.send_lines(
            event("execution.started", "serves-early"),
            event("execution.ended", "serves-early", outcome="succeeded"),
            event("execution.started", "serves-a"),
            event("execution.started", "serves-b"),
        )
        peer.until_ack(4)
    with IngestPeer(shared_daemon.ingest_socket) as peer:
        peer.hello("serves-1", line=6)
        peer.send_lines(log("serves-a", "six"), log("serves-b", "seven"))
        peer.until_ack(7)
        peer.send(BYE % 7)
        peer.half_close()
        peer.rest()
    tell(shared_daemon, event("execution.started", "serves-unconcerned"))

    for name in ("serves-a", "serves-b"):
        gap = check(shared_daemon, name, 1).lines[1]
        assert gap.startswith("- 1 line never came: line 5; producer serves-1, "), gap
        assert gap.endswith("; this may be of another execution that it writes to")
    assert check(shared_daemon, "serves-early", 0).lines == ["all 2 records present"]
    assert check(shared_daemon, "serves-unconcerned", 0).lines == ["all 1 record so far"]


@pytest.mark.covers("S1.10")
def test_several_producers_are_looked_at_each(shared_daemon: Daemon) -> None:
    """One of three producers left without a goodbye while it lives: it may come back, the others are done."""
    with IngestPeer(shared_daemon.ingest_socket) as peer:
        peer.hello("several-1")
        peer.send_lines(event("execution.started", "several"), log("several", "m"))
        peer.until_ack(2)
    tell(shared_daemon, log("several", "unnamed"))
    with IngestPeer(shared_daemon.ingest_socket) as peer:
        peer.hello("several-2")
        peer.send_lines(log("several", "m"), event("execution.ended", "several", outcome="succeeded"))
        peer.until_ack(2)

    first, who = check(shared_daemon, "several", 0).lines
    assert first == "all 5 records so far"
    assert who.startswith(
        "- a producer that is not connected still runs and may say more after line 2; producer several-1, "
    )
    states = {producer["state"] for producer in answer(shared_daemon, "several")["producers"]}
    assert states == {"waiting", "unnamed", "finished"}


@pytest.mark.covers("S1.10")
def test_peers_without_a_name_are_whole_as_far_as_they_came(shared_daemon: Daemon) -> None:
    """What `nc` or a shell script sent is complete: there is no number that could be missing."""
    tell(shared_daemon, event("execution.started", "unnamed"), *logs("unnamed", 3))
    tell(shared_daemon, event("execution.ended", "unnamed", outcome="succeeded"))

    assert check(shared_daemon, "unnamed", 0).lines == ["all 5 records present"]


@pytest.mark.covers("S1.10")
def test_exec_that_was_killed_is_named(daemon: Daemon) -> None:
    """When `exec` itself is killed, what its command printed after that is not known."""
    flightlog = Cli(daemon.runtime_dir)
    with flightlog.running("exec", "--name", "killed", "--", "cat") as running:
        running.send("hello\n")
        assert running.line() == "hello"
        await_events(daemon, "log")
        running.process.kill()
        running.process.wait()
        pid = running.process.pid
    (lost,) = await_events(daemon, "execution.lost")
    found = check(daemon, str(lost["event"]["execution_id"]), 1)

    assert "nothing is known after line 2: its process died without a goodbye" in found.out
    assert f"pid {pid}, " in found.out


@pytest.mark.covers("S1.10", "S1.5")
def test_what_capture_cut_is_counted(shared_daemon: Daemon) -> None:
    """Lines that are here in part are a finding, with the number of characters that are not."""
    flightlog = Cli(shared_daemon.runtime_dir)
    script = "for n in (3, 40): print('x' * (10_000 + n))"
    flightlog.ok("exec", "--name", "cut", "--", sys.executable, "-c", script)
    (execution,) = flightlog.ok("list", "--json", "--name", "cut").json

    assert check(shared_daemon, execution["execution_id"], 1).lines == [
        "not all is here: 4 records present, and",
        "- 2 lines cut: 43 characters are not here",
    ]


@pytest.mark.covers("S1.10", "S1.7")
def test_what_retention_took_is_told(daemon: Daemon) -> None:
    """Lines that governance removed are missing, with their number, cause and day, and are no damage."""
    record(daemon, "pruned", *logs("pruned", 300))
    assert govern(daemon, "retention", "--older-than", "0s")["lines"] == 300
    today = Cli(daemon.runtime_dir).ok("audit", "--type", "PRUNED").rows[0][1][:10]

    assert check(daemon, "pruned", 1).lines == [
        "not all is here: 2 records present, and",
        f"- 300 log lines removed by retention on {today}",
    ]
    found = answer(daemon, "pruned")
    assert (found["logs"], found["pruned"], found["log_count"]) == (0, 300, 300)


@pytest.mark.covers("S1.10")
def test_counters_that_do_not_agree_are_damage(daemon: Daemon) -> None:
    """When there are fewer lines than were counted, and nothing tells why, that is said."""
    tell(daemon, event("execution.started", "damaged"), *logs("damaged", 3))
    with stopped(daemon) as db:
        db.execute("update execution_log set info = info + 2 where execution_id = 'damaged'")

    assert check(daemon, "damaged", 1).lines[1] == (
        "- the log or its counters are damaged: 5 log lines were counted, 3 are here, 0 were removed"
    )


@pytest.mark.covers("S1.10")
def test_lines_known_by_their_key_are_no_loss(shared_daemon: Daemon) -> None:
    """A line that was sent again under its key is not missing."""
    keyed = log("keyed", "m", id="key-1")
    tell(
        shared_daemon,
        event("execution.started", "keyed"),
        keyed,
        keyed,
        event("execution.ended", "keyed", outcome="succeeded"),
    )

    first, known = check(shared_daemon, "keyed", 0).lines
    assert first == "all 3 records present"
    assert known.startswith("- 1 line known before by key (line 3), so nothing is missing; ")


@pytest.mark.covers("S1.10")
def test_what_is_on_its_way_is_awaited(daemon: Daemon) -> None:
    """Half of what a program emits has come when it is asked: that much is here so far; then all of it is."""
    code = """
        import sys, flightlog
        run = flightlog.execution("backlog", execution_id="backlog").start()
        flightlog.flush()
        print("started", flush=True)
        for number in range(20_000):
            run.info(number)
        sys.stdin.readline()
        run.end()
        """
    program = start_program(code, daemon.runtime_dir)
    assert program.stdout is not None
    assert program.stdout.readline() == "started\n"
    found = answer(daemon, "backlog")
    assert (found["complete"], found["so_far"]) == (True, True)
    assert [finding["kind"] for finding in found["findings"]] == ["awaited"]
    assert found["logs"] == found["log_count"] <= 20_000
    assert finish_program(program, "\n").returncode == 0

    assert check(daemon, "backlog", 0).lines == ["all 20,002 records present"]


def test_the_usage_is_checked(shared_daemon: Daemon) -> None:
    """An unknown execution is exit code 1 with a hint; a filter beside --check is a usage error."""
    flightlog = Cli(shared_daemon.runtime_dir)

    assert flightlog("logs", "nobody", "--check") == (
        1,
        "",
        "flightlog logs: no such execution: nobody\nhint: flightlog list shows what there is\n",
    )
    assert flightlog("logs", "nobody", "--check", "--level", "WARN").code == 3
    assert flightlog("logs", "nobody", "--check", "-f").code == 3
