"""Bad input gets a coded answer and hurts nobody else: the good lines around it are stored."""

import contextlib
import os

import pytest

from support.daemon import Daemon, DaemonFactory
from support.lines import block, event, log
from support.peers import IngestPeer, Json, QueryPeer

DEEP = 10_000


def messages(daemon: Daemon, **filters: object) -> list[str]:
    """Return the messages of stored log lines, in order."""
    with QueryPeer(daemon.query_socket) as reader:
        rows = reader.ask("tail", after=0, follow=False, type=["log"], **filters).lines
    return [row["event"]["message"] for row in rows]


def refusals(replies: list[Json]) -> list[tuple[int, str]]:
    """Return line and code of each refusal."""
    return [(reply["refused"]["line"], reply["refused"]["code"]) for reply in replies if "refused" in reply]


BAD_LINES = {
    "invalid JSON": (b'{"type":"log","execution_id":"e","message":', "invalid"),
    "no object": (b"17", "invalid"),
    "wrong type of a field": (event("log", "e", message=7), "invalid"),
    "missing field": (event("log", "e"), "invalid"),
    "invalid UTF-8": (b'{"type":"log","execution_id":"e","message":"\xff\xfe"}', "invalid"),
    "invalid UTF-8 in a field nobody reads": (
        b'{"type":"log","execution_id":"e","message":"m","x":{"y":"\xc3"}}',
        "invalid",
    ),
    "NUL": (b'{"type":"log","execution_id":"e","message":"a\x00b"}', "invalid"),
    "NUL alone": (b"\x00", "invalid"),
    "escaped NUL in an id": (b'{"type":"log","execution_id":"e\\u0000","message":"m"}', "invalid"),
    "nested lists": (b'{"type":"my.own","x":' + b"[" * DEEP + b"]" * DEEP + b"}", "too_deep"),
    "nested objects": (b'{"type":"my.own","x":' + b'{"a":' * DEEP + b"1" + b"}" * DEEP + b"}", "too_deep"),
    "nested and cut off": (b'{"type":"my.own","x":' + b"[" * 10 * DEEP, "too_deep"),
    "number past 64 bits": (b'{"type":"my.own","x":9223372036854775808}', "invalid"),
    "number past a float": (b'{"type":"my.own","x":1e999}', "invalid"),
    "number of a million digits": (b'{"type":"my.own","x":' + b"9" * 1_000_000 + b"}", "invalid"),
    "key twice": (b'{"type":"my.own","x":1,"x":2}', "invalid"),
    "unknown reserved type": (event("execution.exploded", "e"), "unknown_type"),
    "what only the daemon says": (event("daemon.stopped", reason="me"), "reserved"),
    "version of tomorrow": (log("e", "m", v=2), "unsupported_version"),
    "garbage": (bytes(set(range(256)) - {10}) * 20, "invalid"),
    "12 MB": (log("e", "x" * 12_000_000), "too_long"),
    "12 MB of garbage": (b"\xff" * 12_000_000, "too_long"),
}


@pytest.mark.parametrize("what", BAD_LINES)
def test_a_bad_line_is_refused_and_its_neighbours_are_stored(shared_daemon: Daemon, what: str) -> None:
    """One bad line of a batch is refused with its code; the lines before and after it are stored."""
    bad, code = BAD_LINES[what]
    name = what.replace(" ", "-")
    with IngestPeer(shared_daemon.ingest_socket) as peer:
        replies = peer.settle(log(name, "before"), bad, log(name, "after"), bad, log(name, "at last"))

    assert replies[-1]["ack"]["lines"] == 5
    assert messages(shared_daemon, execution_id=name) == ["before", "after", "at last"]
    assert refusals(replies) == [(2, code), (4, code)]
    assert all(len(reply["refused"]["reason"]) < 500 for reply in replies if "refused" in reply)


def test_all_bad_lines_in_one_batch(daemon: Daemon) -> None:
    """Bad lines of every kind with good ones between them: all good ones are stored, in order."""
    small = [bad for bad, _ in BAD_LINES.values() if len(bad) < 100_000]
    lines = [line for number, bad in enumerate(small) for line in (log("e", f"good {number}"), bad)]
    with IngestPeer(daemon.ingest_socket) as peer:
        replies = peer.settle(*lines)

    assert [line for line, _ in refusals(replies)] == list(range(2, len(lines) + 1, 2))
    with QueryPeer(daemon.query_socket) as reader:
        assert reader.ask("status").one("status")["refused"] == len(small)
    assert messages(daemon) == [f"good {number}" for number in range(len(small))]


def test_strange_but_good_lines_are_stored_as_they_came(daemon: Daemon) -> None:
    """Escapes, an escaped NUL in a text, spaces, floats and unknown fields are stored byte for byte."""
    odd = b' { "type" : "log","execution_id":"e","message":"a\\u0000b \\u00fc \\/","n":[-0.0, 1e3],"m":{} }'
    with IngestPeer(daemon.ingest_socket) as peer:
        replies = peer.settle(odd, b'{"type":"my.own","x":"\\ud83d\\ude00"}')
    with QueryPeer(daemon.query_socket) as reader:
        reader.start("tail", after=1, follow=False)
        lines = [reader.next_line() for _ in range(3)]
        shown = reader.ask("logs", execution_id="e").all("log")

    assert refusals(replies) == []
    assert lines[0] is not None
    assert odd.strip() in lines[0]
    assert lines[1] is not None
    assert b'{"type":"my.own","x":"\\ud83d\\ude00"}' in lines[1]
    assert shown[-1]["message"] == "a\x00b ü /"


@pytest.mark.parametrize(
    ("last", "code"), [(b'{"type":"log","execution_id":"e","mess', "truncated"), (b"\xff\xff", "truncated")]
)
def test_half_a_line_and_then_the_end(daemon: Daemon, last: bytes, code: str) -> None:
    """An unterminated last line that does not decode is refused as truncated."""
    with IngestPeer(daemon.ingest_socket) as peer:
        peer.send(block(log("e", "whole")) + last)
        peer.half_close()
        replies = peer.rest()

    assert refusals(replies) == [(2, code)]
    assert replies[-1]["ack"]["lines"] == 2
    assert messages(daemon) == ["whole"]


def test_an_unterminated_last_line_counts_if_it_decodes(daemon: Daemon) -> None:
    """A last line without its newline that is an event is stored."""
    with IngestPeer(daemon.ingest_socket) as peer:
        peer.send(block(log("e", "first")) + log("e", "last"))
        peer.half_close()
        replies = peer.rest()

    assert replies[-1]["ack"]["lines"] == 2
    assert messages(daemon) == ["first", "last"]


def test_half_a_line_and_then_silence(daemon_factory: DaemonFactory) -> None:
    """Half a line that does not go on in time is refused, with `line_timeout`; what was whole is kept."""
    daemon = daemon_factory(line_timeout_ms=100)
    with IngestPeer(daemon.ingest_socket) as peer, IngestPeer(daemon.ingest_socket) as idle:
        idle.send_lines(log("e", "from one who may be silent"))
        idle.until_ack(1)
        peer.send(block(log("e", "whole")) + b'{"type":"log"')
        replies = peer.rest()
        idle.send_lines(log("e", "still there"))
        idle.until_ack(2)

    assert replies[-1]["error"]["code"] == "line_timeout"
    assert [reply["refused"]["code"] for reply in replies if "refused" in reply] == ["truncated"]
    assert [reply["ack"]["lines"] for reply in replies if "ack" in reply] == [1, 2]
    assert sorted(messages(daemon)) == ["from one who may be silent", "still there", "whole"]


def test_half_a_line_of_one_who_can_resume_is_not_settled(daemon: Daemon) -> None:
    """The half line of a named producer is neither stored nor refused: resumed, it is stored whole."""
    whole, cut = log("e", "whole"), log("e", "cut")
    with IngestPeer(daemon.ingest_socket) as peer:
        peer.hello("p")
        peer.send(block(whole) + cut[: len(cut) // 2])
        peer.half_close()
        first = peer.rest()
    with IngestPeer(daemon.ingest_socket) as peer:
        ready = peer.hello("p", line=2)["ready"]
        peer.send_lines(cut)
        peer.until_ack(2)

    assert [reply["ack"]["lines"] for reply in first] == [1]
    assert ready["acked"] == 1
    assert messages(daemon) == ["whole", "cut"]


def test_unfinished_lines_are_bounded_over_all_connections(daemon_factory: DaemonFactory) -> None:
    """Many half lines cannot fill the memory: past the limit a peer is told `overloaded`, others go on."""
    daemon = daemon_factory(unfinished_limit_bytes=1_000_000)
    half = b'{"type":"log","execution_id":"e","message":"' + b"x" * 400_000
    peers = [IngestPeer(daemon.ingest_socket) for _ in range(4)]
    try:
        for peer in peers:
            with contextlib.suppress(BrokenPipeError):  # closed while it still sends
                peer.send(half)
        answers = []
        for peer in peers:
            with contextlib.suppress(OSError):
                peer.half_close()
            answers.append(peer.rest())
        with IngestPeer(daemon.ingest_socket) as good:
            assert good.settle(log("e", "good"))[-1]["ack"]["lines"] == 1
    finally:
        for peer in peers:
            peer.close()

    codes = [reply["error"]["code"] for replies in answers for reply in replies if "error" in reply]
    assert codes
    assert set(codes) == {"overloaded"}
    assert messages(daemon) == ["good"]


def test_random_bytes_do_no_harm(daemon: Daemon) -> None:
    """Megabytes of random bytes on ingest and query sockets leave the daemon as it was."""
    noise = os.urandom(2_000_000)
    with IngestPeer(daemon.ingest_socket) as peer:
        peer.send(noise[:200_000] + b"\n")
        peer.half_close()
        replies = peer.rest()
    with QueryPeer(daemon.query_socket) as reader:
        reader.send(noise[:50_000].replace(b"\n", b"") + b"\n")
        assert reader.answers().error is not None
    with IngestPeer(daemon.ingest_socket) as peer:
        peer.settle(log("e", "good"))

    assert all(code in ("invalid", "too_deep", "too_long") for _, code in refusals(replies))
    assert messages(daemon) == ["good"]


QUESTIONS = [
    b"nonsense",
    b"{}",
    b"[]",
    b'{"tail":7}',
    b'{"nonsense":{}}',
    b'{"tail":{},"logs":{}}',
    b'{"logs":{}}',
    b'{"logs":{"execution_id":""}}',
    b'{"executions":{"limit":1001}}',
    b'{"executions":{"status":["happy"]}}',
    b'{"tail":{"after":-1}}',
    b'{"tail":{"unknown":1}}',
    b'{"inspect":{"execution_id":"\xff"}}',
    b"[" * 10_000,
    b'{"executions":{"before":"nonsense"}}',
]


def test_a_question_that_is_none(daemon: Daemon) -> None:
    """A question that is none is answered with `invalid`, and the connection stays usable."""
    with QueryPeer(daemon.query_socket) as reader:
        for question in QUESTIONS:
            reader.send(question + b"\n")
            error = reader.answers().error

            assert error is not None, question
            assert (error["code"], bool(error["reason"])) == ("invalid", True), question
        assert reader.ask("status").error is None


def test_a_question_too_long(daemon: Daemon) -> None:
    """A question over the limit for a line is answered with `line_too_long`."""
    with QueryPeer(daemon.query_socket) as reader:
        reader.send(b'{"logs":{"execution_id":"' + b"x" * 12_000_000 + b'"}}\n')
        error = reader.answers().error

    assert error is not None
    assert error["code"] == "line_too_long"


def test_a_thousand_connections(daemon: Daemon) -> None:
    """A thousand producers at once, most of them idle, are all served and all given back."""
    peers = [IngestPeer(daemon.ingest_socket) for _ in range(1_000)]
    try:
        for number, peer in enumerate(peers):
            peer.send_lines(log(f"run-{number % 10}", f"line {number}"))
        for peer in peers:
            peer.until_ack(1)
        with QueryPeer(daemon.query_socket) as reader:
            assert reader.ask("status").one("status")["connections"]["ingest"] == 1_000
    finally:
        for peer in peers:
            peer.close()

    assert sorted(messages(daemon)) == sorted(f"line {number}" for number in range(1_000))


@pytest.mark.parametrize("kind", ["ingest", "query"])
def test_connections_are_limited(daemon_factory: DaemonFactory, kind: str) -> None:
    """One connection more than allowed is told so and closed; when one goes, the next is served."""
    daemon = daemon_factory(connection_limit=3)
    path = daemon.ingest_socket if kind == "ingest" else daemon.query_socket
    peers = [IngestPeer(path) for _ in range(3)]
    try:
        for peer in peers:
            peer.send(b"{}\n")
            assert peer.next() is not None
        with IngestPeer(path) as late:
            refusal = late.next()
        assert refusal is not None
        assert refusal["error"]["code"] == "too_many_connections"
    finally:
        for peer in peers:
            peer.half_close()
            peer.rest()
            peer.close()
    with IngestPeer(path) as next_one:
        next_one.send(b"{}\n")
        assert "too_many" not in str(next_one.next())
