"""Attempts at a task, tried until one succeeds, as a real daemon has them."""

import json
from typing import Any

import pytest

from flightlog import Client
from support.daemon import Daemon
from support.peers import QueryPeer
from support.programs import events


def status_of(daemon: Daemon, execution_id: str) -> str:
    """Return how an execution stands."""
    with QueryPeer(daemon.query_socket) as reader:
        return str(reader.ask("inspect", execution_id=execution_id).one("execution")["status"])


def attempts_of(daemon: Daemon, task_id: str) -> list[dict[str, Any]]:
    """Return the attempts at a task as the daemon has them, oldest first."""
    with QueryPeer(daemon.query_socket) as reader:
        return reader.ask("tasks", task_id=task_id, oldest_first=True).all("task")


@pytest.mark.covers("S2.1")
def test_attempts_go_on_until_one_succeeds(daemon: Daemon, client: Client) -> None:
    """Each attempt follows the one before it, under one trace, and says what it follows."""
    tried = 0
    with client.execution("e") as run:
        for attempt in run.attempts("fetch page", retries=3, on=OSError, inputs={"page": 7}):
            with attempt:
                tried += 1
                attempt.info("trying")
                if tried < 3:
                    raise OSError(f"broken {tried}")
                attempt.outputs = {"rows": 2}

    assert client.flush()
    found = attempts_of(daemon, "fetch-page")
    assert [(one["attempt"], one["status"]) for one in found] == [
        (1, "failed"),
        (2, "failed"),
        (3, "succeeded"),
    ]
    assert [one["retry_of"] for one in found] == [None, found[0]["span_id"], found[1]["span_id"]]
    assert len({one["trace_id"] for one in found}) == 1
    assert len({one["span_id"] for one in found}) == 3
    assert (found[0]["error"]["type"], found[2]["outputs"]) == ("OSError", {"rows": 2})
    assert len({one["error"]["stack_hash"] for one in found[:2]}) == 1
    began = [event["reason"] for event in events(daemon, type=["task.started"]) if "reason" in event]
    assert began == ["after OSError: broken 1", "after OSError: broken 2"]
    assert status_of(daemon, run.execution_id) == "succeeded"


@pytest.mark.parametrize(("retries", "error", "tries"), [(2, OSError, 3), (0, OSError, 1), (5, KeyError, 1)])
def test_the_last_failure_leaves(
    daemon: Daemon, client: Client, retries: int, error: type[Exception], tries: int
) -> None:
    """After the last attempt, or a failure that is not to be tried again, the exception goes on its way."""
    with pytest.raises(error), client.execution("e") as run:  # noqa: PT012  # the loop is the point
        for attempt in run.attempts("t", retries=retries, on=OSError):
            with attempt:
                raise error("no")

    assert client.flush()
    assert [one["status"] for one in attempts_of(daemon, "t")] == ["failed"] * tries
    assert status_of(daemon, run.execution_id) == "failed"


def test_fewer_than_no_retries_are_an_error(client: Client) -> None:
    """A number of retries below 0 is said at once: the block would be passed over in silence."""
    with client.execution("e") as run, pytest.raises(ValueError, match="not -1"):
        run.attempts("t", retries=-1)


def test_leaving_the_loop_is_the_end_of_it(daemon: Daemon, client: Client) -> None:
    """A break, or an attempt that is not entered, begins no other attempt."""
    with client.execution("e") as run:
        for attempt in run.attempts("left"):
            with attempt:
                break
        for attempt in run.attempts("untouched"):
            assert attempt.attempt == 1

    assert client.flush()
    assert [one["status"] for one in attempts_of(daemon, "left")] == ["succeeded"]
    assert attempts_of(daemon, "untouched") == []


@pytest.mark.covers("D5")
def test_names_that_are_no_ids(daemon: Daemon, client: Client) -> None:
    """A name too long for an id, or with what no id may hold, is cut for it and told apart by a digest."""
    names = ["n" * 128, "n" * 129, "n" * 130, "a\x07b", ""]
    with client.execution(execution_id="e") as run:
        for name in names:
            with run.task(name):
                run.log("inside")

    assert client.flush()
    begun = events(daemon, type=["task.started"])
    assert [event["name"] for event in begun] == names
    ids = [event["task_id"] for event in begun]
    assert ids[0] == names[0]
    assert ids[1].startswith("n" * 100)
    assert ids[3].startswith("a-b~")
    assert len(set(ids)) == 5
    assert [event["task_id"] for event in events(daemon, type=["task.ended"])] == ids


@pytest.mark.covers("D5", "D9")
@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ({"text": "x" * 3_000_000}, "more characters cut"),
        ({"rows": [["y" * 1_000]] * 3_000}, "more"),
        ({"number": 2**63, "deep": json.loads("[" * 100 + "]" * 100)}, str(2**63)),
    ],
)
def test_values_that_no_line_holds(daemon: Daemon, client: Client, given: Any, kept: str) -> None:
    """What a task was given and gave may be of any size, depth and number: it is cut, and the task ends."""
    with client.execution(execution_id="e") as run, run.task("t", inputs=given) as task:
        task.outputs = given

    assert client.flush()
    (begun,) = events(daemon, type=["task.started"])
    (ended,) = events(daemon, type=["task.ended"])
    assert begun["inputs"] == ended["outputs"]
    assert kept in str(ended["outputs"])
    assert ended["outputs"].keys() == given.keys()
