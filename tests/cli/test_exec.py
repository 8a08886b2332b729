"""`flightlog exec`: what goes through, what is recorded, what comes out."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from cli.runner import COMMAND, Cli
from support.daemon import Daemon
from support.programs import events, messages


@pytest.fixture
def flightlog(shared: Daemon) -> Cli:
    """Give the command line of the module's daemon."""
    return Cli(shared.runtime_dir)


def recorded(flightlog: Cli, name: str) -> dict[str, object]:
    """Return what `list` knows of the only execution of this name."""
    (execution,) = flightlog.ok("list", "--json", "--name", name).json
    assert isinstance(execution, dict)
    return execution


def lines_of(flightlog: Cli, name: str) -> list[tuple[str, str, dict[str, object]]]:
    """Return (level, message, fields) of each captured line."""
    execution = str(recorded(flightlog, name)["execution_id"])
    lines = flightlog.ok("logs", execution, "--source", f"exec:{name}", "--json").lines
    return [(line["level"], line["message"], line["fields"]) for line in map(json.loads, lines)]


@pytest.mark.covers("S0.1", "S1.4")
def test_a_command_is_recorded(flightlog: Cli) -> None:
    """Its arguments, project, ending and every line of its output are recorded, and its bytes go through."""
    script = "import sys; print('out'); sys.stdout.flush(); print('err', file=sys.stderr); sys.exit(3)"
    done = flightlog(
        "exec",
        "--name",
        "whole",
        "--label",
        "host=a1",
        "--tool-version",
        "7",
        "--",
        sys.executable,
        "-c",
        script,
    )

    assert (done.code, done.out, done.err) == (3, "out\n", "err\n")
    assert sorted(lines_of(flightlog, "whole")) == [
        ("INFO", "err", {"stream": "stderr"}),
        ("INFO", "out", {"stream": "stdout"}),
    ]
    execution = recorded(flightlog, "whole")
    assert execution["status"] == "failed"
    assert execution["error"] == {
        "type": "ExitStatus",
        "message": "exit status 3",
        "stack": None,
        "stack_hash": None,
    }
    assert execution["exit_status"] == 3
    assert execution["args"] == [sys.executable, "-c", script]
    assert execution["tool"] == Path(sys.executable).name
    assert execution["tool_version"] == "7"
    assert execution["labels"] == {"host": "a1"}
    assert execution["project"] == "/"
    assert execution["log_count"] == 2
    assert 0 < int(str(execution["duration_us"])) < 60_000_000


@pytest.mark.covers("S0.4")
def test_the_owner_is_exec_itself(flightlog: Cli) -> None:
    """The process whose end is the execution's end is the one that records it."""
    with flightlog.running("exec", "--name", "owned", "--", "cat") as running:
        running.send("hello\n")
        assert running.line() == "hello"
        owner = recorded(flightlog, "owned")["owner"]

        assert isinstance(owner, dict)
        assert owner["pid"] == running.process.pid
        assert owner["boot_id"] == Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        assert recorded(flightlog, "owned")["status"] == "running"
        assert running.end().code == 0


@pytest.mark.parametrize("away", [False, True], ids=["daemon", "no daemon"])
@pytest.mark.parametrize(
    ("command", "code"),
    [
        (["true"], 0),
        (["sh", "-c", "exit 77"], 77),
        (["sh", "-c", "kill -SEGV $$"], 128 + signal.SIGSEGV),
        (["/nowhere/to/be/found"], 127),
        (["no-such-command"], 127),
        ([""], 127),
        (["/etc/passwd"], 126),
        (["/"], 126),
    ],
    ids=lambda value: value if isinstance(value, int) else "",
)
def test_it_exits_as_its_command_did(
    flightlog: Cli, alone: Cli, command: list[str], code: int, away: bool
) -> None:
    """The exit code is the command's own, with a daemon or without."""
    cli = alone if away else flightlog

    assert cli("exec", "--", *command).code == code


@pytest.mark.covers("S1.15")
def test_without_a_daemon_it_says_so_and_goes_on(alone: Cli) -> None:
    """Nothing that records may stop what is recorded; stderr says that nobody listens, once."""
    done = alone("exec", "--", "sh", "-c", "echo out; echo err >&2")

    assert done.code == 0
    assert done.out == "out\n"
    assert "err\n" in done.err
    assert done.err.count("no daemon listens") == 1


def test_a_command_that_cannot_start_is_recorded(flightlog: Cli) -> None:
    """A command that is not there leaves a failed execution that says why."""
    done = flightlog("exec", "--name", "missing", "--", "no-such-command")

    assert done.err == "flightlog exec: no-such-command: not found\n"
    execution = recorded(flightlog, "missing")
    assert execution["status"] == "failed"
    assert execution["exit_status"] == 127
    assert execution["error"]["message"] == "no-such-command: not found"  # type: ignore[index]  # an object


def test_a_script_without_interpreter_runs_as_a_shell_would_run_it(flightlog: Cli, home: Path) -> None:
    """A script without a first line that names its interpreter is given to the shell."""
    script = home / "plain"
    script.write_text('echo "plain $1"\n')
    script.chmod(0o755)

    assert flightlog.ok("exec", "--", str(script), "words").out == "plain words\n"


@pytest.mark.covers("S1.4")
def test_a_quick_command_loses_nothing(flightlog: Cli) -> None:
    """What a command prints in its last microsecond is there, the line without newline included."""
    for number in range(5):
        name = f"quick-{number}"
        done = flightlog("exec", "--name", name, "--", "printf", "one\\n\\ntwo")

        assert done.out == "one\n\ntwo"
        assert [message for _, message, _ in lines_of(flightlog, name)] == ["one", "", "two"]


@pytest.mark.covers("S1.4")
def test_much_output_is_recorded_in_order(flightlog: Cli, shared: Daemon) -> None:
    """A hundred thousand lines as fast as they come: every one goes through and is recorded, in order."""
    done = flightlog("exec", "--name", "much", "--", "seq", "1", "100000")
    numbers = [str(number) for number in range(1, 100_001)]

    assert done.lines == numbers
    execution_id = str(recorded(flightlog, "much")["execution_id"])
    assert messages(shared, execution_id=execution_id) == numbers


@pytest.mark.covers("S1.4")
def test_order_is_kept_between_stdout_and_stderr(flightlog: Cli) -> None:
    """Lines of the two streams are recorded in the order in which they came."""
    script = "while read -r word; do echo out $word; read -r word; echo err $word >&2; echo done; done"
    with flightlog.running("exec", "--name", "order", "--", "sh", "-c", script) as running:
        for number in range(3):
            running.send("a\n")
            assert running.line() == "out a"
            running.send("b\n")
            assert running.line() == "done", number
        assert running.end().code == 0

    said = [message for _, message, _ in lines_of(flightlog, "order")]
    assert [message for message in said if message != "done"] == ["out a", "err b"] * 3


@pytest.mark.covers("S1.4")
def test_output_goes_through_at_once(flightlog: Cli) -> None:
    """A prompt without a newline is seen while the command waits, and split characters arrive unchanged."""
    script = "import sys; w = sys.stdout.buffer\nfor part in (b'gr\\xc3', b'\\xb6\\xc3', b'\\x9fer'):\n"
    script += "    w.write(part); w.flush(); sys.stdin.readline()"
    with flightlog.running("exec", "--name", "prompt", "--", sys.executable, "-c", script) as running:
        for part in (b"gr\xc3", b"\xb6\xc3", b"\x9fer"):
            assert running.read(len(part)) == part
            running.send("\n")
        assert running.end().code == 0

    assert [message for _, message, _ in lines_of(flightlog, "prompt")] == ["größer"]


def test_every_byte_goes_through_unchanged(flightlog: Cli) -> None:
    """Binary output is passed on as it is, on both streams."""
    script = "import sys; d = bytes(range(256)) * 500; sys.stdout.buffer.write(d); sys.stderr.buffer.write(d)"
    with flightlog.running("exec", "--", sys.executable, "-c", script) as running:
        out, err = running.process.communicate()

    assert out == bytes(range(256)) * 500
    assert err == out


@pytest.mark.covers("S1.4", "S1.5")
def test_lines_become_entries(flightlog: Cli) -> None:
    """JSON with level and message is structured, a strange level is read as INFO, a long line is cut."""
    lines = [
        {"level": "error", "message": "disk\nfull", "free": 0},
        {"level": "loud", "message": "strange"},
    ]
    script = f"import json\nfor line in {lines!r}: print(json.dumps(line))\nprint('x' * 10_007)"
    flightlog.ok("exec", "--name", "entries", "--", sys.executable, "-c", script)

    error, strange, long = lines_of(flightlog, "entries")
    assert error == ("ERROR", "disk\nfull", {"free": 0, "stream": "stdout"})
    assert strange == ("INFO", "strange", {"stream": "stdout", "level": "loud"})
    assert long[1] == "x" * 10_000 + "… [7 more characters cut]"
    assert recorded(flightlog, "entries")["counts"] == {"cut_lines": 1, "cut_chars": 7}


@pytest.mark.covers("S1.5")
def test_capture_ends_with_the_command(flightlog: Cli) -> None:
    """A process left behind that holds the pipes does not keep the execution open."""
    script = "sleep 300 & echo $!"
    done = flightlog("exec", "--name", "left", "--", "sh", "-c", script)
    os.kill(int(done.out), signal.SIGKILL)

    assert done.code == 0
    assert recorded(flightlog, "left")["status"] == "succeeded"
    assert int(str(recorded(flightlog, "left")["duration_us"])) < 30_000_000


@pytest.mark.covers("S1.3")
def test_a_command_that_takes_too_long_is_ended(flightlog: Cli) -> None:
    """--timeout ends the command, exits with 124 and records the deadline and how it ended."""
    done = flightlog("exec", "--name", "slow", "--timeout", "200ms", "--", "sleep", "60")

    assert done.code == 124
    execution = recorded(flightlog, "slow")
    assert execution["status"] == "timed_out"
    assert execution["deadline"] is not None
    assert execution["error"]["message"] == "its time of 200ms was up"  # type: ignore[index]  # an object


@pytest.mark.covers("P10")
def test_the_command_knows_its_execution(flightlog: Cli, shared: Daemon) -> None:
    """It finds its id and trace in its environment, and the event that started it carries them."""
    around = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    script = "echo $FLIGHTLOG_EXECUTION_ID; echo $TRACEPARENT"
    done = flightlog.ok("exec", "--name", "known", "--", "sh", "-c", script, TRACEPARENT=around)

    execution_id, traceparent = done.lines
    assert recorded(flightlog, "known")["execution_id"] == execution_id
    (started,) = events(shared, execution_id=execution_id, type=["execution.started"])
    assert traceparent == f"00-{started['trace_id']}-{started['span_id']}-01"
    assert started["trace_id"] == "0af7651916cd43dd8448eb211c80319c"


def test_what_runs_inside_can_log_at_once(flightlog: Cli) -> None:
    """The execution is known before its command runs, so that the first thing it does may be to log."""
    inner = f"{sys.executable} -P -m flightlog log --level WARN 'from inside'"
    flightlog.ok("exec", "--name", "inside", "--", "sh", "-c", inner)

    execution = str(recorded(flightlog, "inside")["execution_id"])
    (line,) = flightlog.ok("logs", execution, "--level", "WARN", "--json").lines
    assert json.loads(line)["message"] == "from inside"


def test_a_command_inside_is_a_child(flightlog: Cli) -> None:
    """An execution that is started inside another one names it as its parent."""
    inner = [sys.executable, "-P", "-m", "flightlog", "exec", "--name", "child", "--", "echo", "deep"]
    done = flightlog.ok("exec", "--name", "parent", "--", *inner)

    assert done.out == "deep\n"
    assert recorded(flightlog, "child")["parent_id"] == recorded(flightlog, "parent")["execution_id"]


def test_a_parent_that_cannot_be_is_passed_over(flightlog: Cli) -> None:
    """A broken id in the environment costs the parent, not the recording."""
    done = flightlog("exec", "--name", "orphan", "--", "true", FLIGHTLOG_EXECUTION_ID="a b\x1b")

    assert done.code == 0
    assert "there is no parent" in done.err
    assert "\x1b" not in done.err
    assert recorded(flightlog, "orphan")["parent_id"] is None


def test_descriptors_are_passed_on(flightlog: Cli) -> None:
    """What a caller has opened for the command, as make does for its jobs, the command finds open."""
    script = 'exec 7</etc/hostname; exec "$@"'
    done = subprocess.run(
        ["sh", "-c", script, "sh", *COMMAND, "exec", "--", "cat", "/dev/fd/7"],
        env=flightlog.environment(),
        capture_output=True,
        timeout=60,
        check=False,
    )

    assert done.stdout == Path("/etc/hostname").read_bytes()


def test_the_command_finds_the_same_daemon(flightlog: Cli, alone: Cli) -> None:
    """Where --runtime-dir says which daemon, what runs inside uses that one, too."""
    inner = f"{sys.executable} -P -m flightlog log 'same daemon'"
    done = alone(
        "--runtime-dir", str(flightlog.runtime_dir), "exec", "--name", "same", "--", "sh", "-c", inner
    )

    assert done == (0, "", "")
    assert recorded(flightlog, "same")["log_count"] == 1


@pytest.mark.covers("D4", "S1.15")
def test_a_restarted_daemon_loses_nothing(daemon: Daemon) -> None:
    """Output that comes while the daemon is away is kept, and recorded once, in order, when it is back."""
    flightlog = Cli(daemon.runtime_dir)
    with flightlog.running("exec", "--name", "restart", "--", "cat") as running:
        running.send("before\n")
        assert running.line() == "before"
        daemon.kill()
        running.send("meanwhile\n")
        assert running.line() == "meanwhile"
        daemon.start()
        running.send("after\n")
        assert running.line() == "after"
        assert running.end().code == 0

    assert messages(daemon) == ["before", "meanwhile", "after"]
    assert recorded(flightlog, "restart")["status"] == "succeeded"


@pytest.mark.slow
@pytest.mark.covers("S1.5")
def test_a_stalled_daemon_never_blocks_the_command(daemon: Daemon) -> None:
    """With a daemon that stands still, the command runs at its own speed and everything goes through."""
    flightlog = Cli(daemon.runtime_dir)
    daemon.signal(signal.SIGSTOP)
    done = flightlog("exec", "--", "seq", "1", "300000")
    daemon.signal(signal.SIGCONT)

    assert done.code == 0
    assert len(done.lines) == 300_000


def test_the_usage_is_checked_before_anything_runs(flightlog: Cli) -> None:
    """Bad options are usage errors, and no command is started."""
    assert flightlog("exec").code == 3
    assert flightlog("exec", "--label", "nonsense", "--", "echo", "ran") == (
        3,
        "",
        "flightlog exec: invalid value for '--label': 'nonsense' is not KEY=VALUE\n"
        "hint: flightlog exec --help\n",
    )
    assert flightlog("exec", "--timeout", "soon", "--", "echo", "ran").out == ""


def test_options_of_the_command_are_its_own(flightlog: Cli) -> None:
    """What follows the command belongs to it, also without two dashes before it."""
    assert flightlog.ok("exec", "echo", "--name", "-n", "--", "x").out == "--name -n -- x\n"
