"""Questions are answered by index: no scan of a table, no sorting, whatever is asked for."""

import itertools
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final

import apsw
import pytest

from flightlog_schemas.statuses import ACTIVE, Status
from flightlog_schemas.wire.lines import Search
from flightlog_schemas.wire.query import Agents, Artifacts, Audit, Executions
from flightlogd.queries.agent import agent_page
from flightlogd.queries.artifact import artifact_page
from flightlogd.queries.audit import audit_entries
from flightlogd.queries.execution import list_executions, one_execution, phase_position
from flightlogd.queries.search import find_hits, look_up
from flightlogd.store.database import open_reader
from support.daemon import Daemon
from support.lines import event, log
from support.origins import ran, repeat
from support.peers import IngestPeer
from support.searching import search as searching
from support.searching import tell

Arguments = dict[str, Any]

STATUSES: tuple[tuple[Status, ...], ...] = ((), ("failed",), ACTIVE)
OF_EXECUTIONS: Final[dict[str, Arguments]] = {
    "project": {"project": "/p"},
    "name": {"name": "n"},
    "parent": {"parent_id": "ex"},
    "since": {"since": 1},
    "until": {"until": 9},
    "page": {"before": "5:5"},
    "host": {"host": ("far",)},
    "hosts": {"host": ("far", "farther")},
}
OF_AGENTS: Final[dict[str, Arguments]] = {
    "agent": {"agent_id": "a"},
    "status": {"status": "active"},
    "page": {"after": 5},
}
OF_ARTIFACTS: Final[dict[str, Arguments]] = {
    "execution": {"execution_id": "ex"},
    "path": {"path": "/p/a"},
    "phase": {"phase": "planned"},
    "agent": {"agent_id": "a"},
    "type": {"type": "file"},
    "host": {"host": ("far",)},
    "page": {"after": 5},
}

OF_AUDIT: Final[dict[str, Arguments]] = {
    "execution": {"execution_id": "ex"},
    "task": {"task_id": "t"},
    "type": {"type": ("CREATED",)},
    "types": {"type": ("CREATED", "STARTED")},
    "since": {"since": 1},
    "until": {"until": 2**60},
    "last": {"last": 5},
    "page": {"after": "1:0"},
    "host": {"host": ("far",)},
}
OF_SEARCHES: Final[dict[str, Arguments]] = {
    "execution": {"execution_id": "ex"},
    "level": {"level": (17, 21)},
    "source": {"source": "s"},
    "task": {"task_id": "t"},
    "project": {"project": "/p"},
    "times": {"since": 1, "until": 9},
    "host": {"host": ("far",)},
}


def combinations(filters: Mapping[str, Arguments], most: int) -> Iterator[Arguments]:
    """Yield the arguments of every combination of filters, up to that many at once."""
    for size in range(most + 1):
        for chosen in itertools.combinations(filters.values(), size):
            yield {name: value for arguments in chosen for name, value in arguments.items()}


class Watched:
    """A connection that notes how SQLite answers what is asked over it.

    Args:
        db: The connection.
    """

    def __init__(self, db: apsw.Connection) -> None:
        self.db = db
        self.slow: list[str] = []
        self.steps: set[str] = set()
        """All steps of all plans so far."""

    def ask(self, question: Callable[[apsw.Connection], object]) -> None:
        """Answer a question, and note each statement that would scan a table or sort."""
        statements: list[tuple[str, Any]] = []

        def note(_cursor: apsw.Cursor, sql: str, bindings: Any) -> bool:
            statements.append((sql, bindings))
            return True

        self.db.exec_trace = note
        question(self.db)
        self.db.exec_trace = None
        assert statements
        for sql, bindings in statements:
            plan = [row[3] for row in self.db.execute(f"explain query plan {sql}", bindings)]
            self.steps.update(plan)
            if any("TEMP B-TREE" in step or ("SCAN" in step and "INDEX" not in step) for step in plan):
                self.slow.append(f"{sql}: {plan}")


@contextmanager
def watched(daemon: Daemon, far: str = "ex") -> Iterator[Watched]:
    """Give the database of a daemon, now stopped, with an execution `ex`, an agent and an artifact of it.

    Two other machines have run one of the name `far`.
    """
    with IngestPeer(daemon.ingest_socket) as peer:
        peer.settle(
            event("execution.started", "ex", project="/p", name="n", complexity=3),
            event("agent.added", "ex", agent_id="a"),
            event("artifact.added", "ex", path="/p/a", phase="brainstorm", agent_id="a"),
            log("ex", "m"),
        )
    repeat(daemon, *ran("far", far), *ran("farther", far))
    daemon.terminate()
    db = open_reader(daemon.database)
    try:
        yield Watched(db)
    finally:
        db.close()


@pytest.mark.covers("S0.6")
def test_every_list_of_executions_walks_an_index(daemon: Daemon) -> None:
    """Every combination of two filters and a status is one walk along an index in the order of the list."""
    with watched(daemon) as database:
        for arguments in combinations(OF_EXECUTIONS, 2):
            for status in STATUSES:
                request = Executions(status=status, **arguments)
                database.ask(lambda db, request=request: list_executions(db, request))  # type: ignore[misc]

    assert database.slow == []


@pytest.mark.covers("S0.6", "S3.4")
def test_current_looks_at_active_executions_of_its_project_alone(daemon: Daemon) -> None:
    """The newest active execution of a project is the end of an index on active executions by project."""
    with watched(daemon) as database:
        request = Executions(status=ACTIVE, project="/p", limit=1)
        database.ask(lambda db: list_executions(db, request))

    assert database.slow == []
    assert any("execution_active_project (project=?)" in step for step in database.steps), database.steps


@pytest.mark.covers("S0.6", "S3.5")
def test_every_list_of_agents_walks_an_index(daemon: Daemon) -> None:
    """Every combination of filters is one walk along an index in the order in which agents were added."""
    with watched(daemon) as database:
        for arguments in combinations(OF_AGENTS, len(OF_AGENTS)):
            request = Agents(execution_id="ex", **arguments)
            database.ask(lambda db, request=request: agent_page(db, request))  # type: ignore[misc]

    assert database.slow == []


@pytest.mark.covers("S0.6", "S3.6")
def test_every_list_of_artifacts_walks_an_index(daemon: Daemon) -> None:
    """Every combination of filters that names an execution or a path is one walk along an index."""
    with watched(daemon) as database:
        for arguments in combinations(OF_ARTIFACTS, len(OF_ARTIFACTS)):
            if arguments.keys() & {"execution_id", "path"}:
                request = Artifacts(**arguments)
                database.ask(lambda db, request=request: artifact_page(db, request))  # type: ignore[misc]

    assert database.slow == []


@pytest.mark.covers("S0.6", "S1.6")
def test_every_part_of_the_audit_trail_walks_an_index(daemon: Daemon) -> None:
    """Every combination of three filters is one walk along an index, a short one for a task or a type."""
    with watched(daemon) as database:
        for arguments in combinations(OF_AUDIT, 3):
            request = Audit(**arguments)
            database.ask(lambda db, request=request: audit_entries(db, request))  # type: ignore[misc]

    assert [sql for sql in database.slow if " from audit " in sql] == []
    for index in ("audit_execution (execution_id=?", "audit_of_task (task_id=?", "audit_type (event_type=?"):
        assert any(index in step for step in database.steps), index


@pytest.mark.covers("S3.6")
def test_a_path_in_one_execution_is_looked_for_there(daemon: Daemon) -> None:
    """Who wrote a file in one execution does not depend on how often other executions wrote it."""
    with watched(daemon) as database:
        database.ask(lambda db: artifact_page(db, Artifacts(execution_id="ex", path="/p/a")))

    assert not any("artifact_path" in step for step in database.steps), database.steps


@pytest.mark.covers("S0.6", "S1.11")
@pytest.mark.parametrize("name", ["ex", "e"], ids=["whole id", "prefix"])
def test_every_part_of_inspect_walks_an_index(daemon: Daemon, name: str) -> None:
    """An execution with its sums, its phase, its agents, artifacts and audit trail is found by index."""
    with watched(daemon, far="other") as database:
        for question in (
            lambda db: one_execution(db, name),
            lambda db: phase_position(db, name),
            lambda db: agent_page(db, Agents(execution_id=name)),
            lambda db: artifact_page(db, Artifacts(execution_id=name)),
            lambda db: audit_entries(db, Audit(execution_id=name)),
        ):
            database.ask(question)

    assert database.slow == []


@pytest.mark.covers("S0.6")
def test_a_search_walks_the_index_of_words(daemon: Daemon) -> None:
    """Whatever narrows it, a search is one walk along words and facts; lines are looked up by position."""
    tell(daemon, log("ex", "m"))
    searching(daemon, "m")
    requests = [
        Search(text="a b* -c", **arguments) for arguments in combinations(OF_SEARCHES, len(OF_SEARCHES))
    ]
    with watched(daemon) as database:
        for request in requests:
            database.ask(lambda db, request=request: look_up(db, request, None, [5, 3, 2], 10))  # type: ignore[misc]
    index = apsw.Connection(str(daemon.state_dir / "search.db"), flags=apsw.SQLITE_OPEN_READONLY)
    words = Watched(index)
    for request in requests:
        words.ask(lambda db, request=request: find_hits(db, request, request.execution_id, 10))  # type: ignore[misc]
    index.close()

    assert database.slow == []
    # One row for thousands of lines is what the times are looked for in.
    assert [statement for statement in words.slow if not statement.endswith("['SCAN span']")] == []
