"""Plans in the daemon: what asks for one, what it is built from, that it is built once, how it is changed."""

import hashlib
import re
from typing import Any

import pytest

from support.daemon import Daemon, DaemonFactory
from support.govern import DAY_US, ask, is_whole, record
from support.lines import event
from support.owners import await_events, recorded
from support.planning import PROJECT, answer_to, batches, build, plan_of, task, tell

SECOND_US = 1_000_000


@pytest.mark.covers("S4.1", "S4.6")
def test_a_plan_that_is_asked_for_is_built(daemon: Daemon) -> None:
    """A request is answered by one event of the daemon's: the plan, its counts and its cause."""
    declared = [
        task("schema", description="write `db/schema.sql`", epic="store"),
        task("seed", "schema", description="fill `db/seed.sql`"),
        task("docs", description="explain `docs/store.md`"),
        event("plan.epic_declared", project=PROJECT, epic="store"),
    ]

    built = build(daemon, *declared)

    assert built["producer"] == "flightlogd"
    told = built["event"]
    assert {name: told[name] for name in ("batches", "total_tasks", "parallel_batches", "conflicts")} == {
        "batches": 2,
        "total_tasks": 3,
        "parallel_batches": 1,
        "conflicts": 1,
    }
    found = plan_of(daemon)
    assert batches(found) == [["docs", "schema"], ["seed"]]
    assert (found["seq"], found["seen_seq"], found["pending"]) == (built["seq"], built["seq"], 0)
    assert found["plan"] == told["plan"]
    assert found["plan_id"] == told["plan_id"]
    assert plan_of(daemon, plan_id=told["plan_id"]) == found
    assert plan_of(daemon, project=found["project_id"]) == found
    assert found["project_id"] == hashlib.sha256(PROJECT.encode()).hexdigest()[:12]
    assert is_whole(daemon)


@pytest.mark.covers("S4.6")
def test_who_asked_finds_the_plan_among_its_log_lines(daemon: Daemon) -> None:
    """Request and answer show in the log of the execution that asked, in a line each, and do not end it."""
    record(daemon, "e", task("a"), task("b"), end=None, project=PROJECT)

    build(daemon, execution_id="e", reason="to see")

    lines = [line["message"] for line in ask(daemon, "logs", execution_id="e").all("log")]
    assert lines[-2] == "plan requested: to see"
    assert re.fullmatch(r"plan \S+ built: 2 tasks in 1 batches, 1 parallel, 0 conflicts", lines[-1])
    assert ask(daemon, "inspect", execution_id="e").one("execution")["status"] == "running"


@pytest.mark.covers("S4.1")
def test_initialisation_asks_for_a_plan(daemon: Daemon) -> None:
    """The success of an initialiser asks for the plan of its project, once; nothing else does."""
    tell(daemon, task("a"))
    role = {"role": "initializer"}
    record(daemon, "failed", project=PROJECT, labels=role, end="failed")
    record(daemon, "other", project=PROJECT, labels={"role": "worker"})
    record(daemon, "nowhere", labels=role)
    record(daemon, "init", project=PROJECT, labels=role)
    record(daemon, "late", project=PROJECT)
    tell(daemon, event("execution.changed", "late", labels=role))
    await_events(daemon, "plan.built", 2)
    tell(daemon, event("execution.changed", "late", labels=role))
    daemon.restart()
    build(daemon)

    asked = [line["event"] for line in recorded(daemon, "plan.requested")]
    assert [one.get("execution_id") for one in asked] == ["init", "late", None]
    assert asked[0]["reason"] == "initialisation succeeded"
    built = [line["event"].get("execution_id") for line in recorded(daemon, "plan.built")]
    assert built == ["init", "late", None]
    assert ask(daemon, "inspect", execution_id="init").one("execution")["status"] == "succeeded"
    assert is_whole(daemon)


@pytest.mark.covers("S4.1")
def test_what_ended_while_no_daemon_looked_is_caught_up_with(daemon: Daemon) -> None:
    """A daemon killed right after an ack builds what was asked for when it is back, each plan once."""
    tell(daemon, *(task(f"t{number}", f"t{number - 1}") for number in range(1, 400)))
    for round_ in range(3):
        key = f"key-{round_}"
        name = f"init-{round_}"
        tell(
            daemon,
            event("execution.started", name, project=PROJECT, labels={"role": "initializer"}),
            event("execution.ended", name, outcome="succeeded"),
            event("plan.requested", id=key, project=PROJECT),
        )
        daemon.kill()
        daemon.start()
        answer_to(daemon, key)
        await_events(daemon, "plan.built", 2 * (round_ + 1))

    causes = [line["event"]["causation_id"] for line in recorded(daemon, "plan.built")]
    assert len(causes) == len(set(causes)) == 6
    assert recorded(daemon, "plan.failed") == []
    assert is_whole(daemon)


@pytest.mark.covers("S4.1", "S4.2")
def test_the_last_declaration_counts_and_what_succeeded_is_finished(daemon: Daemon) -> None:
    """A task is what was said of it last; one that succeeded in any run is not planned again."""
    record(
        daemon,
        "run",
        event("task.started", "run", task_id="schema"),
        event("task.ended", "run", task_id="schema", outcome="succeeded"),
        event("task.started", "run", task_id="api"),
        event("task.ended", "run", task_id="api", outcome="failed", error={"message": "no"}),
        project=PROJECT,
        end="failed",
    )
    record(
        daemon,
        "elsewhere",
        event("task.started", "elsewhere", task_id="api"),
        event("task.ended", "elsewhere", task_id="api", outcome="succeeded"),
        project="/another",
    )

    build(
        daemon,
        task("schema"),
        task("api", "ui", description="old"),
        task("ui"),
        task("api", "schema", description="change `api.py`", priority=1),
    )

    found = plan_of(daemon)
    assert batches(found) == [["api", "ui"]]
    assert found["plan"]["metadata"]["finished_tasks"] == 1
    assert found["plan"]["metadata"]["finished_dependencies"] == [{"task_id": "api", "depends_on": "schema"}]
    [api, _] = found["plan"]["tasks"]
    assert (api["priority"], api["predicted_files"]) == (1, ["api.py"])


@pytest.mark.covers("S4.6")
def test_estimates_come_from_the_history_of_like_tasks(daemon: Daemon) -> None:
    """A task is expected to take what it took before, else what tasks of its action took."""
    for number, seconds in enumerate((2, 4, 60)):
        name = f"run-{number}"
        ended = {"outcome": "succeeded", "duration_us": seconds * SECOND_US}
        record(
            daemon,
            name,
            event("task.started", name, task_id="api"),
            event("task.ended", name, task_id="api", **ended),
            event("task.started", name, task_id=f"t{number}", slug="review"),
            event("task.ended", name, task_id=f"t{number}", **ended),
            project="/another",
        )

    build(daemon, task("api"), task("check", action="review"), task("new", action="write"))

    estimates = {one["task_id"]: one["estimated_duration_s"] for one in plan_of(daemon)["plan"]["tasks"]}
    assert estimates == {"api": pytest.approx(4, rel=0.02), "check": pytest.approx(4, rel=0.02), "new": None}


@pytest.mark.covers("S4.6")
def test_of_two_changes_of_what_both_saw_one_counts(daemon: Daemon) -> None:
    """A change counts unless another came after what it saw; what cannot be says why."""
    built = build(daemon, task("a"), task("b"), task("c", "a"))
    plan_id, seen = built["event"]["plan_id"], built["seq"]

    def adjust(seen_seq: int | None, **change: Any) -> bytes:
        return event("plan.adjusted", project=PROJECT, plan_id=plan_id, seen_seq=seen_seq, **change)

    tell(
        daemon,
        adjust(seen, batch_overrides={"1": {"task_ids": ["b", "a"]}}),
        adjust(seen, batch_overrides={"1": {"can_parallel": False}}),
        adjust(None, batch_overrides={"9": {}, "1": {"task_ids": ["a", "b", "c"]}}),
        adjust(None, batch_overrides={"2": {"task_ids": ["zz", "c"]}}),
        adjust(None, worktree_assignments={"mine": {"task_ids": ["a"]}}),
        event("plan.adjusted", project="/another", plan_id=plan_id, batch_overrides={"1": {}}),
        event("plan.adjusted", project=PROJECT, plan_id="none", batch_overrides={"1": {}}),
    )

    found = plan_of(daemon)
    assert batches(found) == [["b", "a"], ["c"]]
    assert found["plan"]["batches"][0]["can_parallel"]
    assert found["plan"]["metadata"]["manually_modified"]
    assert "mine" in [one["worktree"] for one in found["plan"]["worktree_assignments"]]
    refused = [one["refused"] for one in found["adjustments"]]
    assert refused[0] is None
    assert refused[1] == f"the plan's last change was at {seen + 1}, not at {seen}"
    assert "9" in refused[2]
    assert "zz" in refused[3]
    assert refused[4] is None
    assert "/another" in refused[5]
    assert found["seen_seq"] == found["adjustments"][4]["seq"]
    tried = ask(daemon, "plan", project=PROJECT, batch_overrides={"1": {"task_ids": ["a", "b"]}}).one("plan")
    assert batches(tried) == [["a", "b"], ["c"]]
    assert batches(plan_of(daemon)) == [["b", "a"], ["c"]]
    refusal = ask(daemon, "plan", project=PROJECT, batch_overrides={"1": {"task_ids": ["zz"]}}).error
    assert refusal is not None
    assert refusal["code"] == "invalid"
    assert is_whole(daemon)


@pytest.mark.covers("S4.6")
def test_what_there_is_not_is_said(daemon: Daemon) -> None:
    """An unknown project, a project without a plan and an unknown plan are told apart."""
    tell(daemon, task("a"))

    def error(**arguments: object) -> tuple[str, str]:
        said = ask(daemon, "plan", **arguments).error
        assert said is not None
        return said["code"], said["reason"]

    assert error(project="/none") == ("not_found", "no such project: /none")
    assert error(project="0123456789ab") == ("not_found", "no such project: 0123456789ab")
    assert error(project=PROJECT) == ("not_found", f"{PROJECT} has no plan")
    assert error(plan_id="p") == ("not_found", "no such plan: p")
    assert error()[0] == "invalid"
    # What others call a plan and is none that can be read is passed over.
    counts: dict[str, Any] = {"batches": 1, "total_tasks": 1, "parallel_batches": 0, "conflicts": 0}
    tell(daemon, event("plan.built", project=PROJECT, plan_id="p", plan={"batches": 3}, **counts))
    assert error(plan_id="p") == ("not_found", "no such plan: p")
    built = build(daemon)
    tell(daemon, event("plan.built", project=PROJECT, plan_id="q", **counts))
    assert plan_of(daemon)["plan_id"] == built["event"]["plan_id"]


@pytest.mark.covers("S4.1")
def test_a_plan_too_large_for_a_line_is_cut_or_told(daemon_factory: DaemonFactory) -> None:
    """What can be told again is left out of a plan that is too large; beyond that it fails."""
    daemon = daemon_factory(line_limit_bytes=5000)
    cut = build(
        daemon, *(task(f"t{number}", description=f"write `src/f{number}.py`") for number in range(30))
    )
    failed = build(daemon, *(task(f"a-task-with-a-long-name-{number}") for number in range(300)))

    assert cut["event"]["total_tasks"] == 30
    assert any("too large" in text for text in cut["event"]["plan"]["metadata"]["warnings"])
    assert failed["event"]["type"] == "plan.failed"
    assert "5000" in failed["event"]["error"]["message"]
    found = plan_of(daemon)
    assert (found["plan_id"], found["failure"]["seq"]) == (cut["event"]["plan_id"], failed["seq"])
    change: dict[str, Any] = {"batch_overrides": {"1": {"can_parallel": False}}}
    refusal = ask(daemon, "plan", project=PROJECT, **change).error
    assert refusal is not None
    assert "too large" in refusal["reason"]


@pytest.mark.covers("S4.6")
def test_what_was_cut_is_told_again(daemon_factory: DaemonFactory) -> None:
    """A plan too large for a line is changed and compared as any other, while its tasks stay."""
    daemon = daemon_factory(line_limit_bytes=5000)
    tasks = [task(f"t{number}", description=f"write `src/f{number}.py`") for number in range(30)]
    built = build(daemon, *tasks)
    names = plan_of(daemon)["plan"]["batches"][0]["task_ids"]
    turned = {"1": {"task_ids": names[::-1]}}

    tell(
        daemon,
        event("plan.adjusted", project=PROJECT, plan_id=built["event"]["plan_id"], batch_overrides=turned),
    )
    found = plan_of(daemon, project=PROJECT, actual=True)

    assert built["event"]["plan"]["tasks"] == []
    assert batches(found) == [names[::-1]]
    assert [one["path"] for one in found["actual"]["files"]][:2] == ["src/f0.py", "src/f1.py"]
    assert ask(daemon, "plan", project=PROJECT, batch_overrides={"1": {"task_ids": ["t1"]}}).error
    tell(daemon, task("t7"))
    refused = ask(daemon, "plan", project=PROJECT, batch_overrides=turned).error
    assert refused is not None
    assert "declared anew" in refused["reason"]


@pytest.mark.covers("S4.1")
def test_requests_that_come_together_share_a_plan(daemon: Daemon) -> None:
    """Of many requests at once each is answered, by one plan that one of the answers holds."""
    requests = [event("plan.requested", id=f"key-{number}", project=PROJECT) for number in range(50)]
    tell(daemon, *(task(f"t{number}") for number in range(100)), *requests)

    answers = [answer_to(daemon, f"key-{number}")["event"] for number in range(50)]

    whole = [one["plan_id"] for one in answers if one.get("plan")]
    assert len(whole) < 50
    assert {one["plan_id"] for one in answers} == set(whole)
    listed = ask(daemon, "plans", project=PROJECT).all("plan")
    assert [one["plan_id"] for one in listed] == whole[::-1]
    assert plan_of(daemon)["plan_id"] == whole[-1]
    assert is_whole(daemon)


@pytest.mark.covers("S4.8")
def test_a_plan_is_compared_with_what_happened(daemon: Daemon) -> None:
    """Who wrote predicted files, by artifacts and attempts, which conflicts there were, how long it took."""
    build(
        daemon,
        task("a", description="edit `src/a.py` and `src/c.py`"),
        task("b", description="edit `src/b.py`"),
        task("c", "a", description="edit `src/c.py`"),
    )
    start = 1_790_000_000 * SECOND_US
    times = {"a": (0, 10), "b": (0, 20), "c": (20, 30)}
    lines = []
    for name, (began, ended) in times.items():
        lines.append(event("task.started", "run", task_id=name, time=start + began * SECOND_US))
        lines.append(
            event(
                "task.ended",
                "run",
                task_id=name,
                outcome="succeeded",
                time=start + ended * SECOND_US,
                io={"files_written": ["src/b.py"]} if name == "c" else None,
            )
        )
    written = [
        event("artifact.added", "run", path=f"{PROJECT}/src/{path}.py", task_id=name)
        for path, name in (("a", "a"), ("c", "a"), ("c", "c"), ("b", "b"))
    ]
    record(daemon, "run", *lines, *written, project=PROJECT)
    record(daemon, "stranger", event("artifact.added", "stranger", path=f"{PROJECT}/src/a.py", task_id="b"))

    actual = plan_of(daemon, project=PROJECT, actual=True)["actual"]

    writers = {one["path"]: (one["predicted"], one["actual"]) for one in actual["files"]}
    assert writers == {
        "src/a.py": (["a"], ["a"]),
        "src/b.py": (["b"], ["b", "c"]),
        "src/c.py": (["a", "c"], ["a", "c"]),
    }
    assert actual["conflicts"]["both"] == ["src/c.py"]
    assert actual["conflicts"]["happened"] == ["src/b.py", "src/c.py"]
    assert (actual["whole"]["actual_s"], actual["finished_tasks"]) == (30, 3)
    assert actual["parallelism"] == pytest.approx(40 / 30, abs=0.001)
    assert 0 < actual["score"] <= 1


@pytest.mark.covers("S4.1", "S1.7")
def test_what_an_execution_said_leaves_with_it(daemon_factory: DaemonFactory) -> None:
    """Plans and declarations that belong to an execution go with it; those before and beside it stay."""
    daemon = daemon_factory(start=False)
    daemon.clock_shift_us = -400 * DAY_US
    daemon.start()
    first = build(daemon, task("a"), task("b"))
    record(daemon, "e", task("a", "b", execution_id="e"), task("z", execution_id="e"), project=PROJECT)
    second = build(daemon, execution_id="e")
    adjusted = event(
        "plan.adjusted",
        project=PROJECT,
        plan_id=second["event"]["plan_id"],
        batch_overrides={"1": {"can_parallel": False}},
    )
    tell(daemon, adjusted)
    assert batches(plan_of(daemon)) == [["b", "z"], ["a"]]

    daemon.clock_shift_us = 0
    daemon.restart()
    daemon.wait_for_entry("retention is done", where=lambda entry: entry["executions"] == 1)

    assert plan_of(daemon)["plan_id"] == first["event"]["plan_id"]
    assert is_whole(daemon)
    build(daemon)
    assert batches(plan_of(daemon)) == [["a", "b"]]


@pytest.mark.covers("S4.6")
def test_projects_and_their_plans_are_listed_page_by_page(daemon: Daemon) -> None:
    """Every project that anything names is in the list with its counts, its plans newest first."""
    record(daemon, "e", project="/a", end=None)
    tell(daemon, task("t", project="/b"), event("plan.epic_declared", project="/c", epic="x"))
    plans = [build(daemon)["event"]["plan_id"] for _ in range(3)]

    page = ask(daemon, "projects", limit=2)
    rest = ask(daemon, "projects", after="/b").all("project")

    assert [one["project"] for one in page.all("project")] == ["/a", "/b"]
    assert page.end is not None
    assert page.end["next"] == "/b"
    assert [one["project"] for one in rest] == ["/c", PROJECT]
    assert [(one["executions"], one["active"], one["tasks"]) for one in page.all("project")] == [
        (1, 1, 0),
        (0, 0, 1),
    ]
    assert (rest[1]["plans"], rest[1]["last_plan_id"]) == (3, plans[-1])
    assert ask(daemon, "projects", project=rest[1]["project_id"]).one("project") == rest[1]
    newest = ask(daemon, "plans", project=PROJECT, limit=2)
    assert newest.end is not None
    older = ask(daemon, "plans", project=PROJECT, before=newest.end["next"]).all("plan")
    assert [one["plan_id"] for one in [*newest.all("plan"), *older]] == plans[::-1]
    # An empty plan says why it is.
    assert plan_of(daemon)["plan"]["metadata"]["reason"]
