"""What a program waits at most, in each state that its daemon can be in."""

import tempfile
from pathlib import Path

from bench.contest import Contest
from bench.figures import millis
from support.daemon import Daemon
from support.waits import CALLS, EXIT_TIMEOUT_S, FULL, STATES, longest_waits


def waits(contest: Contest) -> None:
    """The longest call of each kind over all rounds, in each state of the daemon."""
    worst: dict[str, dict[str, float]] = {}
    for _ in range(contest.rounds):
        for state in STATES:
            with tempfile.TemporaryDirectory(prefix="flw-", dir="/tmp") as name:
                base = Path(name)
                limits = FULL if state == "full" else {}
                with Daemon(base / "state", base / "run", **limits) as daemon:
                    found = longest_waits(daemon.start(), state, base / "spool")
            known = worst.setdefault(state, dict.fromkeys(CALLS, 0.0))
            worst[state] = {call: max(known[call], found[call]) for call in CALLS}
    contest.report.table(
        f"the longest wait of a program (a close may take {EXIT_TIMEOUT_S:g} s)",
        ["daemon", *CALLS],
        [[state, *(millis(found[call]) for call in CALLS)] for state, found in worst.items()],
    )
    calls = max(found[call] for found in worst.values() for call in ("log", "task", "finish"))
    contest.report.goal("no call but flush and close waits 50 ms", millis(calls), met=calls < 0.05)
    close = max(found["close"] for found in worst.values())
    limit_s = EXIT_TIMEOUT_S + 0.5
    contest.report.goal(f"a close ends within {limit_s:g} s", millis(close), met=close < limit_s)
