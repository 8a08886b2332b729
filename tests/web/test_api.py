"""Questions over HTTP: the answers of the command line, in pages, and what is wrong with a question."""

from typing import Any

import pytest

from cli.runner import Cli
from support.daemon import Daemon
from support.lines import event, log, logs
from support.searching import search, tell
from support.web import Web

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
T0 = 1_790_000_000_000_000


@pytest.fixture(scope="module")
def told(shared_daemon: Daemon) -> Daemon:
    """Give the module's daemon with one execution that has something of everything."""
    tell(
        shared_daemon,
        event("execution.started", "run", time=T0, name="build", project="/p", trigger="manual"),
        event("task.started", "run", time=T0, task_id="t", trace_id=TRACE),
        log("run", "hello", time=T0, level="WARN", source="web", task_id="t"),
        event("agent.added", "run", time=T0, agent_id="a", agent_type="claude"),
        event("artifact.added", "run", time=T0, path="/a", artifact_type="code"),
        event("task.ended", "run", time=T0 + 5, task_id="t", trace_id=TRACE, outcome="failed"),
    )
    return shared_daemon


@pytest.fixture(scope="module")
def web(told: Daemon, shared_web: Web) -> Web:
    """Give the server of that daemon."""
    return shared_web


@pytest.mark.covers("P17")
def test_answers_are_those_of_the_command_line(web: Web, told: Daemon) -> None:
    """What `--json` says of an execution and of all that belongs to it, HTTP says as well."""
    flightlog = Cli(told.runtime_dir)
    whole = flightlog.ok("inspect", "run", "--json").json
    parts = {noun: whole.pop(noun) for noun in ("tasks", "agents", "artifacts", "audit")}

    assert web.json("/api/executions/run") == whole
    assert web.json("/api/executions")["executions"] == flightlog.ok("list", "--json").json
    for noun, rows in parts.items():
        answer = web.json(f"/api/executions/run/{noun}")
        assert answer == {
            "schema_version": 1,
            "execution_id": "run",
            noun: rows,
            "next": None,
            "truncated": False,
        }
    lines = flightlog.ok("logs", "run", "--json").out.splitlines()
    assert len(web.json("/api/executions/run/logs")["logs"]) == len(lines)
    assert web.json("/api/executions/run/phase")["status"] == "running"
    assert web.json("/api/executions/run/check")["records"] == 6
    assert [row["event"]["type"] for row in web.json("/api/executions/run/events")["events"]][:2] == [
        "execution.started",
        "task.started",
    ]
    assert web.json("/api/stats")["attempts"] == flightlog.ok("stats", "--json").json["attempts"]
    assert web.json("/api/status")["log_id"] == flightlog.ok("status", "--json").json["log_id"]
    assert web.json("/api/cursors")["cursors"] == []


@pytest.mark.covers("P17")
def test_one_event(web: Web, told: Daemon) -> None:
    """An event is found by its position, as the command line has it; where there is none it is 404."""
    event = web.json("/api/executions/run/events")["events"][0]

    assert web.json(f"/api/events/{event['seq']}") == {"schema_version": 1, **event}
    assert event["event"] == Cli(told.runtime_dir).ok("event", str(event["seq"])).json["event"]
    assert web.error("/api/events/1000000", 404)["code"] == "not_found"
    assert web.error("/api/events/0", 400)["code"] == "invalid"


@pytest.mark.covers("P17")
def test_what_is_asked_for_over_all_executions(web: Web, told: Daemon) -> None:
    """Tasks, traces, files and words are found over all executions."""
    search(told, "hello")
    assert [task["task_id"] for task in web.json("/api/tasks", status="failed")["tasks"]] == ["t"]
    trace = web.json(f"/api/tasks/traces/{TRACE}")
    assert (trace["trace_id"], len(trace["tasks"])) == (TRACE, 1)
    assert web.json("/api/artifacts", path="/a")["artifacts"][0]["execution_id"] == "run"
    assert [line["message"] for line in web.json("/api/search", q="hello")["logs"]] == ["hello"]


@pytest.mark.covers("P17")
@pytest.mark.parametrize(
    ("params", "count"),
    [
        ({"level": "WARN"}, 1),
        ({"level": "info+"}, 6),
        ({"level": "ERROR,WARN"}, 2),
        ({"source": "web"}, 1),
        ({"source": "nobody"}, 0),
        ({"grep": ["he", "llo"]}, 1),
        ({"exclude": "hello", "source": "web"}, 0),
        ({"task": "t", "source": "web"}, 1),
        ({"last": 1}, 1),
        ({"since": "2020-01-01T00:00:00Z", "source": "web"}, 1),
        ({"until": "2020-01-01T00:00:00Z"}, 0),
    ],
)
def test_lines_are_narrowed(web: Web, params: dict[str, Any], count: int) -> None:
    """Lines are narrowed by level, source, text, task, time and number."""
    assert len(web.json("/api/executions/run/logs", **params)["logs"]) == count


@pytest.mark.covers("P17")
def test_pages_follow_each_other(web: Web, told: Daemon) -> None:
    """`next` leads through executions and lines, each once, and is null at the end."""
    tell(told, *(event("execution.started", f"page-{n}", name="paged") for n in range(5)))
    tell(told, *logs("page-0", 25))
    for path, noun, name, cursor, limit in (
        ("/api/executions", "executions", "execution_id", "before", 2),
        ("/api/executions/page-0/logs", "logs", "seq", "after", 10),
    ):
        params: dict[str, Any] = {"limit": limit} | ({"name": "paged"} if cursor == "before" else {})
        whole = [row[name] for row in web.json(path, **{**params, "limit": 1000})[noun]]
        found = []
        while True:
            page = web.json(path, **params)
            assert len(page[noun]) <= limit
            assert page["truncated"] is (page["next"] is not None)
            found += [row[name] for row in page[noun]]
            if page["next"] is None:
                break
            params[cursor] = page["next"]
        assert found == whole
        assert len(whole) >= 5
    [newest, *_] = web.json("/api/executions/page-0/logs", before=10**9, limit=3)["logs"]
    assert newest["message"] == "line 25"


@pytest.mark.covers("P17")
@pytest.mark.parametrize(
    ("path", "status", "code", "says"),
    [
        ("/api/executions?nope=1", 400, "invalid", "unknown parameter 'nope'"),
        ("/api/executions?limit=0", 400, "invalid", ">= 1"),
        ("/api/executions?limit=1001", 400, "invalid", "<= 1000"),
        ("/api/executions?limit=1&limit=2", 400, "invalid", "there twice"),
        ("/api/executions?limit=many", 400, "invalid", "limit: it is no whole number"),
        ("/api/executions?status=broken", 400, "invalid", "status: there is no 'broken'"),
        ("/api/executions?since=soon", 400, "invalid", "since: not a time"),
        ("/api/executions?before=x", 400, "invalid", ""),
        ("/api/executions?" + "&".join(f"status={n}" for n in range(65)), 400, "invalid", "query string"),
        ("/api/executions?name=%ff", 400, "invalid", "query string"),
        ("/api/executions?name=" + "x" * 5000, 414, "too_long", "4096"),
        ("/api/executions/nobody", 404, "not_found", "no such execution: nobody"),
        ("/api/executions/nobody/logs", 404, "not_found", "no such execution: nobody"),
        ("/api/executions/nobody/tasks", 404, "not_found", "no such execution: nobody"),
        ("/api/executions/%2e%2e%2f%2e%2e%2fetc", 404, "not_found", "no such execution: ../../etc"),
        ("/api/executions/" + "x" * 200, 400, "invalid", "execution_id"),
        ("/api/executions/run/logs?level=LOUD", 400, "invalid", "no such level 'LOUD'"),
        ("/api/executions/run/logs?before=9&after=1", 400, "invalid", "before goes"),
        ("/api/executions/run/logs?after=-1", 400, "invalid", "after"),
        ("/api/executions/run/logs?after=99999999999999999999", 400, "invalid", "after"),
        ("/api/artifacts", 400, "invalid", "path"),
        ("/api/search", 400, "invalid", "q: it is missing"),
        ("/api/executions?host=", 400, "invalid", "host: it is empty"),
        ("/api/search?q=***", 400, "invalid", ""),
        ("/api/stats?slug=a&task_id=b", 400, "invalid", "slug"),
        ("/api/tasks/traces/XYZ", 400, "invalid", "trace_id"),
        ("/api/tasks/traces/" + "a" * 32, 404, "not_found", "no such trace"),
        ("/api/stream?type=log&nope=1", 400, "invalid", "unknown parameter 'nope'"),
        ("/api/ws", 400, "invalid", "WebSocket"),
        ("/api", 404, "not_found", ""),
        ("/static/%2e%2e/app.py", 404, "not_found", ""),
        ("/static/..%2fapp.py", 404, "not_found", ""),
    ],
)
def test_questions_that_have_no_answer(web: Web, path: str, status: int, code: str, says: str) -> None:
    """What is wrong with a question, or is not there, has its status code and says so in JSON."""
    error = web.error(path, status)

    assert error["code"] == code
    assert says in error["reason"]


@pytest.mark.covers("P17")
def test_beginnings_of_ids(web: Web, told: Daemon) -> None:
    """The beginning of an id finds an execution, of several it is a conflict, and ids may hold a slash."""
    tell(told, *(event("execution.started", name) for name in ("same-1", "same-2", "a/b?c%2Fd#e")))

    assert web.error("/api/executions/same", 409)["code"] == "ambiguous"
    assert web.json("/api/executions/same-1")["execution_id"] == "same-1"
    assert web.json("/api/executions/a%2Fb%3Fc%252Fd%23e/logs")["execution_id"] == "a/b?c%2Fd#e"


@pytest.mark.covers("P17")
def test_words_that_there_are(web: Web) -> None:
    """Where a parameter is one of some words, the hint to another names them."""
    for path in ("/api/executions", "/api/tasks", "/api/executions/run/tasks"):
        hint = web.error(path, 400, status="broken")["hint"]
        assert hint.startswith("one of pending, running, ")
        assert hint.endswith(", lost")
    assert web.error("/api/executions", 400, limit="many")["hint"] is None


@pytest.mark.covers("P17")
def test_methods(web: Web) -> None:
    """Another method than a path has is refused, whoever asks; HEAD is GET without what follows the head."""
    origin = {"origin": web.url}
    assert web.client.delete("/api/executions", headers=origin).status_code == 405
    assert (
        web.client.post("/api/executions/run", headers=origin).json()["error"]["code"] == "method_not_allowed"
    )
    for method in ("DELETE", "PUT", "OPTIONS", "TRACE", "FROB", "POST"):
        for path in ("/", "/api/executions", "/api/stream", "/static/login.html"):
            refused = web.client.request(method, path)
            assert refused.status_code == 405
            assert refused.json()["error"]["code"] == "method_not_allowed"
            assert "GET" in refused.headers["allow"]
    for method in ("DELETE", "OPTIONS"):
        allowed = web.client.request(method, "/api/projects/x/execution-plan").headers["allow"]
        assert allowed == "GET, HEAD, PATCH"
    for path in ("/", "/api/executions", "/metrics", "/static/login.html"):
        asked, headed = web.get(path), web.client.head(path)
        assert (headed.status_code, headed.content) == (200, b"")
        assert headed.headers["content-type"] == asked.headers["content-type"]
    assert web.client.head("/api/stream").status_code == 405


@pytest.mark.covers("P17")
def test_large_answers_are_cut_and_go_on(web: Web, told: Daemon) -> None:
    """A page that would be too large ends before, says so, and `next` goes on where it ended."""
    for _ in range(4):
        tell(told, *(log("large", "x" * 9000) for _ in range(300)))
    seen: list[int] = []
    after: int | None = None
    pages = 0
    while True:
        page = web.json("/api/executions/large/logs", **({} if after is None else {"after": after}))
        pages += 1
        seen += [line["seq"] for line in page["logs"]]
        after = page["next"]
        if after is None:
            break
        assert page["truncated"]

    assert pages >= 2
    assert len(seen) == len(set(seen)) == 1200
