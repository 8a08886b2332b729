"""All that the daemon knows of one execution: now, or as it was."""

from collections.abc import Iterator
from typing import Any, Final

import msgspec
from msgspec import Struct, field

from flightlog.cli.output import shown
from flightlog.cli.pages import pages
from flightlog.query import Connection
from flightlog_schemas import SCHEMA_VERSION
from flightlog_schemas.answers import Agent, Artifact, AuditEntry, Execution, TaskAttempt
from flightlog_schemas.wire.query import Agents, Artifacts, Audit, Inspect, Tasks

_KINDS: Final[dict[str, type[Struct]]] = {
    "execution": Execution,
    "task": TaskAttempt,
    "agent": Agent,
    "artifact": Artifact,
    "audit": AuditEntry,
}


class Whole(Struct, kw_only=True):
    """An execution with what belongs to it.

    Attributes:
        execution: The execution.
        tasks: The attempts at its tasks.
        agents: Its agents.
        artifacts: Its artifacts.
        audit: Its audit trail.
        truncated: There is more of these than one answer about the past holds.
    """

    execution: Execution
    tasks: list[TaskAttempt] = field(default_factory=list)
    agents: list[Agent] = field(default_factory=list)
    artifacts: list[Artifact] = field(default_factory=list)
    audit: list[AuditEntry] = field(default_factory=list)
    truncated: bool = False

    def json(self) -> dict[str, Any]:
        """Return it for programs, in one object."""
        told = {
            "schema_version": SCHEMA_VERSION,
            **_shown(self.execution),
            "tasks": [_shown(attempt) for attempt in self.tasks],
            "agents": [_shown(agent) for agent in self.agents],
            "artifacts": [_shown(artifact) for artifact in self.artifacts],
            "audit": [_shown(entry) for entry in self.audit],
        }
        return told | ({"truncated": True} if self.truncated else {})


def ask_whole(daemon: Connection, request: Inspect) -> Whole:
    """Return an execution with what the request asks for beside it.

    What it is now comes in as many pages as it takes; a question about the past has one answer.
    """
    if request.as_of is None and request.as_of_time is None:
        found = daemon.one(Inspect(execution_id=request.execution_id, host=request.host), Execution)
        name = found.execution_id
        return Whole(
            execution=found,
            tasks=list(pages(daemon, Tasks(execution_id=name, oldest_first=True), TaskAttempt))
            if request.tasks
            else [],
            agents=list(pages(daemon, Agents(execution_id=name), Agent)) if request.agents else [],
            artifacts=list(pages(daemon, Artifacts(execution_id=name), Artifact))
            if request.artifacts
            else [],
            audit=list(pages(daemon, Audit(execution_id=name), AuditEntry)) if request.audit else [],
        )
    answers: dict[str, list[Any]] = {kind: [] for kind in _KINDS}
    for kind, answer in _answers(daemon, request):
        answers[kind].append(answer)
    [execution] = answers["execution"]
    return Whole(
        execution=execution,
        tasks=answers["task"],
        agents=answers["agent"],
        artifacts=answers["artifact"],
        audit=answers["audit"],
        truncated=daemon.end is not None and daemon.end.truncated,
    )


def _answers(daemon: Connection, request: Inspect) -> Iterator[tuple[str, Any]]:
    for answer in daemon.lines(request):
        [(kind, told)] = msgspec.json.decode(answer, type=dict[str, msgspec.Raw]).items()
        yield kind, msgspec.json.decode(told, type=_KINDS[kind])


def _shown(answer: Struct) -> dict[str, Any]:
    told = msgspec.to_builtins(answer)
    assert isinstance(told, dict)
    return shown(told)
