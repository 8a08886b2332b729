"""A program never waits past its bound, whatever its daemon does."""

from pathlib import Path

import pytest

from support.daemon import DaemonFactory
from support.waits import EXIT_TIMEOUT_S, FULL, STATES, longest_waits

BLOCKED_S: float = 3.0
"""A call that took longer has waited for something: it takes microseconds, but the machine may be busy."""


@pytest.mark.slow
@pytest.mark.covers("D9", "S1.15")
@pytest.mark.parametrize("state", STATES)
def test_a_program_never_waits_past_its_bound(daemon_factory: DaemonFactory, home: Path, state: str) -> None:
    """Log lines, tasks and ends do not wait; a flush waits as told, and a close as configured."""
    daemon = daemon_factory(**(FULL if state == "full" else {}))
    waits = longest_waits(daemon, state, home / "spool")
    for name in ("log", "task", "finish"):
        assert waits[name] < BLOCKED_S, waits
    assert waits["flush"] < 0.2 + BLOCKED_S, waits
    assert waits["close"] < EXIT_TIMEOUT_S + BLOCKED_S, waits
