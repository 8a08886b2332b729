"""Spools as they lie there, and a wait for what happens to them."""

import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from flightlog.courier import deliver, left_behind, spool_paths
from flightlog.spool_file import SpoolFile

WAIT_TIMEOUT_S = 20.0
_STEP_S = 0.005


def wait_until(condition: Callable[[], bool]) -> None:
    """Return once a condition holds that nobody tells of, such as a file on disk."""
    deadline = time.monotonic() + WAIT_TIMEOUT_S
    step = threading.Event()
    while not condition():
        assert time.monotonic() < deadline, "it never came true"
        step.wait(_STEP_S)


def spooled(directory: Path) -> list[list[Any]]:
    """Return what the lines of each spool say, headers left out, oldest spool first."""
    return [
        [msgspec.json.decode(line) for line in path.read_bytes().splitlines()[1:]]
        for path in spool_paths(directory)
    ]


def spooled_messages(directory: Path) -> list[str]:
    """Return the messages of all log lines in all spools."""
    return [line["message"] for lines in spooled(directory) for line in lines if line.get("type") == "log"]


def deliver_all(directory: Path, runtime_dir: Path) -> int:
    """Deliver what dead programs left for the daemon of a directory; return how many spools that were."""
    count = 0
    for spool in left_behind(directory, str(runtime_dir)):
        for _ in deliver(spool, runtime_dir):
            pass
        count += 1
    return count


def only_spool(directory: Path) -> SpoolFile:
    """Return the only spool of a directory."""
    (path,) = spool_paths(directory)
    return SpoolFile(path)
