"""The spool's file: written in any portions, torn at any byte, damaged, delivered by several at once."""

import os
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flightlog.courier import Courier, Undelivered, deliver, left_behind, spool_paths
from flightlog.errors import DaemonAway
from flightlog.spool import Spool
from flightlog.spool_file import SpoolFile
from support.daemon import Daemon
from support.fake_daemon import FakeDaemon
from support.programs import events, records
from support.spools import deliver_all, only_spool

FIRST_LINE = 7
MIB = 2**20


def line(number: int, size: int = 0) -> bytes:
    """Return an event's line, with its number in it."""
    return b'{"type":"test.line","n":%d,"fill":"%s"}' % (number, b"x" * size)


def make_spool(directory: Path, runtime_dir: Path | None, lines: list[bytes], first_line: int = 1) -> Path:
    """Write the spool of a program that is gone, and return the file."""
    spool = Spool(directory, f"producer-{len(spool_paths(directory))}", _text(runtime_dir), MIB, MIB)
    spool.append(first_line, lines)
    spool.close()
    return spool_paths(directory)[-1]


def _text(path: Path | None) -> str | None:
    return None if path is None else str(path)


def read_all(spool: SpoolFile, limit_bytes: int) -> list[bytes]:
    """Return all lines of a spool, read in blocks of this size."""
    lines: list[bytes] = []
    while len(lines) < spool.lines:
        lines += spool.read(spool.header.line + len(lines), limit_bytes)
    return lines


@settings(deadline=None, max_examples=60)
@given(
    portions=st.lists(st.lists(st.integers(0, 300), min_size=1, max_size=5), min_size=1, max_size=5),
    limit_bytes=st.integers(1, 600),
    ended=st.booleans(),
    jump=st.integers(0, 24),
)
def test_what_is_written_is_read(portions: list[list[int]], limit_bytes: int, ended: bool, jump: int) -> None:
    """Lines come back as they were written, from any number on, in blocks of any size."""
    with tempfile.TemporaryDirectory() as directory:
        spool = Spool(Path(directory), "p", None, MIB, MIB)
        written: list[bytes] = []
        for sizes in portions:
            lines = [line(len(written) + index, size) for index, size in enumerate(sizes)]
            spool.append(FIRST_LINE + len(written), lines)
            written += lines
        at = min(jump, len(written) - 1)
        back = spool.read(FIRST_LINE + at, limit_bytes)
        assert back == written[at : at + len(back)] != []
        if ended:
            spool.end(FIRST_LINE + len(written) - 1)
        spool.close()

        with only_spool(Path(directory)) as found:
            assert read_all(found, limit_bytes) == written
            assert (found.ended, found.torn, found.lines) == (ended, False, len(written))
            assert found.last_line == FIRST_LINE + len(written) - 1


@settings(deadline=None, max_examples=80)
@given(count=st.integers(1, 6), kept=st.floats(0, 1), ended=st.booleans())
def test_torn_at_any_byte(count: int, kept: float, ended: bool) -> None:
    """A file that ends anywhere has its whole lines, and says that one more was begun."""
    with tempfile.TemporaryDirectory() as directory:
        lines = [line(number, 20) for number in range(count)]
        spool = Spool(Path(directory), "p", None, MIB, MIB)
        spool.append(FIRST_LINE, lines)
        if ended:
            spool.end(FIRST_LINE + count - 1)
        spool.close()
        (path,) = spool_paths(Path(directory))
        content = path.read_bytes()
        start = content.index(b"\n") + 1
        cut = start + int((len(content) - start) * kept)
        os.truncate(path, cut)

        with SpoolFile(path) as found:
            rest = content[start:cut]
            whole = [text for text in rest.split(b"\n")[:-1] if not text.startswith(b'{"bye"')]
            torn = not rest.endswith(b"\n") and rest != b""
            assert (found.torn, found.lines) == (torn, len(whole) + torn)
            read = read_all(found, 50)
            assert read[: len(whole)] == whole
            if torn:
                declared = msgspec.json.decode(read[-1])
                assert (declared["type"], declared["reason"], declared["count"]) == (
                    "producer.dropped",
                    "torn",
                    1,
                )


@pytest.mark.covers("P5", "D5")
def test_damaged_lines_are_declared_in_their_place(daemon: Daemon, home: Path) -> None:
    """Lines that a disk made up are declared where they stood, and those around them keep their numbers."""
    lines = [line(1), b"\0" * 40, line(3), b"", b'{"bye":{"lines":3}}', line(6), line(7)[:-5]]
    path = make_spool(home / "spool", daemon.runtime_dir, lines)
    os.truncate(path, path.stat().st_size - 1)

    assert deliver_all(home / "spool", daemon.runtime_dir) == 1

    found = [(record["line"], record["event"]) for record in records(daemon)]
    assert [number for number, _ in found] == [1, 2, 3, 4, 5, 6, 7]
    assert [event.get("n") or event["reason"] for _, event in found] == [
        1,
        "damaged",
        3,
        "damaged",
        "damaged",
        6,
        "torn",
    ]


@pytest.mark.covers("P5", "D4")
def test_courier_that_dies_is_followed_by_another(daemon: Daemon, home: Path) -> None:
    """A delivery that breaks off at any point is taken up by the next one; each line is stored once."""
    lines = [line(number, 500) for number in range(3000)]
    make_spool(home / "spool", daemon.runtime_dir, lines)
    for rounds in (1, 3, 6, 10):
        (spool,) = left_behind(home / "spool", str(daemon.runtime_dir))
        delivery = deliver(spool, daemon.runtime_dir)
        for _ in range(rounds):
            assert not next(delivery).done
        delivery.close()

    assert deliver_all(home / "spool", daemon.runtime_dir) == 1

    assert [event["n"] for event in events(daemon, limit=10_000)] == list(range(3000))


@pytest.mark.covers("P5", "D4")
def test_one_delivers_at_a_time(daemon: Daemon, home: Path) -> None:
    """Several that deliver at once share the work, and no line is stored twice."""
    for first in range(8):
        make_spool(home / "spool", daemon.runtime_dir, [line(first * 1000 + index) for index in range(1000)])

    with ThreadPoolExecutor(4) as pool:
        counts = list(pool.map(lambda _: deliver_all(home / "spool", daemon.runtime_dir), range(4)))

    assert sum(counts) == 8
    assert spool_paths(home / "spool") == []
    assert sorted(event["n"] for event in events(daemon, limit=10_000)) == list(range(8000))


def test_spools_for_another_daemon_are_left_alone(daemon: Daemon, home: Path) -> None:
    """A program delivers only what was meant for its own daemon."""
    make_spool(home / "spool", home / "elsewhere", [line(1)])

    assert deliver_all(home / "spool", daemon.runtime_dir) == 0
    assert len(spool_paths(home / "spool")) == 1


def test_delivery_without_a_daemon_leaves_the_file(home: Path) -> None:
    """Where nobody listens, a delivery says so and lets go of the file."""
    make_spool(home / "spool", home, [line(1)])

    with pytest.raises(DaemonAway, match="no daemon listens"):
        deliver_all(home / "spool", home)

    with only_spool(home / "spool") as spool:
        assert spool.owned


def test_daemon_that_refuses_a_producer_leaves_the_file(home: Path) -> None:
    """A daemon that will not have a producer ends the delivery with its reason; the file stays."""
    make_spool(home / "spool", home, [line(1)])
    fake = FakeDaemon(home)
    (spool,) = left_behind(home / "spool", str(home))
    courier = Courier(spool, home)
    with fake.accept() as peer:
        courier.serve(courier.events)
        assert peer.said()[0]["hello"]["line"] == 1
        peer.say(error={"code": "not_owner", "reason": "it belongs to another user"})
        with pytest.raises(Undelivered, match="it belongs to another user"):
            courier.serve(courier.events)
    fake.listener.close()

    assert len(spool_paths(home / "spool")) == 1
