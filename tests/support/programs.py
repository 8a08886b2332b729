"""Programs that use flightlog, each in a process of its own, and what the daemon has of them."""

import signal
import subprocess
import sys
import tempfile
import textwrap
from pathlib import Path
from typing import Any

from support.daemon import Daemon, clean_environment
from support.peers import QueryPeer

PROGRAM_TIMEOUT_S = 30.0

Json = dict[str, Any]


def start_program(code: str, runtime_dir: Path, **environment: str) -> subprocess.Popen[str]:
    """Start a Python program that finds the daemon's sockets in a directory.

    It is a file of its own there, and shows its warnings.
    """
    runtime_dir.mkdir(exist_ok=True)
    with tempfile.NamedTemporaryFile("w", suffix=".py", dir=runtime_dir, delete=False) as program:
        program.write(textwrap.dedent(code))
    return subprocess.Popen(
        [sys.executable, "-P", "-W", "always", program.name],
        env=clean_environment(FLIGHTLOG_RUNTIME_DIR=str(runtime_dir), **environment),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd="/",
    )


def finish_program(program: subprocess.Popen[str], stdin: str = "") -> subprocess.CompletedProcess[str]:
    """Give a program its input and return its exit code, output and errors."""
    try:
        stdout, stderr = program.communicate(stdin, timeout=PROGRAM_TIMEOUT_S)
    except subprocess.TimeoutExpired:
        program.send_signal(signal.SIGKILL)
        stdout, stderr = program.communicate()
        raise AssertionError(f"the program did not end; it wrote {stdout!r} and {stderr!r}") from None
    return subprocess.CompletedProcess(program.args, program.returncode, stdout, stderr)


def run_program(code: str, runtime_dir: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a Python program to its end; return its exit code, output and errors."""
    return finish_program(start_program(code, runtime_dir, **environment))


def records(daemon: Daemon, **filters: object) -> list[Json]:
    """Return all recorded events of producers that pass the filters of `tail`, in order."""
    with QueryPeer(daemon.query_socket) as reader:
        answers = reader.ask("tail", after=0, follow=False, **filters)
    assert answers.error is None, answers.error
    return [line for line in answers.lines if line["producer"] != "flightlogd"]


def events(daemon: Daemon, **filters: object) -> list[Json]:
    """Return the events of `records`, without what the daemon adds to each."""
    return [record["event"] for record in records(daemon, **filters)]


def messages(daemon: Daemon, **filters: object) -> list[str]:
    """Return the messages of all log lines that pass the filters, in order."""
    return [event["message"] for event in events(daemon, type=["log"], **filters)]
