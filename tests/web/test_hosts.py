"""Machines over HTTP: which there are, and lists that keep to some."""

import pytest

from cli.runner import Cli
from support.daemon import DaemonFactory
from support.lines import event, log
from support.origins import id_here, ran, repeat
from support.web import Web


@pytest.mark.covers("P17", "P18")
def test_hosts_over_http(daemon_factory: DaemonFactory) -> None:
    """The list is that of the command line; `host`, also repeated, narrows; ids with a mark are paths."""
    daemon = daemon_factory(host_name="here")
    for host in ("far", "farther"):
        wrote = event("artifact.added", "build-7", path="/p/a", artifact_id="a")
        repeat(daemon, *ran(host, "build-7", log("build-7", f"said {host}"), wrote))
    name = id_here("far", "build-7")
    with Web(daemon.runtime_dir) as web:
        assert web.json("/api/hosts")["hosts"] == Cli(daemon.runtime_dir).ok("hosts", "--json").json
        assert web.json("/api/hosts?limit=1")["truncated"]

        def hosts(path: str, noun: str) -> list[str]:
            return [one["host"] for one in web.json(path)[noun]]

        assert hosts("/api/executions?host=far", "executions") == ["far"]
        assert sorted(hosts("/api/executions?host=far&host=farther", "executions")) == ["far", "farther"]
        assert hosts("/api/artifacts?path=/p/a&host=farther", "artifacts") == ["farther"]
        assert web.json(f"/api/executions/{name}")["execution_id"] == name
        messages = [line["message"] for line in web.json(f"/api/executions/{name}/logs")["logs"]]
        assert "said far" in messages
        ended = event("task.ended", "b", task_id="t", outcome="failed")
        repeat(daemon, *ran("far", "b", ended, seq=50))
        assert web.json("/api/stats?host=far")["by_status"] == {"failed": 1}
        assert web.json("/api/stats?host=farther")["attempts"] == 0


@pytest.mark.covers("P17", "P18")
def test_status_over_http_stays_what_it_is(daemon_factory: DaemonFactory) -> None:
    """However often it is asked for at once, how the daemon is has its times as text, and is understood."""
    daemon = daemon_factory(host_name="here")
    repeat(daemon, *ran("far", "build-7"))
    with Web(daemon.runtime_dir) as web:
        for _ in range(4):
            status = web.json("/api/status")
            assert status["origins"][0]["last_at"] == "2023-11-14T22:13:20.000000Z"
            assert status["collected_at"] == status["origins"][0]["received_at"]
