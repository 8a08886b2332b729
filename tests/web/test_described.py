"""What the server says of itself: OpenAPI, numbers for Prometheus, health, how it starts and ends."""

import re
import signal
import subprocess
import sys

import pytest
from jsonschema import Draft202012Validator
from openapi_spec_validator import validate

from cli.runner import Cli
from flightlog.web.doors import DOORS
from flightlog.web.endpoint import PREFIX
from flightlog.web.endpoints import ENDPOINTS
from flightlog.web.health import degraded
from support.daemon import Daemon, clean_environment
from support.lines import event, log
from support.searching import tell
from support.web import Web

pytestmark = pytest.mark.from_nothing


@pytest.mark.covers("S4.7")
def test_openapi_is_openapi(shared_web: Web) -> None:
    """The description is valid OpenAPI 3.1, and has every path that there is, every parameter explained."""
    said = shared_web.json("/openapi.json")
    validate(said)
    for endpoint in ENDPOINTS:
        operation = said["paths"][PREFIX + endpoint.path][endpoint.method.lower()]
        assert {parameter["name"] for parameter in operation["parameters"]} == set(
            endpoint.asked.__struct_fields__
        )
        assert [one["name"] for one in operation["parameters"] if not one.get("description")] == []
    others = {"/", "/docs", "/metrics", "/openapi.json", "/health/live", "/health/ready"}
    streams = {f"{PREFIX}/stream", f"{PREFIX}/ws"}
    doors = {door.path for door in DOORS}
    assert set(said["paths"]) == {PREFIX + endpoint.path for endpoint in ENDPOINTS} | others | streams | doors
    for path in others:
        assert shared_web.get(path).status_code == 200


@pytest.mark.covers("S4.7")
def test_answers_are_what_openapi_says(shared_web: Web, shared_daemon: Daemon) -> None:
    """Answers fit the schemas that the description gives them, errors as well."""
    tell(
        shared_daemon,
        event("execution.started", "said", name="x", project="/p", args=["a"], labels={"k": "v"}),
        event("task.started", "said", task_id="t"),
        event("agent.added", "said", agent_id="a", agent_type="claude"),
        event("artifact.added", "said", path="/a", artifact_type="code"),
        log("said", "hello", fields={"n": 1}),
        event("execution.ended", "said", outcome="failed", error={"message": "no"}),
    )
    said = shared_web.json("/openapi.json")
    for endpoint in ENDPOINTS:
        if endpoint.method != "GET" or re.search(r"project_id|trace_id", endpoint.path):
            continue
        path = PREFIX + endpoint.path
        params = {"path": "/a"} if path.endswith("/api/artifacts") else {}
        params |= {"q": "hello"} if path.endswith("/search") else {}
        answer = shared_web.json(path.format(execution_id="said", seq=1), **params)
        schema = said["paths"][path]["get"]["responses"]["200"]["content"]["application/json"]["schema"]
        Draft202012Validator({**schema, "components": said["components"]}).validate(answer)
    failure = {"$ref": "#/components/schemas/Failure", "components": said["components"]}
    Draft202012Validator(failure).validate(shared_web.get("/api/nope").json())


@pytest.mark.covers("P11")
def test_metrics(shared_web: Web) -> None:
    """Numbers come in Prometheus' text format: each named once, typed and explained before its samples."""
    shared_web.get("/api/executions/nobody")
    answer = shared_web.get("/metrics")
    assert answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    assert answer.text.endswith("\n")
    kinds: dict[str, str] = {}
    samples: dict[str, float] = {}
    for line in answer.text.splitlines():
        if line.startswith("# TYPE "):
            _, _, name, kind = line.split(" ")
            assert name not in kinds
            kinds[name] = kind
        elif not line.startswith("# HELP "):
            match = re.fullmatch(r'([a-z_]+)(\{(?:[a-z_]+="(?:[^"\\\n]|\\.)*",?)*\})? (-?[0-9.e+-]+)', line)
            assert match is not None, line
            assert match[1] in kinds
            assert line not in samples
            samples[match[1] + (match[2] or "")] = float(match[3])
    assert all(name.endswith("_total") == (kind == "counter") for name, kind in kinds.items())
    assert samples["flightlog_up"] == 1
    assert samples["flightlog_head_seq"] == shared_web.json("/api/status")["head_seq"]
    assert samples['flightlog_web_requests_total{method="GET",status="404"}'] >= 1
    assert {"flightlog_projection_lag", "flightlog_wal_bytes", "flightlog_refused_lines_total"} <= set(kinds)


@pytest.mark.covers("P11")
def test_health_of_a_degraded_daemon() -> None:
    """Ready is 503 with the reason while the daemon waits out a fault or a read model is broken."""
    well = {"state": "ok", "state_reason": None, "projections": [{"name": "log", "broken_at": None}]}
    assert degraded(well) is None
    assert "storage_full: no room" in str(
        degraded(well | {"state": "storage_full", "state_reason": "no room"})
    )
    assert "log" in str(degraded(well | {"projections": [{"name": "log", "broken_at": 7}]}))


@pytest.mark.covers("P17")
def test_it_ends_in_good_order(daemon: Daemon) -> None:
    """SIGTERM ends it with 0 and Ctrl-C with 130, and it says nothing on stderr."""
    for number, code in ((signal.SIGTERM, 0), (signal.SIGINT, 130)):
        with Web(daemon.runtime_dir) as web:
            assert web.get("/").status_code == 200
            assert web.end(number) == (code, "")


@pytest.mark.covers("P17")
def test_a_port_that_is_taken(shared_web: Web, shared_daemon: Daemon) -> None:
    """Where the port is taken it says so, which one it is and what to do, exit code 2."""
    done = Cli(shared_daemon.runtime_dir)("web", "--port", str(shared_web.port))
    assert (done.code, done.out) == (2, "")
    reason = f"cannot listen on 127.0.0.1:{shared_web.port}: Address already in use"
    assert done.err.startswith(f"flightlog web: {reason}\nhint: is it running already? ")


WITHOUT_EXTRA = """
import sys

class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("litestar", "hypercorn", "trio"):
            raise ModuleNotFoundError("No module named " + repr(name), name=name)

sys.meta_path.insert(0, Blocker())
from flightlog.cli.run import run
sys.exit(run(["web", *sys.argv[1:]]))
"""


@pytest.mark.covers("P17")
def test_without_the_extra() -> None:
    """Where the extra is not installed the verb says how to get it in one line, exit code 2; --help works."""
    command = [sys.executable, "-P", "-c", WITHOUT_EXTRA]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=clean_environment())
    assert (done.returncode, done.stdout) == (2, "")
    assert "is not installed: pip install 'flightlog[web]'" in done.stderr
    helped = subprocess.run(
        [*command, "--help"], capture_output=True, text=True, check=False, env=clean_environment()
    )
    assert helped.returncode == 0
