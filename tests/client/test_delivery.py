"""When lines are sent, and that each arrives once whatever happens to the connection."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from flightlog import Client
from support.clients import ClientFactory
from support.daemon import Daemon
from support.fake_daemon import FakeDaemon
from support.programs import messages, records

FAR_S = 3600.0
"""An interval that no test lives to see."""


@pytest.fixture
def fake(home: Path) -> Iterator[FakeDaemon]:
    """Give a daemon that does what the test says."""
    fake = FakeDaemon(home)
    yield fake
    fake.listener.close()


@pytest.mark.covers("S1.2")
def test_hundred_lines_are_sent_at_once(fake: FakeDaemon, home: Path, client_factory: ClientFactory) -> None:
    """A hundred waiting lines go out without waiting for the interval."""
    client = client_factory(home, flush_interval_s=FAR_S)
    for number in range(100):
        client.emit({"type": "test.line", "n": number})

    with fake.accept() as producer:
        hello = producer.ready(0)
        assert (hello["protocol"], hello["line"]) == (1, 1)
        assert [line["n"] for line in producer.said(100)] == list(range(100))


@pytest.mark.covers("S1.2")
def test_single_line_is_sent_within_the_interval(
    fake: FakeDaemon, home: Path, client_factory: ClientFactory
) -> None:
    """One line goes out after the interval, without anybody asking."""
    client = client_factory(home, flush_interval_s=0.05)
    client.emit({"type": "test.line"})

    with fake.accept() as producer:
        producer.ready(0)
        assert producer.said()[0]["type"] == "test.line"


@pytest.mark.covers("S1.2")
@pytest.mark.parametrize("interval_s", [0.0, 0.02])
def test_each_line_is_sent_within_the_interval(
    fake: FakeDaemon, home: Path, client_factory: ClientFactory, interval_s: float
) -> None:
    """Lines that come one by one go out by themselves, whether or not the sending thread looks anyway."""
    client = client_factory(home, flush_interval_s=interval_s)
    client.emit({"type": "test.line", "n": 0})

    with fake.accept() as producer:
        producer.ready(0)
        assert producer.said()[0]["n"] == 0
        for number in range(1, 20):
            client.emit({"type": "test.line", "n": number})
            if number % 2:
                producer.say(ack={"lines": number, "seq": number})
            assert producer.said()[0]["n"] == number


@pytest.mark.covers("S1.2")
def test_start_and_end_are_sent_at_once(fake: FakeDaemon, home: Path, client_factory: ClientFactory) -> None:
    """What tells how an execution fares goes out at once, with all that was said before it."""
    client = client_factory(home, flush_interval_s=FAR_S)
    run = client.execution("x").start()

    with fake.accept() as producer:
        producer.ready(0)
        assert producer.said()[0]["type"] == "execution.started"
        run.info("one")
        run.end()
        assert [line["type"] for line in producer.said(2)] == ["log", "execution.ended"]


@pytest.mark.covers("S1.2")
def test_close_says_bye(fake: FakeDaemon, home: Path, client_factory: ClientFactory) -> None:
    """Closing sends the rest and a goodbye with the number of lines, and ends when all is acked."""
    client = client_factory(home, flush_interval_s=FAR_S)
    client.emit({"type": "test.line"})
    client.emit({"type": "test.line"})
    with ThreadPoolExecutor(1) as pool:
        closing = pool.submit(client.close, 20)
        with fake.accept() as producer:
            producer.ready(0)
            assert producer.said(3)[2] == {"bye": {"lines": 2}}
            assert producer.next() is None
            producer.say(ack={"lines": 2, "seq": 2})

        assert closing.result(20)


def test_lost_link_resends_what_was_not_acked(
    fake: FakeDaemon, home: Path, client_factory: ClientFactory
) -> None:
    """After a lost connection the lines behind the last ack come again, under their numbers."""
    client = client_factory(home, flush_lines=1)
    for number in (1, 2, 3):
        client.emit({"type": "test.line", "n": number})
    with fake.accept() as producer:
        first = producer.ready(0)
        producer.said(3)
        producer.say(ack={"lines": 1, "seq": 1})

    with fake.accept() as producer:
        again = producer.ready(1)
        assert (again["producer"], again["line"]) == (first["producer"], 2)
        assert [line["n"] for line in producer.said(2)] == [2, 3]
        producer.say(ack={"lines": 3, "seq": 3})
        assert client.flush()


def test_ack_that_was_lost_comes_with_ready(
    fake: FakeDaemon, home: Path, client_factory: ClientFactory
) -> None:
    """Lines that were stored without their ack arriving are not sent again: the next hello is past them."""
    client = client_factory(home, flush_lines=1)
    for number in (1, 2, 3):
        client.emit({"type": "test.line", "n": number})
    with fake.accept() as producer:
        producer.ready(0)
        producer.said(3)
    with fake.accept() as producer:
        assert producer.ready(2)["line"] == 1
        assert producer.next() is None

    with fake.accept() as producer:
        assert producer.ready(2)["line"] == 3
        assert [line["n"] for line in producer.said()] == [3]
        producer.say(ack={"lines": 3, "seq": 3})
        assert client.flush()


@pytest.mark.covers("D9")
@pytest.mark.parametrize(
    "nonsense",
    [b"garbage\n", b'{"ack":{"lines":99,"seq":1}}\n', b'{"ready":{}}\n', b"\xff\xfe\n", b'{"ack":'],
)
def test_nonsense_from_the_daemon_hurts_nobody(
    fake: FakeDaemon, home: Path, client_factory: ClientFactory, nonsense: bytes
) -> None:
    """Replies that make no sense end the connection, and the lines come again on the next one."""
    client = client_factory(home, flush_lines=1)
    client.emit({"type": "test.line"})
    with fake.accept() as producer:
        producer.ready(0)
        producer.said()
        producer.send(nonsense)
        producer.half_close()

        with fake.accept() as again:
            assert again.ready(0)["line"] == 1
            again.said()
            again.say(ack={"lines": 1, "seq": 1})
            assert client.flush()


def test_busy_daemon_is_waited_for(
    fake: FakeDaemon, home: Path, client_factory: ClientFactory, capfd: pytest.CaptureFixture[str]
) -> None:
    """A daemon that is busy keeps the connection; what it says is told once, and its ack is waited for."""
    client = client_factory(home, flush_lines=1, spool=home / "spool")
    client.emit({"type": "test.line"})
    with fake.accept() as producer:
        producer.ready(0)
        producer.said()
        for _ in range(3):
            producer.say(busy={"code": "storage_full"})
        producer.say(ack={"lines": 1, "seq": 1})
        assert client.flush()

    assert capfd.readouterr().err == (
        "flightlog: the daemon waits (storage_full);"
        f" up to 64 MiB of events are kept in {home}/spool and delivered later\n"
    )


def test_dismissal_is_told(
    fake: FakeDaemon, home: Path, client_factory: ClientFactory, capfd: pytest.CaptureFixture[str]
) -> None:
    """Why the daemon closes a connection is told once, and the next connection goes on."""
    client = client_factory(home, flush_lines=1)
    client.emit({"type": "test.line"})
    for _ in range(2):
        with fake.accept() as producer:
            producer.said()
            producer.say(error={"code": "too_many_connections", "reason": "64 is the limit"})
    with fake.accept() as producer:
        producer.ready(0)
        producer.said()
        producer.say(ack={"lines": 1, "seq": 1})
        assert client.flush()

    assert capfd.readouterr().err == "flightlog: the daemon says: 64 is the limit\n"


def test_refused_events_are_told_once(
    daemon: Daemon, client: Client, capfd: pytest.CaptureFixture[str]
) -> None:
    """Events that the daemon refuses are counted and the first is told; their neighbours are stored."""
    for number in range(3):
        client.emit({"type": "test.line", "n": number})
        client.emit({"type": "execution.strange"})

    assert client.flush()
    assert [record["line"] for record in records(daemon)] == [1, 3, 5]
    assert client.statistics().refused == 3
    told = capfd.readouterr().err
    assert told.count("\n") == 1
    assert told.startswith("flightlog: an event was refused, unknown_type:")


@pytest.mark.covers("D1", "D4")
def test_daemon_killed_again_and_again_has_every_line_once(
    daemon: Daemon, client_factory: ClientFactory
) -> None:
    """A program that goes on emitting while its daemon is killed finds every line stored once, in order."""
    client = client_factory(daemon.runtime_dir, buffer_limit_bytes=64 * 2**20)
    expected = []
    with client.execution("long") as run:
        for kill in range(8):
            for number in range(3000):
                expected.append(f"{kill}.{number}")
                run.info(expected[-1])
            if kill % 2:
                # The next lines meet a daemon that is gone, or one in the middle of a batch.
                assert client.flush(20)
            daemon.kill()
            run.info("nobody there")
            expected.append("nobody there")
            daemon.start()

    assert client.flush(20)
    assert messages(daemon) == expected
    assert [record["line"] for record in records(daemon)] == list(range(1, len(expected) + 3))
    assert client.statistics().dropped == 0


def test_emitting_after_close_begins_a_new_producer(daemon: Daemon, client: Client) -> None:
    """What is emitted after close is delivered by a producer of its own."""
    client.emit({"type": "test.one"})
    assert client.close()
    client.emit({"type": "test.two"})
    assert client.flush()

    first, second = records(daemon)
    assert first["producer"] != second["producer"]
    assert (first["line"], second["line"]) == (1, 1)


def test_unused_client_connects_to_nobody(home: Path, client_factory: ClientFactory) -> None:
    """A client that says nothing needs no daemon, no thread and no time."""
    client = client_factory(home)

    assert client.flush(0)
    assert client.close(0)


@pytest.mark.parametrize(
    "settings",
    [
        {"buffer_limit_bytes": 100},
        {"flush_lines": 0},
        {"flush_interval_s": -1.0},
        {"exit_timeout_s": -1.0},
    ],
)
def test_limits_that_cannot_work_are_refused(settings: dict[str, Any]) -> None:
    """A limit that cannot work is an error where it is given."""
    with pytest.raises(ValueError, match="at least"):
        Client("/nowhere", **settings)
