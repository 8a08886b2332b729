"""Executions of several machines in one log: kept apart, found by machine, and counted."""

import pytest

from support.daemon import Daemon, DaemonFactory
from support.govern import ask, govern, is_whole, messages
from support.lines import event, log, logs
from support.origins import AT_US, FAR, hello, id_here, ran, repeat
from support.peers import IngestPeer, QueryPeer
from support.searching import messages as found_messages

HERE = "here"
BOTH = ("far", "farther")


@pytest.fixture
def daemon(daemon_factory: DaemonFactory) -> Daemon:
    """Give a daemon on a machine called `here`."""
    return daemon_factory(host_name=HERE)


def tell_three(daemon: Daemon) -> None:
    """Have three machines run a `build-7`, all under the same uid, and two of them end it differently."""
    with IngestPeer(daemon.ingest_socket) as peer:
        peer.settle(event("execution.started", "build-7", name="on here"), log("build-7", "said here"))
    task = (
        event("task.started", "build-7", task_id="t"),
        event("task.ended", "build-7", task_id="t", outcome="succeeded"),
    )
    wrote = event("artifact.added", "build-7", path="/p/a", artifact_id="a")
    broken = event("task.ended", "build-7", task_id="u", outcome="failed")
    repeat(
        daemon,
        *ran("far", "build-7", log("build-7", "said far"), *task, wrote, outcome="succeeded"),
        *ran("farther", "build-7", log("build-7", "said farther"), broken, wrote, outcome="failed"),
    )


@pytest.mark.covers("P18", "D8")
def test_executions_of_the_same_id_stay_apart(daemon: Daemon) -> None:
    """Each machine's `build-7` is an execution of its own, with its end, log and trail; also when rebuilt."""
    tell_three(daemon)

    found = {one["host"]: one for one in ask(daemon, "executions").all("execution")}
    assert {host: (one["execution_id"], one["name"], one["status"]) for host, one in found.items()} == {
        HERE: ("build-7", "on here", "running"),
        "far": (id_here("far", "build-7"), "on far", "succeeded"),
        "farther": (id_here("farther", "build-7"), "on farther", "failed"),
    }
    for host, one in found.items():
        assert messages(daemon, one["execution_id"]) == [f"said {host}"]
        assert ask(daemon, "audit", execution_id=one["execution_id"], type=["ANOMALY"]).all("audit") == []
        assert ask(daemon, "check", execution_id=one["execution_id"]).one("check")["records"] > 1
        past = ask(daemon, "inspect", execution_id=one["execution_id"], as_of=2**40).one("execution")
        assert past == one
    assert is_whole(daemon)
    with QueryPeer(daemon.query_socket) as reader:
        [line] = reader.ask(
            "tail", after=0, follow=False, execution_id=id_here("far", "build-7"), type=["log"]
        ).lines
    assert (line["event"]["execution_id"], line["execution_id"]) == ("build-7", id_here("far", "build-7"))


@pytest.mark.covers("P18")
def test_nothing_said_here_is_about_anothers_execution(daemon: Daemon) -> None:
    """An event with the id that another machine's execution has here is refused, and changes nothing."""
    repeat(daemon, *ran("far", "build-7"))
    name = id_here("far", "build-7")
    with IngestPeer(daemon.ingest_socket) as peer:
        replies = peer.settle(
            event("execution.ended", name, outcome="failed"), log(name, "x"), log("build-7~0123", "mine")
        )
    refused = [reply["refused"] for reply in replies if "refused" in reply]
    assert [(one["line"], one["code"]) for one in refused] == [(1, "invalid"), (2, "invalid")]
    assert "other machines" in refused[0]["reason"]
    assert ask(daemon, "inspect", execution_id=name).one("execution")["status"] == "running"
    assert "refused" not in [
        one["kind"] for one in ask(daemon, "check", execution_id=name).one("check")["findings"]
    ]


@pytest.mark.covers("P18")
def test_a_parent_is_of_the_same_machine(daemon: Daemon) -> None:
    """A child of another machine's execution is found by what its parent is called here."""
    child = event("execution.started", "child", parent_id="build-7")
    repeat(daemon, *ran("far", "build-7"), child)
    with IngestPeer(daemon.ingest_socket) as peer:
        peer.settle(event("execution.started", "mine", parent_id="build-7"))

    def children(parent: str) -> list[str]:
        return [one["execution_id"] for one in ask(daemon, "executions", parent_id=parent).all("execution")]

    assert children(id_here("far", "build-7")) == [id_here("far", "child")]
    assert children("build-7") == ["mine"]


@pytest.mark.covers("P18", "S1.1")
def test_an_id_alone_means_the_execution_of_this_machine(daemon: Daemon) -> None:
    """An id finds that of this log, else the only one of another; several are told apart by their machine."""

    def meant(text: str, *hosts: str) -> str:
        answers = ask(daemon, "inspect", execution_id=text, host=hosts)
        if answers.error is not None:
            return f"{answers.error['code']}: {answers.error['hint']}"
        return str(answers.one("execution")["execution_id"])

    repeat(daemon, *ran("far", "build-7"), *ran("far", "build-71"))
    assert meant("build-7") == id_here("far", "build-7")
    assert meant("build-7", HERE).startswith("not_found")
    repeat(daemon, *ran("farther", "build-7"))
    assert "--host" in meant("build-7")
    assert meant("build-7", "farther") == id_here("farther", "build-7")
    assert meant("buil", "farther") == id_here("farther", "build-7")
    assert meant(id_here("far", "build-7"), "farther").startswith("not_found")
    with IngestPeer(daemon.ingest_socket) as peer:
        peer.settle(event("execution.started", "build-7"))
    assert meant("build-7") == "build-7"
    assert meant("build-7", HERE) == "build-7"
    assert meant("build-7", "nowhere").startswith("not_found: flightlog hosts")
    longest = "x" * 128
    repeat(daemon, *ran("far", longest, seq=90))
    assert meant(longest) == id_here("far", longest) == meant(id_here("far", longest))


@pytest.mark.covers("P18", "S0.6")
def test_every_list_keeps_to_machines(daemon: Daemon) -> None:
    """Executions, tasks, artifacts, trail, logs, search and tail show what the machines named recorded."""
    tell_three(daemon)
    repeat(daemon, hello("q", 1, 50, "farther"), event("plan.requested", project="/p"))

    def hosts(verb: str, noun: str, **request: object) -> list[str]:
        return [one["host"] for one in ask(daemon, verb, **request).all(noun)]

    for asked in (["far"], ["farther"], [HERE], ["far", HERE], ["far", "farther"], ["far", "far"]):
        wanted = set(asked)
        assert set(hosts("executions", "execution", host=asked)) == wanted
        assert set(hosts("tasks", "task", host=asked)) == wanted - {HERE}
        assert set(hosts("artifacts", "artifact", path="/p/a", host=asked)) == wanted - {HERE}
        assert set(hosts("logs", "log", task_id="t", host=asked)) == wanted & {"far"}
        assert set(found_messages(daemon, "said", host=asked)) == {f"said {host}" for host in wanted}
        trail = ask(daemon, "audit", host=asked).all("audit")
        assert {one["host"] for one in trail} == wanted
        assert ask(daemon, "audit", host=asked, last=2).all("audit") == trail[-2:]
        with QueryPeer(daemon.query_socket) as reader:
            rows = reader.ask("tail", after=0, follow=False, host=asked).lines
            last = reader.ask("tail", last=3, follow=False, host=asked).lines
        assert {row.get("origin", {}).get("host", HERE) for row in rows} == wanted
        assert last == rows[-3:]
    assert hosts("executions", "execution", host=["far"], status=["failed", "succeeded"]) == ["far"]
    assert hosts("executions", "execution", host=["far"], status=["failed"]) == []
    assert hosts("executions", "execution", host=BOTH, limit=1) == ["farther"]
    for verb in ("executions", "tasks", "audit"):
        error = ask(daemon, verb, host=["nowhere"]).error
        assert error is not None
        assert (error["code"], error["reason"]) == ("not_found", "no such host: nowhere")


@pytest.mark.covers("P18", "D7")
def test_a_tail_of_a_machine_goes_on(daemon: Daemon) -> None:
    """A tail of one machine, also of one never heard of, sends what comes of it and nothing else."""
    with QueryPeer(daemon.query_socket) as reader:
        reader.start("tail", after=0, host=["farther"])
        repeat(daemon, *ran("far", "a", *logs("a", 3)))
        repeat(daemon, *ran("farther", "b", log("b", "live")))
        events = reader.events()
        assert [next(events)["event"]["type"] for _ in range(2)] == ["execution.started", "log"]


@pytest.mark.covers("P18")
def test_machines_are_listed(daemon_factory: DaemonFactory) -> None:
    """Each log has its machine's latest name, how much of it is here, how its executions stand, its delay."""
    daemon = daemon_factory(host_name=HERE)
    tell_three(daemon)
    repeat(daemon, hello("r", 1, 60, "far", received=AT_US + 9), log("more", "x"))
    renamed = hello("r", 2, 61, "renamed", received=AT_US + 10)
    older = hello("r", 9, 70, "oldest", received=AT_US - 5)
    repeat(daemon, renamed, log("more", "y"), older, log("more", "z"))

    here, farther, renamed_host = ask(daemon, "hosts").all("host")
    assert (here["host"], here["here"], here["mark"], here["executions"], here["running"]) == (
        HERE,
        True,
        "",
        1,
        1,
    )
    assert (farther["host"], farther["failed"], farther["events"]) == ("farther", 1, 5)
    assert renamed_host["log_id"] == FAR
    assert {
        name: renamed_host[name]
        for name in ("host", "events", "executions", "last_seq", "first_at", "last_at")
    } == {
        "host": "renamed",
        "events": 9,
        "executions": 2,
        "last_seq": 70,
        "first_at": AT_US - 5,
        "last_at": AT_US + 10,
    }
    assert renamed_host["lag_us"] == renamed_host["received_at"] - AT_US - 10
    with QueryPeer(daemon.query_socket) as reader:
        head = reader.ask("status").one("status")["head_seq"]
    assert here["events"] == head - 14
    page = ask(daemon, "hosts", limit=1)
    names = [page.one("host")["host"]]
    while page.end is not None and page.end.get("truncated", False):
        page = ask(daemon, "hosts", limit=1, after=page.end["next"])
        names.append(page.one("host")["host"])
    assert names == [HERE, "farther", "renamed"]

    repeat(daemon, hello("r", 1, 60), log("more", "x"))
    assert ask(daemon, "hosts", host=["renamed"]).one("host")["events"] == 9, (
        "what is known does not count again"
    )
    daemon.terminate()
    daemon.config["host_name"] = "called otherwise"
    daemon.start()
    assert ask(daemon, "hosts").all("host")[0]["host"] == "called otherwise"
    assert is_whole(daemon)


@pytest.mark.covers("P18", "D8")
def test_governance_knows_whose_lines_they_are(daemon_factory: DaemonFactory) -> None:
    """Retention takes the ended execution of one machine and leaves its namesakes alone."""
    daemon = daemon_factory(host_name=HERE, retention_days=0, retention_rules="status=succeeded keep=0d")
    lines = [line.replace(b'"type"', b'"time":1,"type"', 1) for line in logs("build-7", 20)]
    repeat(
        daemon,
        *ran("far", "build-7", *lines, outcome="succeeded"),
        *ran("farther", "build-7", *lines),
    )
    govern(daemon, "retention")
    assert messages(daemon, id_here("far", "build-7")) == []
    assert len(messages(daemon, id_here("farther", "build-7"))) == 20
    counted = ask(daemon, "inspect", execution_id=id_here("far", "build-7")).one("execution")
    assert counted["log_count"] == 20
    assert is_whole(daemon)


@pytest.mark.covers("P18")
def test_status_tells_how_late_others_are(daemon: Daemon) -> None:
    """Each other log has its position, its newest time there and its delay, the latest first."""
    with QueryPeer(daemon.query_socket) as reader:
        before = reader.ask("status").one("status")
        repeat(daemon, *ran("far", "a", *logs("a", 3)))
        repeat(daemon, hello("p", 1, 9, "farther", received=AT_US - 7), log("b", "x"))
        status = reader.ask("status").one("status")
    farther, far = status["origins"]

    assert (before["origins"], before["origin_count"], before["collected_at"]) == ([], 0, None)
    assert (far["host"], far["log_id"], far["last_seq"], far["last_at"]) == ("far", FAR, 4, AT_US)
    assert (farther["host"], farther["last_seq"], farther["last_at"]) == ("farther", 9, AT_US - 7)
    assert far["lag_us"] == far["received_at"] - AT_US
    assert farther["lag_us"] > far["lag_us"]
    assert (status["origin_count"], status["collected_at"]) == (2, farther["received_at"])
