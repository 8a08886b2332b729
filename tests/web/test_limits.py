"""A bound on everything: connections, headers, bodies, streams, and readers that do not read."""

import socket
import struct
from contextlib import ExitStack

import pytest

from flightlog.web.limits import (
    CLIENT_CONNECTION_LIMIT,
    CLIENT_STREAM_LIMIT,
    HEADER_LIMIT_BYTES,
    WRITE_LIMIT_S,
)
from support.daemon import Daemon
from support.lines import log
from support.peers import QueryPeer
from support.searching import tell
from support.web import Web

FOLLOW = b"GET /api/stream?after=0 HTTP/1.1\r\nhost: localhost\r\n\r\n"


def followers(daemon: Daemon) -> int:
    """Return how many readers follow the daemon's log."""
    with QueryPeer(daemon.query_socket) as peer:
        return int(peer.ask("status").one("status")["followers"])


@pytest.mark.covers("P17")
@pytest.mark.slow
def test_a_peer_that_never_finishes_its_request(web: Web) -> None:
    """A connection on which no whole request comes is closed, however slowly it trickles."""
    with web.socket() as idle, web.socket() as trickling:
        trickling.sendall(b"GET / HTTP/1.1\r\nhost: localhost\r\nx: ")
        assert idle.recv(1000) == b""
        assert trickling.recv(1000) == b""
    assert web.get("/health/live").status_code == 200


@pytest.mark.covers("P17")
@pytest.mark.slow
def test_a_body_that_never_ends(web: Web) -> None:
    """A body that does not come is not waited for."""
    with web.socket() as peer:
        peer.sendall(
            b"POST /api/projects/x/execution-plan/build HTTP/1.1\r\nhost: localhost\r\norigin: http://localhost\r\n"
        )
        peer.sendall(b"content-length: 100\r\n\r\nab")
        assert peer.recv(1000).startswith(b"HTTP/1.1 408 ")


@pytest.mark.covers("P17")
def test_headers_that_are_too_large(web: Web) -> None:
    """Headers over the limit get a bare 431, what is no request a bare 400, and the server goes on."""
    for status, request in (
        (431, b"GET / HTTP/1.1\r\nhost: localhost\r\nx: " + b"y" * (2 * HEADER_LIMIT_BYTES)),
        (400, b"GET / HTTP/1.1\r\nhost: localhost\r\nhost: localhost\r\n\r\n"),
    ):
        with web.socket() as peer:
            peer.sendall(request)
            assert peer.recv(1000).startswith(b"HTTP/1.1 %d \r\ncontent-length: 0\r\n" % status)
    assert web.get("/health/live").status_code == 200


@pytest.mark.covers("P17")
@pytest.mark.parametrize(
    "garbage",
    [
        b"\x16\x03\x01\x02\x00\x01\x00",
        b"\r\n\r\n\r\n",
        b"GET /\xff\xfe HTTP/1.1\r\nhost: localhost\r\n\r\n",
        b"GET /%ff%00 HTTP/1.1\r\nhost: localhost\r\n\r\n",
        b"GET http://evil.example/ HTTP/1.1\r\nhost: localhost\r\n\r\n",
        b"OPTIONS * HTTP/1.1\r\nhost: localhost\r\n\r\n",
        b"GET / HTTP/1.1\r\nhost: localhost\r\ncontent-length: -1\r\n\r\n",
        b"GET / HTTP/1.1\r\nhost: localhost\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00",
        b"GET /api/ws HTTP/1.1\r\nhost: localhost\r\nupgrade: websocket\r\nconnection: upgrade\r\n\r\n",
    ],
)
def test_garbage(shared_web: Web, garbage: bytes) -> None:
    """What is no request ends its own connection and nothing else."""
    with shared_web.socket() as peer:
        peer.sendall(garbage)
        peer.shutdown(socket.SHUT_WR)
        while peer.recv(65536):
            pass
    assert shared_web.get("/health/live").status_code == 200


@pytest.mark.covers("P17")
def test_connections_of_one_client(web: Web) -> None:
    """A client with all the connections that it may have is told so on one more; others go on."""
    with ExitStack() as stack:
        peers = [stack.enter_context(web.socket()) for _ in range(CLIENT_CONNECTION_LIMIT)]
        for peer in peers:
            peer.sendall(FOLLOW[: len(FOLLOW) // 2])
        one_more = stack.enter_context(web.socket())
        one_more.sendall(b"GET / HTTP/1.1\r\nhost: localhost\r\n\r\n")
        answer = one_more.recv(65536)
        assert answer.startswith(b"HTTP/1.1 503 ")
        assert b"too_many_connections" in answer
    while web.get("/health/live").status_code == 503:
        pass
    assert web.end() == (0, "")


@pytest.mark.covers("P17")
def test_streams_of_one_client(web: Web, daemon: Daemon) -> None:
    """A client with all the streams that it may have is told so on one more; a closed one makes room."""
    with ExitStack() as stack:
        streams = [stack.enter_context(web.stream()) for _ in range(CLIENT_STREAM_LIMIT - 1)]
        for stream in streams:
            stream.until("head")
        with web.stream() as last:
            last.until("head")
            refused = web.get("/api/stream")
            assert (refused.status_code, refused.json()["error"]["code"]) == (429, "too_many_streams")
            assert "retry-after" in refused.headers
        tell(daemon, log("run", "hello"))
        while web.get("/metrics").text.count(f"flightlog_web_streams {CLIENT_STREAM_LIMIT}\n"):
            pass
        with web.stream() as another:
            another.until("head")


@pytest.mark.covers("P17")
def test_two_readers_that_do_not_read_delay_nobody(web: Web, daemon: Daemon) -> None:
    """Readers that stop reading in the middle of much to read slow down neither a third nor questions."""
    with ExitStack() as stack:
        for _ in range(2):
            stuck = stack.enter_context(socket.socket())
            stuck.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            stuck.connect(("127.0.0.1", web.port))
            stuck.sendall(FOLLOW)
            assert stuck.recv(15) == b"HTTP/1.1 200 \r\n"
        third = stack.enter_context(web.stream(after=0))
        third.until("head")
        for _ in range(6):
            tell(daemon, *(log("run", "x" * 9000) for _ in range(200)))
        seqs = third.seqs(1200)
        assert seqs == list(range(seqs[0], seqs[0] + 1200))
        assert web.json("/api/executions")["executions"][0]["log_count"] == 1200


@pytest.mark.covers("P17")
@pytest.mark.slow
def test_a_reader_that_does_not_read_is_let_go(web: Web, daemon: Daemon) -> None:
    """A reader that takes nothing for too long is closed, and what it followed with it."""
    assert WRITE_LIMIT_S < 30
    before = followers(daemon)
    for _ in range(6):
        tell(daemon, *(log("run", "x" * 9000) for _ in range(200)))
    with socket.socket() as stuck:
        stuck.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        stuck.connect(("127.0.0.1", web.port))
        stuck.sendall(FOLLOW)
        assert stuck.recv(15) == b"HTTP/1.1 200 \r\n"
        while "flightlog_web_streams 1\n" in web.get("/metrics").text:
            pass
    assert followers(daemon) <= before + 1
    assert web.end() == (0, "")


@pytest.mark.covers("P17")
def test_a_client_that_goes_away_ends_its_stream(web: Web, daemon: Daemon) -> None:
    """A client that closes or breaks its connection is followed by nobody."""
    for linger in (False, True):
        with web.socket() as peer:
            peer.sendall(FOLLOW)
            assert peer.recv(15) == b"HTTP/1.1 200 \r\n"
            if linger:
                peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        while followers(daemon) or "flightlog_web_streams 1\n" in web.get("/metrics").text:
            pass
    assert web.end() == (0, "")


@pytest.mark.covers("P17")
def test_a_client_that_asks_ahead_and_goes_away(web: Web, daemon: Daemon) -> None:
    """A client that sent many requests at once and left without reading leaves no connection behind."""
    tell(daemon, *(log("run", "x" * 9000) for _ in range(300)))
    with web.socket() as peer:
        peer.sendall(b"GET /api/executions/run/logs HTTP/1.1\r\nhost: localhost\r\n\r\n" * 20)
        assert peer.recv(15) == b"HTTP/1.1 200 \r\n"
    while "flightlog_web_connections 1\n" not in web.get("/metrics").text:
        pass
    assert web.end() == (0, "")


@pytest.mark.covers("P17")
def test_it_ends_though_readers_do_not_read(web: Web, daemon: Daemon) -> None:
    """A server that is to end does so soon, with 0, whatever its readers do."""
    tell(daemon, *(log("run", "x" * 9000) for _ in range(500)))
    with web.socket() as stuck, web.socket() as idle, web.stream(after=0) as stream:
        stuck.sendall(FOLLOW)
        assert stuck.recv(15) == b"HTTP/1.1 200 \r\n"
        assert stream.seqs(1)
        assert web.end() == (0, "")
        assert idle.recv(10) == b""
