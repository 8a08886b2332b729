"""The emitting side: what a call costs the program, and how long the shortest command takes from cold."""

import json
import subprocess
import sys
import time

from bench.contest import Contest
from bench.figures import median, millis, percentile
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
        for _ in range(500):
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


def call_costs(contest: Contest, **environment: str) -> list[float]:
    """Return what each of many calls of `run.log()` costs the thread that calls it, in seconds."""
    done = _python(contest, "-c", _EMIT, "4" if contest.quick else "40", **environment)
    if done.returncode:
        raise RuntimeError(f"emitting failed:\n{done.stderr}")
    execution_id, nanos = json.loads(done.stdout)
    with QueryPeer(contest.ours.daemon.query_socket) as peer:
        kept = peer.ask("inspect", execution_id=execution_id).one("execution")["log_count"]
    assert kept == len(nanos), f"{len(nanos)} lines were logged and {kept} arrived"
    return [nano / 1e9 for nano in nanos]


def _python(contest: Contest, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-P", *arguments],
        env=clean_environment(FLIGHTLOG_RUNTIME_DIR=str(contest.ours.daemon.runtime_dir), **environment),
        capture_output=True,
        text=True,
        check=False,
    )


def emit(contest: Contest) -> None:
    """What `run.log()` costs the thread that calls it, and `flightlog current` from a cold start."""
    costs = call_costs(contest)
    cost = median(costs)
    took: dict[str, list[float]] = {"python -c pass": [], "flightlog current": []}
    for _ in range(5 if contest.quick else 15):
        for name, arguments in (
            ("python -c pass", ["-c", "pass"]),
            ("flightlog current", ["-m", "flightlog", "current"]),
        ):
            began = time.perf_counter()
            done = _python(contest, *arguments)
            took[name].append(time.perf_counter() - began)
            assert done.returncode in (0, 1), done.stderr
    contest.report.table(
        "emitting, in the caller's thread, and starting from cold",
        ["", "median", "p99"],
        [
            ["run.log()", f"{cost * 1e6:.2f} us", f"{percentile(costs, 0.99) * 1e6:.2f} us"],
            *[
                [name, millis(median(values)), millis(percentile(values, 0.99))]
                for name, values in took.items()
            ],
        ],
    )
    contest.report.goal("emit: under 3 us a call at the median", f"{cost * 1e6:.2f} us", met=cost < 3e-6)
    cold = median(took["flightlog current"])
    contest.report.goal("flightlog current from cold: under 0.2 s", millis(cold), met=cold < 0.2)
