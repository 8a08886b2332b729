"""Named cursors: kept by the daemon, moved when a reader confirms, never reset in silence."""

import pytest

from support.daemon import Daemon, DaemonFactory
from support.govern import govern, record
from support.lines import event, log, logs
from support.peers import Answers, IngestPeer, Json, QueryPeer


def settle(daemon: Daemon, *lines: bytes) -> int:
    """Store lines and return the position of the last one."""
    with IngestPeer(daemon.ingest_socket) as peer:
        seq = peer.settle(*lines)[-1]["ack"]["seq"]
    assert isinstance(seq, int)
    return seq


def ask(daemon: Daemon, verb: str, **arguments: object) -> Answers:
    """Ask one question on a connection of its own."""
    with QueryPeer(daemon.query_socket) as reader:
        return reader.ask(verb, **arguments)


def cursors(daemon: Daemon) -> dict[str, tuple[int, int]]:
    """Return position and lag of each cursor."""
    return {found["name"]: (found["seq"], found["lag"]) for found in ask(daemon, "cursors").all("cursor")}


def messages(answers: Answers) -> list[str]:
    """Return the messages of the events of a tail."""
    assert answers.error is None, answers.error
    return [line["event"]["message"] for line in answers.lines if line["event"]["type"] == "log"]


@pytest.mark.covers("P3")
def test_a_cursor_survives_what_was_confirmed(daemon: Daemon) -> None:
    """A move is on disk when it is answered: a killed daemon has it, and a tail goes on after it."""
    head = settle(daemon, *logs("e", 10))
    moved = ask(daemon, "cursor", name="ship", seq=head - 4).one("cursor")
    daemon.kill()
    daemon.start()

    assert (moved["name"], moved["seq"], moved["lag"]) == ("ship", head - 4, 4)
    assert messages(ask(daemon, "tail", cursor="ship", follow=False)) == [f"line {n}" for n in (7, 8, 9, 10)]
    assert messages(ask(daemon, "tail", cursor="ship", last=1, since=0, follow=False)) != ["line 10"]


@pytest.mark.covers("P3")
def test_reading_does_not_move_a_cursor(daemon: Daemon) -> None:
    """Only a confirmation moves it; `after` wins over it, and what is unknown begins as without."""
    head = settle(daemon, *logs("e", 5))
    ask(daemon, "cursor", name="c", seq=head - 2)

    assert messages(ask(daemon, "tail", cursor="c", follow=False)) == ["line 4", "line 5"]
    assert messages(ask(daemon, "tail", cursor="c", after=head - 1, follow=False)) == ["line 5"]
    assert messages(ask(daemon, "tail", cursor="new", last=2, follow=False)) == ["line 4", "line 5"]
    assert [line["message"] for line in ask(daemon, "logs", execution_id="e", cursor="c").all("log")] == [
        "line 4",
        "line 5",
    ]
    assert cursors(daemon) == {"c": (head - 2, 2)}


@pytest.mark.covers("P3")
def test_a_cursor_goes_forward_unless_it_is_asked_back(daemon: Daemon) -> None:
    """A late confirmation leaves it where it is, `back` moves it, and beyond the head nobody has read."""
    head = settle(daemon, *logs("e", 5))
    ask(daemon, "cursor", name="c", seq=4)

    assert ask(daemon, "cursor", name="c", seq=2).one("cursor")["seq"] == 4
    assert ask(daemon, "cursor", name="c", seq=2, back=True).one("cursor")["seq"] == 2
    error = ask(daemon, "cursor", name="c", seq=head + 1).error
    assert error is not None
    assert (error["code"], error["reason"]) == (
        "invalid",
        f"position {head + 1} is beyond the head of the log, {head}",
    )
    assert cursors(daemon) == {"c": (2, head - 2)}


@pytest.mark.covers("P3", "S1.7")
def test_a_cursor_older_than_retention_is_an_error(daemon: Daemon) -> None:
    """What retention took after a cursor is said with the first position that is there, and how to go on."""
    record(daemon, "old", *logs("old", 3000))
    begun = event("execution.started", "new"), event("task.started", "new", task_id="t")
    head = settle(daemon, *begun, *logs("new", 3))
    ask(daemon, "cursor", name="slow", seq=10)
    ask(daemon, "cursor", name="done", seq=head)
    assert govern(daemon, "retention", "--older-than", "0s")["lines"] == 3000
    last = head - 5  # of the old one: its end, which stays

    questions: dict[str, Json] = {
        "tail": {"follow": False},
        "tail of it": {"follow": False, "execution_id": "old"},
        "logs": {"execution_id": "old"},
    }
    for what, arguments in questions.items():
        error = ask(daemon, what.split()[0], cursor="slow", **arguments).error
        assert error == {
            "code": "cursor_behind",
            "reason": "your cursor slow is at 10, older than retention:"
            f" the first available position is {last}",
            "hint": f"to go on from there, ask after {last - 1}: --after {last - 1} resets the cursor",
        }, what
    # Nothing was taken of these.
    for verb in ("logs", "tail"):
        assert len(ask(daemon, verb, cursor="slow", follow=False, execution_id="new").lines) == 5
    assert ask(daemon, "logs", task_id="t", cursor="slow").error is None
    for verb, arguments in (("logs", {"execution_id": "old"}), ("tail", {"follow": False})):
        assert ask(daemon, verb, cursor="done", **arguments).error is None
        assert ask(daemon, verb, cursor="slow", after=last - 1, **arguments).error is None
    # Who begins within a hole is told of what is left of it.
    within = ask(daemon, "tail", after=10, follow=False, execution_id="old").lines
    assert within[0]["pruned"]["first_seq"] == 11


@pytest.mark.covers("P3")
def test_cursors_are_listed_counted_and_removed(daemon_factory: DaemonFactory) -> None:
    """Pages of cursors with their lag, a bounded number for each user, and `status` knows the hindmost."""
    daemon = daemon_factory(cursor_limit=3)
    head = settle(daemon, event("execution.started", "e"), log("e", "x"))
    for number, name in enumerate("abc"):
        ask(daemon, "cursor", name=name, seq=number)

    error = ask(daemon, "cursor", name="d", seq=1).error
    assert error is not None
    assert error["code"] == "cursor_limit"
    page = ask(daemon, "cursors", limit=2)
    assert page.end is not None
    rest = ask(daemon, "cursors", after=page.end["next"])
    assert [found["name"] for found in [*page.all("cursor"), *rest.all("cursor")]] == ["a", "b", "c"]
    assert [found["lag"] for found in ask(daemon, "cursors", name="b").all("cursor")] == [head - 1]
    status: Json = ask(daemon, "status").one("status")
    assert (status["cursors"], status["cursor_lag"]) == (3, head)
    assert ask(daemon, "cursor", name="a", remove=True).one("cursor")["seq"] == 0
    error = ask(daemon, "cursor", name="a", remove=True).error
    assert error is not None
    assert error["code"] == "not_found"
    assert ask(daemon, "cursor", name="d", seq=1).error is None
    for arguments in ({"name": "d"}, {"name": "d", "seq": 1, "remove": True}):
        error = ask(daemon, "cursor", **arguments).error
        assert error is not None
        assert error["code"] == "invalid"
