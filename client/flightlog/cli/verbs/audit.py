"""`flightlog audit`: who did what to an execution, and when."""

from itertools import chain
from typing import Any

import click

from flightlog.cli.lists import audit_columns
from flightlog.cli.options import ID, TIME, any_execution_argument, host_option
from flightlog.cli.output import shown
from flightlog.cli.pages import pages
from flightlog.cli.verb import Session, json_option, verb
from flightlog_schemas.answers import AuditEntry
from flightlog_schemas.wire.query import Audit


def _types(_ctx: click.Context, _param: click.Parameter, value: str | None) -> tuple[str, ...]:
    """Return the types as they were written and in capitals, as our own are: programs add types of theirs."""
    parts = [part.strip() for part in (value or "").split(",") if part.strip()]
    return tuple(dict.fromkeys(name for part in parts for name in (part.upper(), part)))


@verb(
    "audit",
    "flightlog audit EXEC",
    "flightlog audit EXEC --task extract --type TASK_RETRIED,TASK_FAILED",
    "flightlog audit --since 1d --type ANOMALY",
)
@any_execution_argument
@click.option("--all", "everything", is_flag=True, help="Of everything, also within an execution.")
@click.option("--task", type=ID, metavar="ID", help="Entries about this task.")
@click.option("--type", "types", callback=_types, metavar="A,B", help="Entries of any of these types.")
@host_option
@click.option("-S", "--since", type=TIME, help="Recorded at or after: 5m, 2h, 1d, today, RFC 3339.")
@click.option("-U", "--until", type=TIME, help="Recorded before.")
@click.option(
    "-n", "count", type=click.IntRange(min=0), metavar="N", help="Only the last N that match [default: all]."
)
@json_option
def command(
    session: Session,
    execution: str | None,
    everything: bool,
    task: str | None,
    types: tuple[str, ...],
    hosts: tuple[str, ...],
    since: int | None,
    until: int | None,
    count: int | None,
    as_json: bool,
) -> None:
    """Show the audit trail of an execution, or without EXEC that of everything, oldest first.

    Who is uid:pid of the process that reported it, by the kernel's word. --since and --until go by the
    daemon's clock, which no program sets. Piped: tab-separated seq, time, type, from, to, reason, uid, pid,
    detail, task, execution.
    """
    request = Audit(
        execution_id=None if everything else execution,
        task_id=task,
        type=types,
        host=hosts,
        since=since,
        until=until,
        last=count,
    )
    output = session.output()
    with session.ask() as daemon:
        if as_json:
            output.json_array(shown(entry) for entry in pages(daemon, request, dict[str, Any]))
            return
        entries = pages(daemon, request, AuditEntry)
        first = next(entries, None)
        if first is None:
            session.say("no entries match")
            return
        columns = audit_columns(output, everything=request.execution_id is None)
        output.rows(columns, chain((first,), entries))
