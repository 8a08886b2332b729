"""What the tools of `flightlog mcp` answer, and that they agree with the command line and with the events."""

from collections.abc import Iterator

import pytest

from cli.runner import Cli
from support.agent import Agent, agent
from support.daemon import Daemon
from support.lines import event, log
from support.programs import records, run_program
from support.searching import search, tell

PROGRAM = """
    import flightlog

    pages = iter([OSError("page 1 of 7 is gone"), OSError("page 2 of 7 is gone"), None])

    with flightlog.execution("summarise") as run:
        with run.agent(name="writer") as writer:
            for attempt in run.attempts("fetch page", retries=2, on=OSError, inputs={"page": 7}):
                with attempt:
                    attempt.info("asking the server")
                    problem = next(pages)
                    if problem is not None:
                        attempt.error("the tool failed")
                        raise problem
                    attempt.outputs = {"rows": 2}
            run.artifact("/tmp/out.md")
"""


@pytest.fixture(scope="module")
def reader(shared: Daemon) -> Iterator[Agent]:
    """Give an agent of the module's daemon."""
    with agent(shared.runtime_dir) as connected:
        yield connected


@pytest.mark.covers("S2.9")
def test_failing_tool_is_told_alike_everywhere(reader: Agent, shared: Daemon) -> None:
    """A run with a tool that failed twice: the tools, the command line and the events tell the same story."""
    assert run_program(PROGRAM, shared.runtime_dir).returncode == 0
    flightlog = Cli(shared.runtime_dir)
    (run,) = reader.ask("executions_list", name="summarise")["executions"]
    told = [line["event"] for line in records(shared, execution_id=run["execution_id"])]
    ends = [one for one in told if one["type"] == "task.ended"]
    spans = [one["span_id"] for one in ends]
    assert [one["outcome"] for one in ends] == ["failed", "failed", "succeeded"]

    trace = reader.ask("tasks_by_trace", trace_id=ends[0]["trace_id"])
    assert [one["span_id"] for one in trace["attempts"]] == spans
    assert (trace["retry_count"], trace["final_status"], trace["attempt_count"]) == (2, "succeeded", 3)
    assert trace["tasks"] == [
        {
            "execution_id": run["execution_id"],
            "task_id": "fetch-page",
            "attempts": 3,
            "final_status": "succeeded",
        }
    ]
    assert trace["attempts"] == flightlog.ok("task", "trace", ends[0]["trace_id"], "--json").json
    assert trace["attempts"][0]["inputs"] == {"page": 7}
    assert trace["attempts"][2]["outputs"] == {"rows": 2}

    failed = reader.ask("tasks_last_failed", task_id="fetch-page")
    listed = flightlog.ok("task", "failed", "--task", "fetch-page", "--json").json
    assert (
        [one["span_id"] for one in failed["failures"]] == [one["span_id"] for one in listed] == spans[1::-1]
    )
    (pattern,) = failed["error_patterns"]
    assert (pattern["count"], pattern["error_type"], pattern["tasks"]) == (2, "OSError", ["fetch-page"])
    assert pattern["stack_hash"] == ends[0]["error"]["stack_hash"] == ends[1]["error"]["stack_hash"]
    (newest,) = reader.ask("tasks_last_failed", task_id="fetch-page", unique_errors=True)["failures"]
    assert newest["span_id"] == spans[1]

    asked = ["tasks", "agents", "artifacts", "audit"]
    inspected = reader.ask("execution_inspect", execution_id=run["execution_id"], include=asked)
    whole = flightlog.ok("inspect", run["execution_id"], "--json").json
    assert {name: whole[name] for name in inspected["execution"]} == inspected["execution"]
    assert [one["span_id"] for one in inspected["tasks"]] == [one["span_id"] for one in whole["tasks"]]
    assert (inspected["agents"], inspected["artifacts"]) == (whole["agents"], whole["artifacts"])
    assert reader.ask("agents_list", execution_id=run["execution_id"])["agents"] == whole["agents"]
    assert inspected["audit"] == whole["audit"]
    assert inspected["incomplete"] == []

    stats = reader.ask("stats", task_id="fetch-page")
    assert (stats["attempts"], stats["retries"]) == (3, 2)
    assert stats["by_status"] == {"failed": 2, "succeeded": 1}
    assert [one["span_id"] for one in stats["failures"]] == spans[1::-1]
    (group,) = stats["patterns"]
    assert {name: group[name] for name in ("stack_hash", "count")} == {
        name: pattern[name] for name in ("stack_hash", "count")
    }
    assert group["example"] == stats["failures"][0]
    by_command = flightlog.ok("stats", "fetch-page", "--json").json
    for name in ("attempts", "retries", "open", "by_status", "success_rate", "durations", "tasks"):
        assert stats[name] == by_command[name]
    assert group["first_at"] == by_command["patterns"][0]["first_at"]
    assert [one["span_id"] for one in by_command["failures"]] == spans[1::-1]

    digest = reader.ask("logs_digest", execution_id=run["execution_id"])
    assert digest["scanned"] == len(flightlog.ok("logs", run["execution_id"]).lines)
    assert digest["recorded_by_level"] == run_levels(told)
    assert [one["count"] for one in digest["errors"]] == [2, 2]
    assert digest["errors"][0]["line"]["message"] == "the tool failed"
    assert digest["errors"][1]["line"]["message"].endswith("page 1 of 7 is gone")


def run_levels(events: list[dict[str, object]]) -> dict[str, int]:
    """Return how many log lines of each level there are among events."""
    levels = [str(one.get("level", "INFO")) for one in events if one["type"] == "log"]
    return {name: levels.count(name) for name in ("TRACE", "DEBUG", "INFO", "WARN", "ERROR", "FATAL")}


@pytest.fixture(scope="module")
def told(shared: Daemon) -> Daemon:
    """Give the module's daemon with a few executions, all of it searchable."""
    trouble = (log("noisy", f"cannot reach 10.0.0.{n}: request {n:08x}", level="ERROR") for n in range(40))
    tell(
        shared,
        event("execution.started", "noisy", project="/srv/shop", name="noisy", goal="sell"),
        *(log("noisy", f"step {n} of 1000 took 0.{n:03} s", source="app") for n in range(900)),
        *trouble,
        log("noisy", "giving up", level="FATAL", source="app", task_id="deploy"),
        event("task.started", "noisy", task_id="deploy", provenance="backfill", slug="d"),
        event("artifact.added", "noisy", path="/srv/a.txt", artifact_type="code", phase="planned"),
        event("artifact.added", "other", path="/srv/a.txt", artifact_type="code"),
        event("execution.started", "child", parent_id="noisy", project="/srv/shop"),
        event("execution.ended", "child", outcome="failed", error={"message": "no"}),
    )
    search(shared, "giving")
    return shared


@pytest.mark.covers("S2.9")
def test_digest(reader: Agent, told: Daemon) -> None:
    """A digest counts levels and sources, folds what repeats, and shows each kind of error where it began."""
    digest = reader.ask("logs_digest", execution_id="noisy")
    assert digest["complete"]
    assert digest["by_level"] == {"INFO": 903, "ERROR": 40, "FATAL": 1}
    assert digest["by_source"] == {"app": 901, "": 40, "daemon": 3}
    assert digest["recorded_by_level"]["INFO"] == 900
    errors = [(one["line"]["message"], one["count"]) for one in digest["errors"]]
    assert errors == [("cannot reach 10.0.0.0: request 00000000", 40), ("giving up", 1)]
    assert [line["message"] for line in digest["errors"][0]["before"]] == [
        "step 898 of 1000 took 0.898 s",
        "step 899 of 1000 took 0.899 s",
    ]
    assert [(kind["pattern"], kind["count"]) for kind in digest["patterns"][:2]] == [
        ("step # of # took # s", 900),
        ("cannot reach #: request #", 40),
    ]
    assert [line["message"] for line in digest["first"][:2]] == [
        "execution started: noisy",
        "step 0 of 1000 took 0.000 s",
    ]
    assert [line["source"] for line in digest["last"]] == [None, None, "app", "daemon", "daemon"]
    of_task = reader.ask("logs_digest", task_id="deploy")
    assert (of_task["execution_id"], of_task["by_level"]) == (None, {"INFO": 1, "FATAL": 1})


@pytest.mark.covers("S2.9")
def test_lists_are_narrowed(reader: Agent, told: Daemon) -> None:
    """Arguments narrow lists as the flags of the command line do."""

    def ids(**arguments: object) -> list[str]:
        return [one["execution_id"] for one in reader.ask("executions_list", **arguments)["executions"]]

    assert ids(project="/srv/shop") == ["child", "noisy"]
    assert ids(project="/srv/shop", status=["failed", "lost"]) == ["child"]
    assert ids(parent_id="noisy") == ["child"]
    assert ids(name="noisy", until="1h") == []
    assert reader.ask("current", project="/srv/shop")["execution"]["execution_id"] == "noisy"
    assert reader.ask("current", project="/srv/none")["found"] is False
    for narrowed in (
        {"slug": "d"},
        {"provenance": "backfill"},
        {"execution_id": "nois", "status": "running"},
    ):
        (task,) = reader.ask("tasks_list", **narrowed)["tasks"]
        assert (task["task_id"], task["status"]) == ("deploy", "running")
    assert reader.ask("tasks_list", since="2020-01-01T00:00:00Z", task_id="deploy")["tasks"] == [task]


@pytest.mark.covers("S2.9")
def test_logs_are_read_and_searched(reader: Agent, told: Daemon) -> None:
    """Lines are found by level, source, text, task and position, either way round, and by words."""

    def messages(tool: str = "logs_read", **arguments: object) -> list[str]:
        return [line["message"] for line in reader.ask(tool, **arguments)["lines"]]

    assert messages(execution_id="noisy", level="FATAL") == ["giving up"]
    assert messages(task_id="deploy", source="app") == ["giving up"]
    assert messages(execution_id="noisy", text="step 89 ") == ["step 89 of 1000 took 0.089 s"]
    assert messages(execution_id="noisy", level="ERROR", exclude="cannot") == ["giving up"]
    (first, second) = reader.ask("logs_read", execution_id="noisy", limit=2)["lines"]
    assert messages(execution_id="noisy", after_seq=first["seq"], limit=1) == [second["message"]]
    assert messages(execution_id="noisy", after_seq=second["seq"], newest_first=True, limit=1) == [
        "artifact added: /srv/a.txt"
    ]
    assert messages("logs_search", text='"giving up"') == ["giving up"]
    assert messages("logs_search", text="giv*", project="/srv/shop", level="ERROR") == ["giving up"]
    assert messages("logs_search", text="giving -up") == []


@pytest.mark.covers("S2.9")
def test_artifacts_audit_and_the_past(reader: Agent, told: Daemon) -> None:
    """A file's writers, who changed what, and an execution as it was are told."""
    writers = reader.ask("artifact_why", path="/srv/a.txt")["artifacts"]
    assert [(one["execution_id"], one["phase"]) for one in writers] == [("noisy", "planned"), ("other", None)]
    assert reader.ask("artifacts_list", execution_id="noisy", phase="planned")["artifacts"] == writers[:1]
    assert reader.ask("artifacts_list", execution_id="noisy", phase="done")["artifacts"] == []
    (entry,) = reader.ask("audit_read", execution_id="child", type=["FAILED"])["entries"]
    assert (entry["from_state"], entry["to_state"]) == ("running", "failed")
    now = reader.ask("execution_inspect", execution_id="child", include=[])["execution"]
    then = reader.ask("execution_inspect", execution_id="child", as_of=str(now["first_seq"]))["execution"]
    assert (now["status"], then["status"]) == ("failed", "running")
