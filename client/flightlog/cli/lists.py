"""The columns of what several verbs list: tasks, agents, artifacts, audit entries."""

from typing import Final

import msgspec

from flightlog.cli.output import Output
from flightlog.cli.render import AGENT_STYLES, STATUS_STYLES, duration, pairs_text, running_for, short_id
from flightlog.cli.tables import Column
from flightlog_schemas.answers import Agent, Artifact, AuditEntry, TaskAttempt


def task_columns(output: Output, now_us: int) -> list[Column[TaskAttempt]]:
    """Return the columns of attempts at tasks; what still runs shows for how long."""
    return [
        Column(head="ID", value=lambda task: task.task_id, wraps=True),
        Column(head="STATUS", value=lambda task: task.status, style=lambda task: STATUS_STYLES[task.status]),
        Column(head="ATTEMPT", value=lambda task: str(task.attempt), right=True),
        Column(head="TOOK", value=duration, seen=lambda task: running_for(task, now_us), right=True),
        Column(head="STARTED", value=lambda task: _time(output, task.started_at), spare=1),
        Column(head="NAME", value=lambda task: task.name, wraps=True),
    ]


def inspected_task_columns(output: Output, now_us: int) -> list[Column[TaskAttempt]]:
    """Return the columns of the tasks of one execution: when each began and ended instead of its name."""
    id_, status, attempt, took, started, _ = task_columns(output, now_us)
    kind = Column[TaskAttempt](head="TYPE", value=lambda task: task.type, spare=2)
    ended = Column[TaskAttempt](head="ENDED", value=lambda task: _time(output, task.finished_at), spare=3)
    return [id_, kind, status, attempt, took, started, ended]


def _time(output: Output, micros: int | None) -> str | None:
    return None if micros is None else output.time(micros)


AGENT_COLUMNS: Final[list[Column[Agent]]] = [
    Column(head="ID", value=lambda agent: agent.agent_id),
    Column(head="TYPE", value=lambda agent: agent.agent_type),
    Column(head="STATUS", value=lambda agent: agent.status, style=lambda agent: AGENT_STYLES[agent.status]),
    Column(head="NAME", value=lambda agent: agent.name, wraps=True),
]

ARTIFACT_COLUMNS: Final[list[Column[Artifact]]] = [
    Column(head="ID", value=lambda artifact: artifact.artifact_id),
    Column(head="PHASE", value=lambda artifact: artifact.phase),
    Column(head="TYPE", value=lambda artifact: artifact.type),
    Column(head="PATH", value=lambda artifact: artifact.path, wraps=True),
]


def audit_columns(output: Output, *, everything: bool = False) -> list[Column[AuditEntry]]:
    """Return the columns of an audit trail: a program gets everything, a person what fits.

    Args:
        output: Where they go.
        everything: The entries are of more than one execution.
    """
    columns: list[Column[AuditEntry]] = [
        Column(head="SEQ", value=lambda e: str(e.seq), right=True),
        Column(head="TIME", value=lambda e: output.time(e.time), spare=1),
        Column(head="EVENT", value=lambda e: e.event_type),
        Column(head="FROM", value=lambda e: e.from_state, spare=3),
        Column(head="TO", value=lambda e: e.to_state, spare=3),
    ]
    if output.terminal:
        if everything:
            columns.insert(
                2, Column(head="EXECUTION", value=lambda e: e.execution_id and short_id(e.execution_id))
            )
        columns += [
            Column(head="TASK", value=lambda e: e.task_id, spare=1),
            Column(head="WHO", value=lambda e: f"{e.uid}:{e.pid}", spare=2),
            Column(head="REASON", value=_why, wraps=True),
        ]
    else:
        columns += [
            Column(head="REASON", value=lambda e: e.reason),
            Column(head="UID", value=lambda e: str(e.uid)),
            Column(head="PID", value=lambda e: str(e.pid)),
            Column(head="DETAIL", value=_detail),
            Column(head="TASK", value=lambda e: e.task_id),
            Column(head="EXECUTION", value=lambda e: e.execution_id),
        ]
    return columns


def _detail(entry: AuditEntry) -> str | None:
    return None if not entry.detail else msgspec.json.encode(entry.detail).decode()


def _why(entry: AuditEntry) -> str | None:
    return " ".join(part for part in (entry.reason, pairs_text(entry.detail or {})) if part) or None
