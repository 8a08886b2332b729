"""Time travel: an execution as of a position or a time is what `inspect` said of it then."""

import json
import random
from bisect import bisect_right
from collections import Counter
from contextlib import closing
from typing import NamedTuple

import apsw
import pytest

from flightlog_schemas import levels
from schemas.builders import EXAMPLES
from support.daemon import Daemon, DaemonFactory
from support.lines import event, log, logs
from support.peers import Answers, IngestPeer, Json, QueryPeer
from support.rebuild import tell

EXECUTIONS = ("run-0", "run-1", "run-2")
ALL = {"tasks": True, "agents": True, "artifacts": True, "audit": True}


class Told(NamedTuple):
    """What the daemon said of an execution when the log ended at a position."""

    seq: int
    lines: list[Json]


def storm_line(dice: random.Random, name: str) -> bytes:
    """Return a line of any type that an execution can have, without what the daemon would react to."""
    types = [kind for kind, example in EXAMPLES.items() if "execution_id" in example]
    types.remove("execution.adopted")  # its owner is not there, and the daemon may say so
    weights = [3 if kind.startswith("execution.") else 6 if kind == "log" else 2 for kind in types]
    [kind] = dice.choices(types, weights)
    fields = {key: value for key, value in EXAMPLES[kind].items() if key not in ("owner", "deadline")}
    fields["execution_id"] = name
    if dice.random() < 0.7:
        fields["time"] = 1_790_000_000_000_000 + dice.randrange(10**9)
    if kind == "execution.ended":
        fields["outcome"] = dice.choice(["succeeded", "partial", "failed", "cancelled", "timed_out"])
    if "agent_id" in fields:
        fields["agent_id"] = f"a{dice.randrange(3)}"
    return json.dumps({"type": kind} | fields).encode()


def storm(daemon: Daemon, dice: random.Random, rounds: int) -> dict[str, list[Told]]:
    """Send lines, mostly one by one, and note after each ack what is said of whom it was about."""
    told: dict[str, list[Told]] = {name: [] for name in EXECUTIONS}
    with IngestPeer(daemon.ingest_socket) as peer, QueryPeer(daemon.query_socket) as reader:
        sent = 0
        for _ in range(rounds):
            names = [dice.choice(EXECUTIONS) for _ in range(dice.choice((1, 1, 1, 4)))]
            peer.send_lines(*(storm_line(dice, name) for name in names))
            sent += len(names)
            [*refusals, acked] = peer.until_ack(sent)
            assert not [reply for reply in refusals if "refused" in reply]
            for name in set(names):
                answers = reader.ask("inspect", execution_id=name, **ALL)
                assert answers.error is None
                told[name].append(Told(acked["ack"]["seq"], answers.lines))
    return told


def then(told: list[Told], seq: int) -> list[Json] | None:
    """Return what was said last at or before a position; None when there was nothing to tell of."""
    place = bisect_right([one.seq for one in told], seq)
    return told[place - 1].lines if place else None


def check(answers: Answers, expected: list[Json] | None) -> None:
    """Assert that an answer about the past is what was said then."""
    if expected is None:
        assert answers.error is not None
        assert answers.error["code"] == "not_found"
    else:
        assert answers.lines == expected


@pytest.mark.covers("P4", "D8")
@pytest.mark.parametrize("seed", [3, 4])
def test_as_of_every_position(daemon: Daemon, seed: int) -> None:
    """At each position that was ever the head, all that is said of an execution is what was said then."""
    told = storm(daemon, random.Random(seed), 150)
    positions = sorted({one.seq for history in told.values() for one in history})
    assert len({json.dumps(one.lines) for history in told.values() for one in history}) > 150

    with QueryPeer(daemon.query_socket) as reader:
        for seq in positions:
            for name, history in told.items():
                check(reader.ask("inspect", execution_id=name, as_of=seq, **ALL), then(history, seq))


@pytest.mark.covers("P4")
def test_as_of_a_time(daemon: Daemon) -> None:
    """A time means the last event that the daemon had received by then."""
    told = storm(daemon, random.Random(7), 30)
    with QueryPeer(daemon.query_socket) as reader:
        rows = reader.ask("tail", after=0, follow=False).lines
        received = [row["received"] for row in rows]
        for moment in sorted(set(received)):
            for asked in (moment - 1, moment, moment + 1):
                seq = bisect_right(received, asked)
                for name, history in told.items():
                    answers = reader.ask("inspect", execution_id=name, as_of_time=asked, **ALL)
                    check(answers, then(history, seq))
                    if answers.end is not None:
                        assert answers.end["seq"] == seq


@pytest.mark.covers("P4")
def test_as_of_within_a_batch(daemon: Daemon) -> None:
    """A position in the middle of lines that were stored together counts those up to it alone."""
    dice = random.Random(5)
    names = ("even", "odd", "odd")
    lines = [
        log(
            dice.choice(names),
            f"m {number}",
            level=dice.choice(levels.NAMES),
            time=1_790_000_000_000_000 + number,
        )
        if number % 500
        else event("agent.usage", "odd", agent_id="a", input_tokens=1, cost_usd=0.5)
        for number in range(1, 4000)
    ]
    tell(daemon, *lines)
    with QueryPeer(daemon.query_socket) as reader:
        rows = reader.ask("tail", after=0, follow=False, execution_id="odd").lines
        for seq in dice.sample([row["seq"] for row in rows], 25):
            past = [row for row in rows if row["seq"] <= seq]
            found = reader.ask("inspect", execution_id="odd", as_of=seq).one("execution")

            written = Counter(row["event"]["level"] for row in past if row["event"]["type"] == "log")
            used = sum(row["event"]["type"] == "agent.usage" for row in past)
            assert found["levels"] == {name: written[name] for name in levels.NAMES}
            assert (found["first_seq"], found["last_seq"]) == (past[0]["seq"], seq)
            assert (found["input_tokens"], found["cost_usd"]) == (used, used / 2)


@pytest.mark.covers("P4")
def test_as_of_where_there_is_nothing(daemon: Daemon) -> None:
    """Before its first event an execution was not there, and the answer says when it began."""
    tell(daemon, *logs("older", 3))
    tell(daemon, event("execution.started", "build-7"), event("execution.ended", "build-7", outcome="failed"))
    with QueryPeer(daemon.query_socket) as reader:
        live = reader.ask("inspect", execution_id="build-7", **ALL)
        began = live.lines[0]["execution"]["first_seq"]
        before = reader.ask("inspect", execution_id="build", as_of=began - 1)
        begun = reader.ask("inspect", execution_id="build", as_of=began)
        beyond = reader.ask("inspect", execution_id="build-7", as_of=10**9, **ALL)
        unknown = reader.ask("inspect", execution_id="nobody", as_of=began)
        both = reader.ask("inspect", execution_id="build-7", as_of=1, as_of_time=1)

    assert before.error is not None
    assert before.error["code"] == "not_found"
    assert before.error["reason"].startswith(f"no such execution then: build-7 began at position {began}, 20")
    assert begun.one("execution")["status"] == "running"
    assert live.end is not None
    assert beyond == live
    assert [(answer.error or {})["code"] for answer in (unknown, both)] == ["not_found", "invalid"]


@pytest.mark.covers("P4")
def test_the_past_needs_no_read_model_of_today(daemon: Daemon) -> None:
    """Where a live read model has stopped, the past of an execution named in full is still computed."""
    tell(daemon, event("execution.started", "build-7"))
    with closing(apsw.Connection(str(daemon.database))) as db:
        db.execute("pragma busy_timeout = 5000")
        db.execute(
            "create trigger fault before update on execution begin select raise(abort, 'made to fail'); end"
        )
    tell(daemon, event("execution.ended", "build-7", outcome="failed"))

    with QueryPeer(daemon.query_socket) as reader:
        live = reader.ask("inspect", execution_id="build-7")
        past = reader.ask("inspect", execution_id="build-7", as_of=10**9)
        by_prefix = reader.ask("inspect", execution_id="build", as_of=10**9)

    assert past.one("execution")["status"] == "failed"
    assert [(answer.error or {})["code"] for answer in (live, by_prefix)] == ["projection_broken"] * 2


@pytest.mark.covers("P4")
def test_a_long_past_ends_at_the_deadline(daemon_factory: DaemonFactory) -> None:
    """A question about the past takes no longer than any other may, and the connection stays usable."""
    daemon = daemon_factory(query_timeout_ms=1)
    tell(daemon, *logs("long", 20_000))
    with QueryPeer(daemon.query_socket) as reader:
        answers = reader.ask("inspect", execution_id="long", as_of=20_000)
        assert (answers.error or {})["code"] == "deadline"
        assert reader.ask("inspect", execution_id="long").one("execution")["log_count"] == 20_000
