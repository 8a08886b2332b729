"""Appending lines and waiting until they are on disk."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from flightlog.append import KEPT_REPLIES_LIMIT, append
from flightlog.errors import AppendFailed, AppendRefused, DaemonAway
from support.daemon import Daemon
from support.fake_daemon import FakeDaemon
from support.lines import event, log, logs
from support.programs import messages, records


@pytest.mark.covers("D1", "D2")
def test_appended_lines_are_readable(daemon: Daemon) -> None:
    """Lines are settled and readable when `append` returns; blank ones are left out."""
    done = append(daemon.ingest_socket, [log("e", "one"), b"\n", log("e", "two") + b"\n", b"  \n"])

    assert (done.lines, done.refused, done.duplicates) == (2, [], [])
    assert messages(daemon) == ["one", "two"]
    assert records(daemon)[-1]["seq"] == done.seq


def test_any_number_of_lines(daemon: Daemon) -> None:
    """Many more lines than any buffer holds are appended in order from an iterator."""
    count = 20_000
    done = append(daemon.ingest_socket, iter(logs("e", count)), producer="bulk")

    assert done.lines == count
    found = records(daemon)
    assert [record["line"] for record in found] == list(range(1, count + 1))
    assert {record["producer"] for record in found} == {"bulk"}


def test_nothing_to_append(daemon: Daemon) -> None:
    """No lines are appended without trouble."""
    assert append(daemon.ingest_socket, []).lines == 0


def test_refusals_and_duplicates_are_reported(daemon: Daemon) -> None:
    """Each refused line and each known key is reported by its number, and the others are stored."""
    told: list[int] = []
    lines = [log("e", "one", id="k"), b"nonsense", log("e", "two"), log("e", "one", id="k"), b"{}"]

    done = append(daemon.ingest_socket, lines, on_refused=lambda refused: told.append(refused.line))

    assert done.lines == 5
    assert [(refused.line, refused.code) for refused in done.refused] == [(2, "invalid"), (5, "invalid")]
    assert [(duplicate.line, duplicate.same) for duplicate in done.duplicates] == [(4, True)]
    assert (done.refused_count, done.duplicate_count, told) == (2, 1, [2, 5])
    assert messages(daemon) == ["one", "two"]
    error = AppendRefused(done.refused)
    assert error.exit_code == 3
    assert error.reason.startswith("line 2 refused, invalid: ")
    assert error.reason.endswith("(and 1 more)")


def test_refusals_are_kept_up_to_a_limit(daemon: Daemon) -> None:
    """Of very many refusals the first are listed and all are counted."""
    count = KEPT_REPLIES_LIMIT + 500

    done = append(daemon.ingest_socket, [b"nonsense"] * count)

    assert len(done.refused) == KEPT_REPLIES_LIMIT
    assert done.refused_count == count


def test_conflict_exits_as_a_negative(daemon: Daemon) -> None:
    """A line that expects another state of its execution is a conflict, and that is an expected negative."""
    done = append(
        daemon.ingest_socket, [event("execution.started", "e"), event("execution.started", "e", expect_seq=0)]
    )

    assert [refused.code for refused in done.refused] == ["conflict"]
    assert AppendRefused(done.refused).exit_code == 1


def test_line_with_a_newline_is_an_error(daemon: Daemon) -> None:
    """Two events in one line are an error of the caller."""
    with pytest.raises(ValueError, match="one event is one line"):
        append(daemon.ingest_socket, [b"{}\n{}"])


def test_nobody_listens(home: Path) -> None:
    """Without a daemon, the error says where it was looked for and what to do."""
    with pytest.raises(DaemonAway) as caught:
        append(home / "ingest.sock", [b"{}"])

    assert str(home) in caught.value.reason
    assert caught.value.hint is not None
    assert caught.value.exit_code == 2


@pytest.fixture
def fake(home: Path) -> Iterator[FakeDaemon]:
    """Give a daemon that does what the test says."""
    fake = FakeDaemon(home)
    yield fake
    fake.listener.close()


def test_broken_connection_says_what_is_known(fake: FakeDaemon, home: Path) -> None:
    """A connection that ends before everything was acked is an error that says how far it came."""
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(append, home / "ingest.sock", [b"{}"] * 5)
        with fake.accept() as producer:
            producer.said(6)
            producer.say(ack={"lines": 3, "seq": 3})
        with pytest.raises(DaemonAway, match="3 of 5 lines"):
            running.result(20)


def test_dismissal_says_why(fake: FakeDaemon, home: Path) -> None:
    """When the daemon ends the connection and says why, the error says so too."""
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(append, home / "ingest.sock", [b"{}"], "mine")
        with fake.accept() as producer:
            producer.said()
            producer.say(error={"code": "not_owner", "reason": "belongs to another user", "hint": "choose"})
        with pytest.raises(AppendFailed) as caught:
            running.result(20)

    assert (caught.value.code, caught.value.acked, caught.value.hint) == ("not_owner", 0, "choose")


def test_silent_daemon_is_given_up(fake: FakeDaemon, home: Path) -> None:
    """A daemon that neither reads nor answers is given up after the timeout."""
    with pytest.raises(DaemonAway, match="does not answer"):
        append(home / "ingest.sock", [b"{}"], timeout_s=0.05)


def test_busy_daemon_is_waited_for(fake: FakeDaemon, home: Path) -> None:
    """A daemon that says it is busy is waited for beyond the timeout, and the caller is told."""
    told: list[str] = []
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(
            append, home / "ingest.sock", [b"{}"], timeout_s=0.2, on_busy=lambda busy: told.append(busy.code)
        )
        with fake.accept() as producer:
            producer.said(2)
            producer.say(busy={"code": "storage_full"})
            with pytest.raises(TimeoutError):
                running.result(0.5)
            producer.say(ack={"lines": 1, "seq": 9})
        done = running.result(20)

    assert (done.seq, told) == (9, ["storage_full"])


def test_empty_line_sends_what_was_taken(fake: FakeDaemon, home: Path) -> None:
    """A source that has nothing more for now says so with an empty line, and what it gave goes out."""
    with ThreadPoolExecutor(1) as pool:
        arrived: list[object] = []

        def source() -> Iterator[bytes]:
            yield b'{"n":1}'
            yield b""
            with fake.accept() as producer:
                arrived.extend(producer.said())
                yield b'{"n":2}'
                yield b""
                arrived.extend(producer.said())

        running = pool.submit(append, home / "ingest.sock", source())
        with pytest.raises(DaemonAway):
            running.result(20)

    assert arrived == [{"n": 1}, {"n": 2}]
