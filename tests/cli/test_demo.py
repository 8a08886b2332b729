"""`make demo` and `make demo-fleet`: they show real runs, and leave nothing behind."""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from support.daemon import clean_environment
from support.source import ROOT


@contextmanager
def demo(script: str = "demo.sh") -> Iterator[subprocess.Popen[str]]:
    """Start the demonstration in a process group of its own, as a terminal would."""
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    process = subprocess.Popen(
        ["env", "--default-signal=INT", str(ROOT / "demo" / script)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        stdin=subprocess.DEVNULL,
        text=True,
        env=clean_environment(PATH=path),
        start_new_session=True,
    )
    with process:
        try:
            yield process
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGTERM)


def directory_in(text: str) -> Path:
    """Return the directory that the demonstration says it uses."""
    return Path(text.split("--runtime-dir ", 1)[1].split("/run", 1)[0])


@pytest.mark.slow
def test_the_demonstration_shows_a_real_run() -> None:
    """It records, follows, lists and inspects a run of tests that pass, and removes what it made."""
    with demo() as process:
        # The daemon has the same stdout: that it ends proves that nothing goes on.
        text, _ = process.communicate(timeout=120)

    assert process.returncode == 0, text
    assert "no executions match" not in text
    assert "[exec:tests] tests/cli/test_logs.py::test_lines_are_text PASSED" in text
    assert "exec exited as its command did: 0." in text, text
    assert "[daemon] execution succeeded after" in text
    assert "\nstatus\tsucceeded\n" in text
    assert not directory_in(text).exists()


@pytest.mark.slow
def test_the_demonstration_can_be_interrupted() -> None:
    """After Ctrl-C in the middle no process and no file of it is left."""
    with demo() as process:
        assert process.stdout is not None
        text = ""
        while "PASSED" not in text:
            text += process.stdout.readline()
        os.killpg(process.pid, signal.SIGINT)
        process.stdout.read()

        assert process.wait(60) == 130
    assert not directory_in(text).exists()


@pytest.mark.slow
@pytest.mark.covers("P12")
def test_the_demonstration_of_many_machines() -> None:
    """A server is killed on the way, and the centre has what the machines have; nothing is left."""
    before = set(Path("/tmp").glob("flightlog-fleet.*"))
    with demo("fleet.sh") as process:
        # Everything that it started has the same stdout or a file in its directory.
        text, _ = process.communicate(timeout=240)

    assert process.returncode == 0, text
    assert re.search(r"\n(\d+) events on three machines, \1 at the centre: the same\n$", text), text
    assert set(Path("/tmp").glob("flightlog-fleet.*")) <= before
