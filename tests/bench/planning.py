"""Plans: what processor time it takes to build one, and how that grows with the tasks."""

import random
import time
from collections.abc import Callable
from typing import Final

from bench.contest import Contest
from bench.figures import median, millis
from flightlog_schemas.events.task import Dependency
from flightlog_schemas.plans import PlanTask
from flightlogd.planning import build_plan

_SIZES: Final = (1_000, 10_000, 100_000)
_DEPENDENCIES: Final = 3
_LIMIT_S: Final = 2.0
"""For ten thousand tasks with thirty thousand dependencies."""


def _usual(number: int, chance: random.Random) -> PlanTask:
    """Return a task that depends on three before it and names two files, one of them with two others."""
    before = {chance.randrange(number) for _ in range(_DEPENDENCIES)} if number else set()
    directory = f"src/module{number % 97}"
    return PlanTask(
        task_id=f"task-{number:06}",
        description=f"Change `{directory}/file{number}.py` and {directory}/file{number // 3}.md.",
        epic=f"epic-{number % 40}",
        priority=number % 5,
        depends_on=tuple(Dependency(task_id=f"task-{other:06}") for other in sorted(before)),
        typical_duration_us=1_000_000,
    )


def _one_file(number: int, chance: random.Random) -> PlanTask:
    """Return a task that names the same file as all others."""
    return PlanTask(
        task_id=f"task-{number:06}", description="Change src/one.py.", epic=f"epic-{chance.randrange(40)}"
    )


_KINDS: Final[dict[str, Callable[[int, random.Random], PlanTask]]] = {
    "three dependencies, two files": _usual,
    "all name one file": _one_file,
}


def planning(contest: Contest) -> None:
    """Build plans of three sizes, of tasks as usual and of tasks that all name one file."""
    rows = []
    for kind, make in _KINDS.items():
        taken = {}
        for size in _SIZES[:2] if contest.quick else _SIZES:
            chance = random.Random(size)
            tasks = [make(number, chance) for number in range(size)]
            times = []
            for _ in range(contest.rounds):
                start = time.process_time()
                plan = build_plan("/bench", tasks, plan_id="bench", created_at=0)
                times.append(time.process_time() - start)
            taken[size] = median(times)
            counts = plan.metadata
            rows.append(
                [
                    kind,
                    f"{size:,}",
                    millis(taken[size]),
                    f"{taken[size] / size * 1e6:.0f} us",
                    f"{counts.total_batches:,}",
                    f"{counts.conflicts:,}",
                ]
            )
        contest.report.goal(
            f"plan of 10,000 tasks, {kind}: under {_LIMIT_S:.0f} s",
            millis(taken[10_000]),
            met=taken[10_000] < _LIMIT_S,
        )
        growth = taken[max(taken)] / taken[1_000] / (max(taken) / 1_000)
        contest.report.goal(
            f"plan of {max(taken):,} tasks, {kind}: a task costs less than 4 times one of 1,000",
            f"{growth:.1f}",
            met=growth < 4,
        )
    contest.report.table(
        "plan: processor time to build one",
        ["tasks with", "tasks", "in all", "for each", "batches", "conflicts"],
        rows,
    )
