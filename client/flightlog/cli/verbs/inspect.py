"""`flightlog inspect`: all about one execution."""

import re
import shlex
from collections.abc import Iterator, Sequence

import click
import msgspec

from flightlog.cli.lists import AGENT_COLUMNS, ARTIFACT_COLUMNS, audit_columns, inspected_task_columns
from flightlog.cli.options import AS_OF, AsOf, execution_argument, host_option
from flightlog.cli.output import Output, height_lines, width_chars
from flightlog.cli.render import LEVEL_STYLES, STATUS_STYLES, running_for
from flightlog.cli.tables import Column, Row
from flightlog.cli.text import cut, fold, indent, one_line, tsv
from flightlog.cli.timeline import summary, timeline
from flightlog.cli.verb import Session, json_option, verb
from flightlog.cli.whole import Whole, ask_whole
from flightlog.clock import now_us
from flightlog_schemas.answers import Execution, TaskAttempt
from flightlog_schemas.phases import chain
from flightlog_schemas.times import duration_text
from flightlog_schemas.wire.query import Inspect

VALUE_LIMIT_CHARS = 200

_BAR = re.compile(r"([^ ┊·]+)")
"""What is painted of a bar: not the ticks behind it, and not the dots of waiting."""

Facts = Iterator[tuple[str, str | None]]


@verb(
    "inspect",
    "flightlog inspect EXEC --timeline --audit",
    "flightlog inspect EXEC --agents --artifacts",
    "flightlog inspect EXEC --as-of 10m",
)
@execution_argument
@click.option("--timeline", "draws", is_flag=True, help="A picture of when its tasks ran.")
@click.option("--show-inputs", is_flag=True, help="What its tasks were given, gave, and failed of.")
@click.option("--agents", is_flag=True, help="Its agents, too.")
@click.option("--artifacts", is_flag=True, help="The files that it produced, too.")
@click.option("--audit", is_flag=True, help="Its audit trail, too.")
@click.option(
    "--as-of",
    type=AS_OF,
    metavar="SEQ|TIME",
    help="As it was at a position of the log, or at a time: 5m, today, RFC 3339.",
)
@click.option(
    "--no-truncate", is_flag=True, help=f"Show values of over {VALUE_LIMIT_CHARS} characters whole."
)
@host_option
@json_option
def command(
    session: Session,
    execution: str,
    draws: bool,
    show_inputs: bool,
    agents: bool,
    artifacts: bool,
    audit: bool,
    as_of: AsOf | None,
    no_truncate: bool,
    hosts: tuple[str, ...],
    as_json: bool,
) -> None:
    """Show what is known of an execution, and its tasks.

    Of its phases, the one that it is in stands in brackets. --json has everything: tasks, agents, artifacts
    and the audit trail included. Piped without it: tab-separated names and values, then the lists, each
    after an empty line.
    """
    request = Inspect(
        execution_id=execution,
        tasks=True,
        agents=agents or as_json,
        artifacts=artifacts or as_json,
        audit=audit or as_json,
        as_of=None if as_of is None else as_of.seq,
        as_of_time=None if as_of is None else as_of.time_us,
        host=hosts,
    )
    output = session.output()
    with session.ask() as daemon:
        found = ask_whole(daemon, request)
    if as_json:
        output.json(found.json())
        return
    limit_chars = None if no_truncate else VALUE_LIMIT_CHARS
    now = _now(as_of, found)
    _show(output, found.execution, limit_chars, now)
    if found.tasks:
        _list(output, inspected_task_columns(output, now), found.tasks)
    if show_inputs:
        _show_values(output, found.tasks, limit_chars)
    if draws and found.tasks:
        _draw(output, found.tasks, now)
    if agents:
        _list(output, AGENT_COLUMNS, found.agents)
    if artifacts:
        _list(output, ARTIFACT_COLUMNS, found.artifacts)
    if audit:
        _list(output, audit_columns(output), found.audit)
    if found.truncated:
        session.say("there is more than one answer about the past holds")


def _show_values(output: Output, tasks: Sequence[TaskAttempt], limit_chars: int | None) -> None:
    """Write what went into attempts and what came out, a line for each value."""
    for task in tasks:
        values = {
            "inputs": task.inputs,
            "outputs": task.outputs,
            "error": None if task.error is None else msgspec.to_builtins(task.error),
        }
        told = {
            f"{part}.{key}": value for part, pairs in values.items() for key, value in (pairs or {}).items()
        }
        if not told:
            continue
        output.line("")
        name = f"{task.task_id} (attempt {task.attempt})"
        for key, value in told.items():
            text = value if isinstance(value, str) else msgspec.json.encode(value).decode()
            text = text if limit_chars is None else cut(text, limit_chars)
            if output.terminal:
                output.line(f"{output.paint(one_line(f'{name} {key}'), 'dim')}  {indent(output.safe(text))}")
            else:
                output.line(tsv([task.task_id, str(task.attempt), key, text]))


def _draw(output: Output, tasks: Sequence[TaskAttempt], now: int) -> None:
    """Write the picture and what it shows in words; bars have the colour of their status."""
    output.line("")
    screen_lines = height_lines() if output.terminal else None
    for line in timeline(tasks, width_chars(), now, screen_lines):
        style = "dim" if line.status is None else STATUS_STYLES[line.status]
        bar = "".join(
            output.paint(part, style if _BAR.match(part) else None) for part in _BAR.split(line.bar)
        )
        label = output.paint(line.label, "bold" if line.status is None else None)
        output.line(f"{label} {bar} {line.tail}".rstrip())
    told = summary(tasks, now)
    if told is not None:
        output.line("")
        for part in fold(told, width_chars()) if output.terminal else [told]:
            output.line(part)


def _now(as_of: AsOf | None, found: Whole) -> int:
    """Return what is the present for that which still runs: of an answer about the past, its moment.

    A position has no time by itself: the last one that the answer tells of has to do.
    """
    if as_of is None:
        return now_us()
    if as_of.time_us is not None:
        return as_of.time_us
    known = [found.execution.started_at, found.execution.finished_at]
    for task in found.tasks:
        known += [task.created_at, task.started_at, task.finished_at]
    known += [entry.time for entry in found.audit]
    return max((time for time in known if time is not None), default=now_us())


def _list(output: Output, columns: Sequence[Column[Row]], rows: Sequence[Row]) -> None:
    """Write a list below the overview, an empty line between."""
    output.line("")
    output.flush()
    output.rows(columns, rows)


def _show(output: Output, execution: Execution, limit_chars: int | None, now: int) -> None:
    """Write the overview: names and values, aligned for a person, tab-separated for a program."""
    facts = [(name, value) for name, value in _facts(output, execution, now) if value is not None]
    for name, value in facts:
        text = value if limit_chars is None else cut(value, limit_chars)
        if not output.terminal:
            output.line(tsv([name, text]))
            continue
        style = STATUS_STYLES[execution.status] if name == "status" else "bold" if name == "name" else None
        painted = output.paint(output.wrapped(text, 11), style)
        output.line(f"{output.paint(f'{name:<9}', 'dim')}  {painted}")


def _facts(output: Output, execution: Execution, now: int) -> Facts:
    """Yield what is known, in the order that a person asks it: what, how it went, when, where, by whom."""
    yield "id", execution.execution_id
    yield "name", execution.name
    status = execution.status.replace("_", " ") if output.terminal else execution.status
    yield "status", status if execution.outcome_reason is None else f"{status}: {execution.outcome_reason}"
    error = execution.error
    if error is not None:
        yield "error", error.message if error.type is None else f"{error.message} ({error.type})"
        yield "stack", error.stack
    yield "exit", None if execution.exit_status is None else str(execution.exit_status)
    yield "took", running_for(execution, now) if output.terminal else _took(execution)
    yield "started", _time(output, execution.started_at)
    yield "finished", _time(output, execution.finished_at)
    yield "deadline", _time(output, execution.deadline)
    yield "goal", execution.goal
    yield "tool", " ".join(part for part in (execution.tool, execution.tool_version) if part) or None
    yield "args", None if execution.args is None else shlex.join(execution.args)
    yield "project", execution.project
    yield "parent", execution.parent_id
    yield "trigger", execution.trigger
    yield from _settings(execution)
    yield "agents", _agents(execution)
    yield "log", _log_summary(execution)
    owner = execution.owner
    yield "owner", None if owner is None else f"process {owner.pid}"
    yield "by", None if execution.uid is None else f"uid {execution.uid}, process {execution.pid}"
    yield "seq", f"{execution.first_seq} to {execution.last_seq}"


def _settings(execution: Execution) -> Facts:
    yield "phase", execution.phase
    yield "phases", _chain(execution)
    yield "paused", "every step needs a reason" if execution.auto_advance is False else None
    yield "complexity", None if execution.complexity is None else str(execution.complexity)
    yield "labels", " ".join(f"{key}={value}" for key, value in execution.labels.items()) or None
    yield "counts", " ".join(f"{key}={value}" for key, value in execution.counts.items()) or None


def _chain(execution: Execution) -> str | None:
    """Return the phases that it takes, with the one that it is in marked; None without a chain."""
    if execution.phase is None:
        return None
    taken = chain(
        execution.phase, execution.phases, execution.complexity, force_full=execution.force_full is True
    )
    return " → ".join(f"[{phase}]" if phase == execution.phase else phase for phase in taken)


def _agents(execution: Execution) -> str | None:
    """Return how many agents it has and what they used."""
    if not execution.agent_count:
        return None
    text = f"{execution.agent_count:,}"
    if execution.input_tokens or execution.output_tokens:
        text += f", {execution.input_tokens:,} tokens in, {execution.output_tokens:,} out"
    return f"{text}, ${execution.cost_usd:,.2f}" if execution.cost_usd else text


def _took(execution: Execution) -> str | None:
    return None if execution.duration_us is None else duration_text(execution.duration_us)


def _time(output: Output, micros: int | None) -> str | None:
    return None if micros is None else output.time(micros)


def _log_summary(execution: Execution) -> str:
    levels = ", ".join(
        f"{execution.levels[level]:,} {level}"
        for level in reversed(LEVEL_STYLES)
        if execution.levels.get(level)
    )
    lines = f"{execution.log_count:,} line{'' if execution.log_count == 1 else 's'}"
    return f"{lines} ({levels})" if levels else lines
