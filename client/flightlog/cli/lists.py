"""The columns of what several verbs list: agents, artifacts, audit entries."""

from typing import Final

import msgspec

from flightlog.cli.output import Output
from flightlog.cli.render import AGENT_STYLES, pairs_text
from flightlog.cli.tables import Column
from flightlog_schemas.answers import Agent, Artifact, AuditEntry

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


def audit_columns(output: Output) -> list[Column[AuditEntry]]:
    """Return the columns of an audit trail: a program gets everything, a person what fits."""
    columns: list[Column[AuditEntry]] = [
        Column(head="SEQ", value=lambda e: str(e.seq), right=True),
        Column(head="TIME", value=lambda e: output.time(e.time)),
        Column(head="EVENT", value=lambda e: e.event_type),
        Column(head="FROM", value=lambda e: e.from_state),
        Column(head="TO", value=lambda e: e.to_state),
    ]
    if output.terminal:
        columns += [
            Column(head="WHO", value=lambda e: f"{e.uid}:{e.pid}"),
            Column(head="REASON", value=_why, wraps=True),
        ]
    else:
        columns += [
            Column(head="REASON", value=lambda e: e.reason),
            Column(head="UID", value=lambda e: str(e.uid)),
            Column(head="PID", value=lambda e: str(e.pid)),
            Column(head="DETAIL", value=_detail),
        ]
    return columns


def _detail(entry: AuditEntry) -> str | None:
    return None if not entry.detail else msgspec.json.encode(entry.detail).decode()


def _why(entry: AuditEntry) -> str | None:
    return " ".join(part for part in (entry.reason, pairs_text(entry.detail or {})) if part) or None
