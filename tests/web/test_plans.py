"""Projects and plans over HTTP: build, show, change, and hear of it over a WebSocket."""

from typing import Any

import httpx
import pytest

from support.daemon import Daemon
from support.lines import event
from support.searching import tell
from support.web import Web
from support.websocket import WebSocket

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"


@pytest.fixture
def project(request: pytest.FixtureRequest, shared_daemon: Daemon, shared_web: Web) -> str:
    """Give the id of a project of this test's own, with three tasks: b needs a, c stands alone."""
    root = f"/p/{request.node.name}"
    tell(
        shared_daemon,
        event("task.declared", project=root, task_id="a", description="write `a.py`"),
        event(
            "task.declared",
            project=root,
            task_id="b",
            description="write `b.py`",
            depends_on=[{"task_id": "a"}],
        ),
        event("task.declared", project=root, task_id="c", description="write `c.py`"),
    )
    [found] = [one for one in shared_web.json("/api/projects")["projects"] if one["project"] == root]
    return str(found["project_id"])


def build(web: Web, project: str, **headers: str) -> dict[str, Any]:
    """Ask for a plan, wait for it over a WebSocket, and return what it says of it."""
    with WebSocket(web, "/api/ws?type=plan.") as socket:
        socket.until("head")
        answer = web.client.post(
            f"/api/projects/{project}/execution-plan/build", headers={"origin": web.url, **headers}
        )
        assert answer.status_code == 202, answer.text
        told = socket.until("execution_plan_ready")
    assert told[0]["event"] == "execution_plan_progress"
    assert told[0]["data"]["id"] == answer.json()["request_id"] == told[-1]["data"]["causation_id"]
    ready: dict[str, Any] = told[-1]["data"]
    return ready


def patch(web: Web, project: str, body: Any) -> httpx.Response:
    """Ask for a change of a plan."""
    path = f"/api/projects/{project}/execution-plan"
    options = {"content": body} if isinstance(body, bytes) else {"json": body}
    return web.client.patch(path, headers={"origin": web.url}, **options)


@pytest.mark.covers("S4.7")
def test_build_and_show(shared_web: Web, project: str) -> None:
    """A plan is asked for (202), told of when it is ready by its four counts, and shown; before, 404."""
    path = f"/api/projects/{project}/execution-plan"
    assert "build" in shared_web.error(path, 404)["hint"]
    assert shared_web.error(path, 404)["code"] == shared_web.error(f"{path}/actual", 404)["code"] == "no_plan"

    ready = build(shared_web, project)

    assert ready["total_tasks"] == 3
    assert ready["project_id"] == project
    shown = shared_web.json(path)
    assert shown["schema_version"] == 1
    assert shown["plan_id"] == ready["plan_id"]
    assert shown["plan"]["created_at"].endswith("Z")
    for count, name in (("batches", "total_batches"), ("conflicts", "conflicts")):
        assert shown["plan"]["metadata"][name] == ready[count]
    assert shared_web.json(f"{path}/actual")["plan_id"] == ready["plan_id"]


@pytest.mark.covers("S4.7")
def test_change(shared_web: Web, project: str) -> None:
    """A change merges: what it names changes, what it does not stays; two of the same moment conflict."""
    build(shared_web, project)
    before = shared_web.json(f"/api/projects/{project}/execution-plan")

    answer = patch(shared_web, project, {"worktree_assignments": {"mine": {"task_ids": ["c"]}}})

    assert answer.status_code == 200, answer.text
    after = answer.json()
    named = {one["worktree"]: one["task_ids"] for one in after["plan"]["worktree_assignments"]}
    assert named["mine"] == ["c"]
    assert after["plan"]["batches"] == before["plan"]["batches"]
    assert after["plan"]["metadata"]["manually_modified"] is True
    assert after == shared_web.json(f"/api/projects/{project}/execution-plan")
    late = {"worktree_assignments": {"yours": {"task_ids": ["c"]}}, "seen_seq": before["seen_seq"]}
    conflict = patch(shared_web, project, late)
    assert (conflict.status_code, conflict.json()["error"]["code"]) == (409, "conflict")


@pytest.mark.covers("S4.7")
@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"batch_overrides": {"99": {"can_parallel": False}}}, 422),
        ({"batch_overrides": {"x": {"can_parallel": False}}}, 422),
        ({"batch_overrides": {"1": {"task_ids": ["nobody"]}}}, 422),
        ({"batch_overrides": {"1": {"colour": "red"}}}, 422),
        ({"worktree_assignments": {"w": {"task_ids": ["nobody"]}}}, 422),
        ({"worktree_assignments": {"w": ["a"]}}, 422),
        ({"worktree_assignments": {"../w": {"task_ids": ["a"]}}}, 422),
        ({"surprise": 1}, 422),
        ({}, 422),
        ([], 422),
        (b"{", 400),
        (b"", 400),
        (b"\xff", 400),
        (b"[" * 100_000, 422),
        (b" " * 300_000, 413),
    ],
)
def test_changes_that_make_no_sense(shared_web: Web, built: str, body: Any, status: int) -> None:
    """What a change names and is not there, and what is no change, is refused with nothing changed."""
    before = shared_web.json(f"/api/projects/{built}/execution-plan")

    answer = patch(shared_web, built, body)

    assert answer.status_code == status, answer.text
    assert set(answer.json()["error"]) == {"code", "reason", "hint"}
    assert shared_web.json(f"/api/projects/{built}/execution-plan") == before


@pytest.fixture(scope="module")
def built(shared_daemon: Daemon, shared_web: Web) -> str:
    """Give the id of a project with a plan, for tests that do not change it."""
    tell(shared_daemon, event("task.declared", project="/built", task_id="a", description="write `a.py`"))
    [found] = [one for one in shared_web.json("/api/projects")["projects"] if one["project"] == "/built"]
    build(shared_web, found["project_id"])
    return str(found["project_id"])


@pytest.mark.covers("S4.7")
def test_unknown_project(shared_web: Web) -> None:
    """A project that nothing names is not found, and nothing is written for it."""
    head = shared_web.json("/api/status")["head_seq"]
    path = "/api/projects/0123456789ab/execution-plan"
    assert shared_web.error(path, 404)["code"] == "not_found"
    origin = {"origin": shared_web.url}
    assert shared_web.client.post(f"{path}/build", headers=origin).status_code == 404
    assert patch(shared_web, "0123456789ab", {"batch_overrides": {}}).status_code == 404
    assert shared_web.json("/api/status")["head_seq"] == head


@pytest.mark.covers("P17")
def test_writing_needs_our_own_page_or_the_token(shared_web: Web, built: str) -> None:
    """What is not surely asked for by our own page, or with the token, changes nothing."""
    head = shared_web.json("/api/status")["head_seq"]
    path = f"/api/projects/{built}/execution-plan"
    for headers in ({}, {"origin": "http://evil.example"}, {"sec-fetch-site": "none"}):
        assert shared_web.client.post(f"{path}/build", headers=headers).status_code == 403
        assert shared_web.client.patch(path, headers=headers, json={}).status_code == 403
    assert shared_web.json("/api/status")["head_seq"] == head


@pytest.mark.covers("P10")
def test_trace_of_a_request(shared_web: Web, shared_daemon: Daemon, built: str) -> None:
    """What is recorded for a request that names a W3C trace is a span of it, which the answer names."""
    answer = shared_web.client.post(
        f"/api/projects/{built}/execution-plan/build",
        headers={"origin": shared_web.url, "traceparent": f"00-{TRACE}-00f067aa0ba902b7-01"},
    )
    _, trace_id, span_id, _ = answer.headers["traceresponse"].split("-")
    assert trace_id == TRACE
    with shared_web.stream(after=answer.json()["seq"] - 1, type="plan.requested") as stream:
        recorded = stream.until("tail")[-1].data["event"]
    assert (recorded["trace_id"], recorded["span_id"]) == (TRACE, span_id)
    for wrong in ("00-0-0-0", "x" * 200, f"00-{'0' * 32}-00f067aa0ba902b7-01"):
        assert "traceresponse" not in shared_web.get("/", headers={"traceparent": wrong}).headers
