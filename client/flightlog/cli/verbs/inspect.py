"""`flightlog inspect`: all about one execution."""

import shlex
from collections.abc import Iterator
from typing import Any

import click

from flightlog.cli.options import execution_argument
from flightlog.cli.output import Output, shown
from flightlog.cli.render import LEVEL_STYLES, STATUS_STYLES, running_for
from flightlog.cli.text import cut, tsv
from flightlog.cli.verb import Session, json_option, verb
from flightlog.cli.verbs.audit import audit_trail, show_audit
from flightlog.clock import now_us
from flightlog_schemas import SCHEMA_VERSION
from flightlog_schemas.answers import AuditEntry, Execution
from flightlog_schemas.times import duration_text
from flightlog_schemas.wire.query import Inspect

VALUE_LIMIT_CHARS = 200

Facts = Iterator[tuple[str, str | None]]


@verb("inspect", "flightlog inspect EXEC --audit")
@execution_argument
@click.option("--audit", is_flag=True, help="Its audit trail, too.")
@click.option(
    "--no-truncate", is_flag=True, help=f"Show values of over {VALUE_LIMIT_CHARS} characters whole."
)
@json_option
def command(session: Session, execution: str, audit: bool, no_truncate: bool, as_json: bool) -> None:
    """Show what is known of an execution.

    --json has everything, the audit trail included. Piped without it: tab-separated names and values.
    """
    output = session.output()
    with session.ask() as daemon:
        if as_json:
            answer = shown(daemon.one(Inspect(execution_id=execution), dict[str, Any]))
            trail = audit_trail(daemon, str(answer["execution_id"]), dict[str, Any])
            output.json(
                {"schema_version": SCHEMA_VERSION, **answer, "audit": [shown(entry) for entry in trail]}
            )
            return
        found = daemon.one(Inspect(execution_id=execution), Execution)
        _show(output, found, None if no_truncate else VALUE_LIMIT_CHARS)
        if audit:
            output.line("")
            output.flush()
            show_audit(output, audit_trail(daemon, found.execution_id, AuditEntry))


def _show(output: Output, execution: Execution, limit_chars: int | None) -> None:
    """Write the overview: names and values, aligned for a person, tab-separated for a program."""
    facts = [(name, value) for name, value in _facts(output, execution) if value is not None]
    for name, value in facts:
        text = value if limit_chars is None else cut(value, limit_chars)
        if not output.terminal:
            output.line(tsv([name, text]))
            continue
        style = STATUS_STYLES[execution.status] if name == "status" else "bold" if name == "name" else None
        painted = output.paint(output.wrapped(text, 11), style)
        output.line(f"{output.paint(f'{name:<9}', 'dim')}  {painted}")


def _facts(output: Output, execution: Execution) -> Facts:
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
    yield "took", running_for(execution, now_us()) if output.terminal else _took(execution)
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
    yield "log", _log_summary(execution)
    owner = execution.owner
    yield "owner", None if owner is None else f"process {owner.pid}"
    yield "by", None if execution.uid is None else f"uid {execution.uid}, process {execution.pid}"
    yield "seq", f"{execution.first_seq} to {execution.last_seq}"


def _settings(execution: Execution) -> Facts:
    yield "phase", execution.phase
    yield "phases", None if execution.phases is None else " → ".join(execution.phases)
    yield "complexity", None if execution.complexity is None else str(execution.complexity)
    yield "labels", " ".join(f"{key}={value}" for key, value in execution.labels.items()) or None
    yield "counts", " ".join(f"{key}={value}" for key, value in execution.counts.items()) or None


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
