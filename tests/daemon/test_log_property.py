"""Log queries against a plain list: filters, pages, the last N, newest first, following."""

from collections.abc import Iterator
from itertools import count
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from support.daemon import Daemon
from support.lines import event, log
from support.peers import IngestPeer, Json, QueryPeer

T = 1_790_000_000_000_000
LEVELS = {1: "TRACE", 5: "DEBUG", 9: "INFO", 13: "WARN", 17: "ERROR", 21: "FATAL"}
NUMBERS: Iterator[int] = count()

small = st.integers(0, 3)
lines = st.lists(
    st.fixed_dictionaries(
        {
            "message": st.text('abc\n"é', max_size=4),
            "level": st.sampled_from(sorted(LEVELS)),
            "time": st.integers(T, T + 9),
        },
        optional={
            "source": st.sampled_from(["s1", "s2"]),
            "task_id": st.sampled_from(["t1", "t2"]),
            "agent_id": st.sampled_from(["a1", "a2"]),
        },
    ),
    max_size=30,
)
requests = st.fixed_dictionaries(
    {},
    optional={
        "level": st.lists(st.sampled_from(sorted(LEVELS)), max_size=3),
        "source": st.sampled_from(["s1", "s2", "s3"]),
        "task_id": st.sampled_from(["t1", "t2"]),
        "agent_id": st.sampled_from(["a1", "a2"]),
        "since": st.integers(T, T + 9),
        "until": st.integers(T, T + 9),
        "grep": st.one_of(st.text('ab"é', max_size=2), st.lists(st.text("ab", max_size=2), max_size=2)),
        "exclude": st.lists(st.text("abc", min_size=1, max_size=2), max_size=2),
    },
)


def wanted(line: Json, request: Json) -> bool:
    """Say what the answer must be, by the words of the request alone."""
    grep = request.get("grep", [])
    return (
        (not request.get("level") or line["level"] in request["level"])
        and all(request.get(key, line.get(key)) == line.get(key) for key in ("source", "task_id", "agent_id"))
        and request.get("since", 0) <= line["time"] < request.get("until", T + 100)
        and all(text in line["message"] for text in ([grep] if isinstance(grep, str) else grep))
        and not any(text in line["message"] for text in request.get("exclude", []))
    )


def told(answers: list[Json]) -> list[tuple[str, str, int]]:
    """Return what tells log lines apart."""
    return [(line["message"], line["level"], line["time"]) for line in answers]


@pytest.mark.covers("S1.8", "S1.10")
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(recorded=lines, request=requests, page=st.integers(1, 5), last=small, cut=st.integers(0, 30))
def test_queries_answer_as_a_list_does(
    shared_daemon: Daemon, recorded: list[Json], request: Json, page: int, last: int, cut: int
) -> None:
    """Whole, cut, paged, newest first or followed, an answer is what a list comprehension gives."""
    name = f"e{next(NUMBERS)}"
    stored = [
        log(name, line["message"], **{k: v for k, v in line.items() if k != "message"}) for line in recorded
    ]
    expected = [
        (line["message"], LEVELS[line["level"]], line["time"]) for line in recorded if wanted(line, request)
    ]
    asked: dict[str, Any] = {"execution_id": name, **request}
    # What happens to the execution is logged, too, at the first moment and with a source of its own.
    quiet = {"exclude": [*request.get("exclude", []), "execution "]}
    with IngestPeer(shared_daemon.ingest_socket) as writer, QueryPeer(shared_daemon.query_socket) as reader:
        writer.send_lines(event("execution.started", name, time=T), *stored[:cut])
        writer.until_ack(1 + len(stored[:cut]))
        reader.start("logs", follow=True, **(asked | quiet))
        writer.send_lines(*stored[cut:], event("execution.ended", name, outcome="succeeded", time=T))
        writer.until_ack(2 + len(stored))
        assert told(reader.answers().all("log")) == expected

        def ask(**more: object) -> list[tuple[str, str, int]]:
            return told(reader.ask("logs", **(asked | quiet | more)).all("log"))

        assert ask() == expected
        assert ask(last=last) == expected[len(expected) - min(last, len(expected)) :]
        assert ask(reverse=True) == expected[::-1]
        assert ask(reverse=True, limit=last) == expected[::-1][:last]
        for direction, edge in (({}, "after"), ({"reverse": True}, "before")):
            paged: list[tuple[str, str, int]] = []
            place: dict[str, object] = {}
            while True:
                answer = reader.ask("logs", limit=page, **(asked | quiet | direction | place))
                paged += told(answer.all("log"))
                assert answer.end is not None
                if not answer.end.get("truncated"):
                    break
                place = {edge: answer.end["next"]}
            assert paged == (expected[::-1] if direction else expected)


@pytest.mark.covers("S1.8")
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(runs=st.lists(st.integers(0, 4), min_size=1, max_size=40), last=small, after=st.integers(0, 40))
def test_the_log_of_a_task_is_that_of_all_its_runs(
    shared_daemon: Daemon, runs: list[int], last: int, after: int
) -> None:
    """Lines of one task out of interleaved executions come in the order of the log, either way."""
    number = next(NUMBERS)
    task = f"task-{number}"
    executions = [f"run-{number}-{run}" for run in range(5)]
    begun: list[bytes] = []
    for execution in executions:
        begun.append(event("task.started", execution, task_id=task))
        begun.append(log(execution, "of no task"))
    stored = [log(executions[run], f"{place}", task_id=task) for place, run in enumerate(runs)]
    with IngestPeer(shared_daemon.ingest_socket) as writer, QueryPeer(shared_daemon.query_socket) as reader:
        writer.send_lines(*begun)
        head = writer.until_ack(len(begun))[-1]["ack"]["seq"]
        for place, line in enumerate(stored, start=len(begun) + 1):
            writer.send_lines(line)
            if place % 7 == 0 or place == len(begun) + len(stored):
                writer.until_ack(place)

        def ask(**more: object) -> list[str]:
            answers = reader.ask("logs", task_id=task, exclude=["task started"], **more)
            return [line["message"] for line in answers.all("log")]

        expected = [str(place) for place in range(len(runs))]
        assert ask() == expected
        assert ask(reverse=True) == expected[::-1]
        assert ask(last=last) == expected[len(expected) - min(last, len(expected)) :]
        assert ask(after=head + after) == expected[after:]
