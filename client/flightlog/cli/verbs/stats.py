"""`flightlog stats`: how attempts at tasks went."""

from typing import Any, Final, get_args

import click

from flightlog.cli.options import ID, TIME, host_option
from flightlog.cli.output import Output, shown
from flightlog.cli.project import project_named
from flightlog.cli.render import STATUS_STYLES, error_text, short_id
from flightlog.cli.tables import Column
from flightlog.cli.verb import Session, json_option, verb
from flightlog_schemas.answers import TaskAttempt
from flightlog_schemas.events.envelope import Provenance
from flightlog_schemas.stats import Durations, FailurePattern, Stats, TaskCounts
from flightlog_schemas.statuses import TaskStatus
from flightlog_schemas.times import duration_text
from flightlog_schemas.wire.query import Stats as StatsRequest
from flightlog_schemas.wire.request import STATS_LIMIT

DEFAULT_COUNT: Final = 10
_SHORT_HASH_CHARS: Final = 12


@verb("stats", "flightlog stats --since 7d", "flightlog stats extract --json")
@click.argument("task_id", required=False, type=ID, metavar="[TASK]")
@click.option("--slug", help="Of tasks of this slug.")
@click.option("--project", metavar="DIR", help="Of executions of exactly this project.")
@click.option("-S", "--since", type=TIME, help="Ended on this day or later: 7d, today, RFC 3339.")
@click.option("-U", "--until", type=TIME, help="Ended on this day or before.")
@click.option("--provenance", type=click.Choice(get_args(Provenance)), help="That came here in this way.")
@click.option("--status", type=click.Choice(get_args(TaskStatus)), help="That ended so.")
@click.option(
    "-n", "count", type=click.IntRange(0, STATS_LIMIT), default=DEFAULT_COUNT, show_default=True, metavar="N",
    help="At most so many tasks, failures and patterns.",
)  # fmt: skip
@host_option
@json_option
def command(
    session: Session,
    task_id: str | None,
    slug: str | None,
    project: str | None,
    since: int | None,
    until: int | None,
    provenance: Any,
    status: Any,
    count: int,
    hosts: tuple[str, ...],
    as_json: bool,
) -> None:
    """Tell how attempts at tasks went: how many, how long, what failed and why.

    Counts are of all attempts that match, of all tasks or of one task, slug or project. --since and --until
    count whole days, in UTC, by when an attempt ended. The average is exact, other durations are within 2 %.
    Success is the share of those that succeeded among all that were not cancelled. Piped: tab-separated task,
    attempts, success in percent, retries, p50, p95, longest; the first line is of all, with `-` for the task.
    """
    request = StatsRequest(
        task_id=task_id,
        slug=slug,
        project=None if project is None else project_named(project),
        since=since,
        until=until,
        provenance=provenance,
        status=status,
        host=hosts,
        tasks=count,
        failures=count,
        patterns=count,
    )
    output = session.output()
    with session.ask() as daemon:
        if as_json:
            output.json(_shown(daemon.one(request, dict[str, Any])))
            return
        found = daemon.one(request, Stats)
    some = found.attempts or found.open
    if not output.terminal:
        rows: list[Stats | TaskCounts] = [found, *found.tasks]
        output.rows(_COLUMNS, rows)
    elif some:
        _show(output, found)
    if not some:
        session.say("no attempts match")


def _shown(answer: dict[str, Any]) -> dict[str, Any]:
    """Return an answer for programs: times as everywhere in JSON."""
    for attempt in answer["failures"]:
        shown(attempt)
    for pattern in answer["patterns"]:
        shown(pattern)
        if pattern["example"] is not None:
            shown(pattern["example"])
    return answer


def _show(output: Output, found: Stats) -> None:
    """Write the page for a person."""
    output.line(f"{found.attempts:,} attempts {_counted(output, found.by_status)}".rstrip())
    durations, retrievals = found.durations, found.retrievals
    facts = {
        "success": _percent(found),
        "took": _took(durations),
        "retries": f"{found.retries:,}" if found.retries else None,
        "open": _counted(output, found.open) or None,
        "came by": ", ".join(f"{name} {count:,}" for name, count in found.by_provenance.items())
        if found.by_provenance.keys() - {"live"}
        else None,
        "looked up": f"{retrievals.memory_count:,} memories in {retrievals.attempts:,} attempts"
        + ("" if retrievals.avg_latency_us is None else f", {duration_text(retrievals.avg_latency_us)} each")
        if retrievals.attempts
        else None,
    }
    for name, text in facts.items():
        if text is not None:
            output.line(f"{output.paint(f'{name:<9}', 'dim')} {text}")
    if len(found.tasks) > 1:
        output.line("")
        output.rows(_COLUMNS, found.tasks)
    if found.failures:
        output.line(f"\n{output.paint('Failed last', 'bold')}")
        output.rows(_failure_columns(output), found.failures)
    if found.patterns:
        output.line(f"\n{output.paint('Failed alike', 'bold')}")
        output.rows(_pattern_columns(output), found.patterns)


def _counted(output: Output, counts: dict[TaskStatus, int]) -> str:
    return ", ".join(
        output.paint(f"{count:,} {status}", STATUS_STYLES[status]) for status, count in counts.items()
    )


def _took(durations: Durations) -> str | None:
    parts = [
        f"{name} {text}"
        for name, text in (
            ("min", _text(durations.min_us)),
            ("avg", _text(durations.avg_us)),
            ("p50", _text(durations.p50_us)),
            ("p95", _text(durations.p95_us)),
            ("max", _text(durations.max_us)),
        )
        if text is not None
    ]
    return ", ".join(parts) or None


def _text(micros: int | None) -> str | None:
    """Return a duration rounded to what is shown of it: cut off, a middle just below 3 ms would be 2 ms."""
    if micros is None:
        return None
    shown_us = (
        1
        if micros < 1_000
        else 1_000
        if micros < 1_000_000
        else 100_000
        if micros < 60_000_000
        else 1_000_000
    )
    return duration_text(round(micros / shown_us) * shown_us)


def _percent(counts: Stats | TaskCounts) -> str | None:
    return None if counts.success_rate is None else f"{counts.success_rate * 100:.1f}%"


_COLUMNS: Final[list[Column[Stats | TaskCounts]]] = [
    Column(head="TASK", value=lambda one: one.task_id if isinstance(one, TaskCounts) else None, wraps=True),
    Column(head="ATTEMPTS", value=lambda one: str(one.attempts), right=True),
    Column(head="SUCCESS", value=_percent, right=True),
    Column(head="RETRIES", value=lambda one: str(one.retries), right=True),
    Column(head="P50", value=lambda one: _text(one.durations.p50_us), right=True),
    Column(head="P95", value=lambda one: _text(one.durations.p95_us), right=True),
    Column(head="MAX", value=lambda one: _text(one.durations.max_us), right=True),
]


def _failure_columns(output: Output) -> list[Column[TaskAttempt]]:
    return [
        Column(head="ENDED", value=lambda task: output.time(task.finished_at or 0)),
        Column(head="TASK", value=lambda task: task.task_id, wraps=True),
        Column(head="ATTEMPT", value=lambda task: str(task.attempt), right=True),
        Column(head="EXECUTION", value=lambda task: short_id(task.execution_id)),
        Column(head="ERROR", value=error_text, wraps=True),
    ]


def _pattern_columns(output: Output) -> list[Column[FailurePattern]]:
    return [
        Column(head="COUNT", value=lambda one: str(one.count), right=True),
        Column(head="FIRST", value=lambda one: output.time(one.first_at)),
        Column(head="LAST", value=lambda one: output.time(one.last_at)),
        Column(head="TASKS", value=lambda one: ", ".join(one.task_ids), wraps=True),
        Column(head="ERROR", value=_example, wraps=True),
        Column(head="STACK", value=lambda one: one.stack_hash[:_SHORT_HASH_CHARS]),
    ]


def _example(pattern: FailurePattern) -> str | None:
    return None if pattern.example is None else error_text(pattern.example)
