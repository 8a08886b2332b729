"""The emitting side: what a call costs the program, and how long the shortest command takes from cold."""

import json
import subprocess
import sys
import threading
import time

from bench.contest import Contest
from bench.figures import median, millis, percentile
from bench.followers import RATE_PER_S, steady
from support.daemon import clean_environment
from support.peers import QueryPeer

# Bursts that fit the client's buffer, flushed between: what is measured is the call, not a full buffer.
_EMIT = """
import json, sys, time
import flightlog
clock = time.perf_counter_ns
costs = []
with flightlog.execution("bench") as run:
    log = run.log
    for burst in range(int(sys.argv[1])):
        for _ in range(int(sys.argv[2])):
            began = clock()
            log("a line of about the usual length, with a number in it")
            costs.append(clock() - began)
        assert flightlog.flush(30), "the daemon did not ack in time"
empty = []
for _ in range(10000):
    began = clock()
    empty.append(clock() - began)
empty.sort()
print(json.dumps([run.execution_id, [cost - empty[5000] for cost in costs]]))
"""

_BURST = 500

_ONE_LINE = "import flightlog\nwith flightlog.execution('x') as run: run.log('x')"

_COMMANDS = {
    "python -c pass": ["-c", "pass"],
    "python -c 'import flightlog'": ["-c", "import flightlog"],
    "flightlog current": ["-m", "flightlog", "current"],
    "python -c 'import msgspec'": ["-c", "import msgspec"],
    "an execution with one line": ["-c", _ONE_LINE],
}


def call_costs(contest: Contest, **environment: str) -> list[float]:
    """Return what each of many calls of `run.log()` costs the thread that calls it, in seconds."""
    done = _python(contest, "-c", _EMIT, "4" if contest.quick else "40", str(_BURST), **environment)
    if done.returncode:
        raise RuntimeError(f"emitting failed:\n{done.stderr}")
    execution_id, nanos = json.loads(done.stdout)
    with QueryPeer(contest.ours.daemon.query_socket) as peer:
        kept = peer.ask("inspect", execution_id=execution_id).one("execution")["log_count"]
    assert kept == len(nanos), f"{len(nanos)} lines were logged and {kept} arrived"
    return [nano / 1e9 for nano in nanos]


def _python(contest: Contest, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    environment = clean_environment(FLIGHTLOG_RUNTIME_DIR=str(contest.ours.daemon.runtime_dir), **environment)
    # As where it is installed: with bytecode.
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    return subprocess.run(
        [sys.executable, "-P", *arguments],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


def emit(contest: Contest) -> None:
    """What `run.log()` costs the thread that calls it, and the shortest commands from a cold start."""
    beside = threading.Thread(target=steady, args=(contest.ours, RATE_PER_S * (1 if contest.quick else 4)))
    beside.start()
    costs = call_costs(contest)
    beside.join()
    took: dict[str, list[float]] = {name: [] for name in _COMMANDS}
    for _ in range(5 if contest.quick else 15):
        for name, arguments in _COMMANDS.items():
            began = time.perf_counter()
            done = _python(contest, *arguments)
            took[name].append(time.perf_counter() - began)
            assert done.returncode in (0, 1), done.stderr
    contest.report.table(
        f"emitting, in the caller's thread, while others send {RATE_PER_S:,} events/s",
        ["", "median", "p99", "p99.9"],
        [
            [name, *(f"{percentile(some, share) * 1e6:.2f} us" for share in (0.5, 0.99, 0.999))]
            for name, some in (
                ("run.log()", costs),
                ("the first after a wait", costs[::_BURST]),
                ("the others", [cost for number, cost in enumerate(costs) if number % _BURST]),
            )
        ],
    )
    contest.report.table(
        "from a cold start",
        ["", "median", "longest"],
        [[name, millis(median(values)), millis(max(values))] for name, values in took.items()],
    )
    bare, library, current, *_ = (median(took[name]) for name in _COMMANDS)
    cost, rare = percentile(costs, 0.5), percentile(costs, 0.999)
    for what, value, text, limit in (
        ("emit: under 1.5 us a call at the median", cost, f"{cost * 1e6:.2f} us", 1.5e-6),
        ("emit: under 20 us a call at p99.9", rare, f"{rare * 1e6:.2f} us", 20e-6),
        ("importing flightlog: under 30 ms", library - bare, millis(library - bare), 0.030),
        ("flightlog current from cold: under 0.1 s", current, millis(current), 0.1),
    ):
        contest.report.goal(what, text, met=value < limit)
