"""Commands that a program runs and records: `Scope.capture`."""

import json
import os
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest

import flightlog
from flightlog.capture.child import spawn
from flightlog.capture.quota import Quota
from flightlog.capture.record import Recorder
from flightlog.capture.split import RawLine
from support.daemon import Daemon
from support.programs import events, run_program


def client_of(daemon: Daemon) -> flightlog.Client:
    """Return a client of a daemon."""
    return flightlog.Client(daemon.runtime_dir)


@pytest.mark.covers("S1.4", "S1.13")
def test_a_command_in_a_task(shared_daemon: Daemon) -> None:
    """What it prints is logged in the task, structured where it is; how it ended is returned."""
    client = client_of(shared_daemon)
    line = json.dumps({"level": "warn", "message": "low", "free": 3})
    script = f"import sys; print('größer'); print('no', file=sys.stderr); print({line!r}); sys.exit(3)"
    with client.execution("capture", execution_id="capture") as run, run.task("load") as task:
        ended = task.capture([sys.executable, "-c", script], source="plugin:core/csv.load")
        run.capture(["echo", "outside"])
    client.close()

    assert (ended.exit_status, ended.timed_out, ended.cut_lines) == (3, False, 0)
    assert ended.duration_us > 0
    found = events(shared_daemon, execution_id="capture", type=["log"])
    assert sorted((said["message"], said.get("level", "INFO")) for said in found[:3]) == [
        ("größer", "INFO"),
        ("low", "warn"),
        ("no", "INFO"),
    ]
    assert all((said["task_id"], said["source"]) == ("load", "plugin:core/csv.load") for said in found[:3])
    assert ("task_id" in found[3], found[3]["source"]) == (False, "exec:echo")


@pytest.mark.covers("S0.7")
def test_a_duration_begins_with_the_command() -> None:
    """How long a command took counts from its start, however late anybody begins to read."""
    child = spawn(["true"], os.environ, frozenset())
    child.started -= 5
    ended = Recorder(child, lambda _: None, lambda: False, lambda: False, None, passing=False).run()
    child.close()

    assert 5_000_000 <= ended.duration_us < 60_000_000


@pytest.mark.covers("P10")
def test_the_command_knows_where_it_is(shared_daemon: Daemon) -> None:
    """It finds the execution and the attempt's trace in its environment, which may be another than ours."""
    client = client_of(shared_daemon)
    script = "echo $FLIGHTLOG_EXECUTION_ID $TRACEPARENT $OTHER"
    with client.execution(execution_id="capture-env") as run, run.task("t") as task:
        task.capture(["sh", "-c", script], env={"PATH": os.environ["PATH"], "OTHER": "yes"})
    client.close()
    (said,) = events(shared_daemon, execution_id="capture-env", type=["log"])

    assert said["message"] == f"capture-env 00-{task.trace_id}-{task.span_id}-01 yes"


@pytest.mark.covers("S1.4")
def test_a_failure_can_be_an_exception(shared_daemon: Daemon) -> None:
    """With check=True a command that fails raises; one that is not there always does, and nothing leaks."""
    client = client_of(shared_daemon)
    run = client.execution(execution_id="capture-check").start()
    before = set(Path("/proc/self/fd").iterdir())
    with pytest.raises(subprocess.CalledProcessError) as raised:
        run.capture(["sh", "-c", "exit 7"], check=True)
    assert raised.value.returncode == 7
    for missing in ("no-such-command", ""):
        with pytest.raises(FileNotFoundError):
            run.capture([missing])
    with pytest.raises(PermissionError):
        run.capture(["/etc/passwd"])
    assert run.capture(["sh", "-c", "kill -KILL $$"]).exit_status == 137
    after = set(Path("/proc/self/fd").iterdir())
    run.end()
    client.close()

    assert len(after) <= len(before) + 3  # the client's own socket and eventfd


@pytest.mark.covers("S1.5")
def test_time_and_size_are_bounded(shared_daemon: Daemon) -> None:
    """A command that takes too long is ended; past the limit of output one WARN is logged."""
    client = client_of(shared_daemon)
    run = client.execution(execution_id="capture-bounds").start()
    assert run.capture(["sleep", "60"], timeout_s=0.2).timed_out
    ended = run.capture(["seq", "1", "10000"], limit_bytes=100)
    run.end()
    client.close()
    said = events(shared_daemon, execution_id="capture-bounds", type=["log"])

    assert ended.unrecorded_lines == 10_000 - 36
    assert [line["message"] for line in said[:-1]] == [str(number) for number in range(1, 37)]
    assert said[-1]["level"] == "WARN"
    assert said[-1]["fields"] == {"stream": "stdout", "capture_limit_bytes": 100}


@pytest.mark.covers("S1.4", "D9")
def test_ctrl_c_ends_the_command(shared_daemon: Daemon) -> None:
    """Whoever is interrupted while waiting leaves no command behind, and the task is told to be cancelled."""
    code = """
        import os, pathlib, sys, flightlog
        script = f"echo $$ >{sys.argv[0]}.pid; kill -INT {os.getpid()}; exec sleep 600"
        try:
            with flightlog.execution(execution_id="capture-int") as run, run.task("t") as task:
                task.capture(["sh", "-c", script])
        except KeyboardInterrupt:
            print(pathlib.Path(f"{sys.argv[0]}.pid").read_text())
        """
    done = run_program(code, shared_daemon.runtime_dir)

    assert done.stderr == ""
    status = Path(f"/proc/{int(done.stdout)}/status")
    with suppress(FileNotFoundError):  # gone, or waited for by nobody yet
        assert "State:\tZ" in status.read_text()
    (ended,) = events(shared_daemon, execution_id="capture-int", type=["task.ended"])
    assert ended["outcome"] == "cancelled"


@pytest.mark.covers("S1.5")
def test_the_quota_warns_once_and_counts_everything_else() -> None:
    """Lines are recorded while they fit; the first that does not is the warning; characters are counted."""
    quota = Quota(10)
    taken = [
        quota.take(RawLine(data, 0), "stdout", str) for data in (b"1234", "äöü".encode(), b"x", "ü".encode())
    ]

    assert [None if said is None else (said.message[:6], said.level) for said in taken] == [
        ("1234", None),
        ("output", "WARN"),
        None,
        None,
    ]
    assert quota.left_out == (0, 0, 3, 5)
