"""What comes ahead of commits is done whatever the writer is waiting for."""

import pytest

from support.daemon import Daemon
from support.lines import log
from support.peers import IngestPeer

ROUNDS = 300


@pytest.mark.covers("D9")
def test_a_hello_waits_for_no_later_line(daemon: Daemon) -> None:
    """A hello that comes while a commit waits a moment for more lines is answered with that commit."""
    with IngestPeer(daemon.ingest_socket) as one, IngestPeer(daemon.ingest_socket) as other:
        for number in range(1, ROUNDS + 1):
            # Two that write together: a commit of one then waits for the other.
            for peer in (one, other):
                peer.send_lines(log("e", "together"))
            for peer in (one, other):
                peer.until_ack(2 * number - 1)
            with IngestPeer(daemon.ingest_socket) as late:
                one.send_lines(log("e", "alone"))
                assert late.hello(f"late-{number}")["ready"]["acked"] == 0
                one.until_ack(2 * number)
            other.send_lines(log("e", "level"))
            other.until_ack(2 * number)
