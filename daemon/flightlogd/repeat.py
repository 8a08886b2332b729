"""Lines that were recorded elsewhere first, from somebody who is trusted to say by whom and where.

    hello with origin -> Repeated (a source of its own) -> lines -> Submission with its place -> ack

A hello comes before each run of lines that have another producer or do not follow each other there. Acks
count the lines of the connection, so that nobody has to wait for one before the next hello.
"""

import os
from collections.abc import Awaitable, Callable, Sequence

from msgspec import UNSET
from msgspec.structs import replace

from flightlog_schemas.events import Event
from flightlog_schemas.wire.ingest import Ack, Hello, is_hello
from flightlogd.batch import Place
from flightlogd.decode import Mixed, Plain, decode_lines
from flightlogd.elsewhere import GIVEN_PREFIX, mark_event, mark_facts, mark_here, producer_here
from flightlogd.errors import PeerError
from flightlogd.framing import Oversize
from flightlogd.greeting import decode_hello, reply_line
from flightlogd.hub import Hub
from flightlogd.peer import Peer
from flightlogd.recorded import ROOT_UID
from flightlogd.submission import Outcome, Submission


class Repeated:
    """A producer of another log, as the writer sees it.

    Attributes:
        producer: What it is called here.
        peer: Who it was there.
        line_offset: What its numbers are less than the connection's.

    Args:
        settled: Called with what became of a submission.
    """

    def __init__(
        self, producer: str, peer: Peer, line_offset: int, settled: "Callable[[Repeated, Outcome], None]"
    ) -> None:
        self.producer = producer
        self.peer = peer
        self.line_offset = line_offset
        self._settled = settled

    def settle(self, outcome: Outcome, /) -> None:
        """Take what became of a submission (called after its commit)."""
        self._settled(self, outcome)


class Repeater:
    """What one connection repeats.

    Args:
        peer: Who is connected.
        hub: What all connections share.
        submit: Hands a submission to the writer, once there is room.
        settled: Called after a commit with the size of what it settled, and the answer to it.

    Raises:
        PeerError: `not_owner`, where that peer may not speak for others.
    """

    def __init__(
        self,
        peer: Peer,
        hub: Hub,
        submit: Callable[[Submission], Awaitable[None]],
        settled: Callable[[int, bytes], None],
    ) -> None:
        if peer.uid not in (ROOT_UID, os.geteuid()):
            raise PeerError(
                "not_owner",
                "only root and the user that runs flightlogd may say what others said",
                "events of your own can be told again without their origin: flightlog backfill",
            )
        self._gid = peer.gid
        self._hub = hub
        self._submit = submit
        self._report = settled
        self._known = 0
        self._lines = 0
        self._now: tuple[Repeated, int, Place] | None = None
        """Who speaks, the number of the next line, and where it was."""

    def greet(self, hello: Hello) -> None:
        """Go on with the lines of another producer, or of another place.

        Raises:
            PeerError: `protocol`, where it names none.
        """
        origin = hello.origin
        if origin is UNSET:
            raise PeerError("protocol", "a hello without an origin behind one that has it")
        log_id, producer = origin.log_id, hello.producer
        if log_id == self._hub.log_id:
            # It comes home: what it said is here.
            name = producer
        elif producer.startswith(GIVEN_PREFIX) and "/" in producer:
            raise PeerError("protocol", f"producer {producer!r} is a name of another log's")
        else:
            name = producer_here(log_id, producer)
        source = Repeated(
            name,
            Peer(uid=origin.uid, pid=origin.pid, gid=self._gid),
            self._lines + 1 - hello.line,
            self._settle,
        )
        place = Place(log_id, origin.host, origin.seq, origin.received, origin.provenance == "relay")
        self._now = source, hello.line, place

    async def take(self, lines: Sequence[bytes | Oversize]) -> None:
        """Hand lines to the writer, hellos among them.

        Raises:
            PeerError: a hello that is none.
        """
        start = 0
        for index, line in enumerate(lines):
            if isinstance(line, bytes) and is_hello(line):
                await self._take_run(lines[start:index])
                hello = decode_hello(line)
                assert hello is not None
                self.greet(hello)
                start = index + 1
        await self._take_run(lines[start:])

    async def _take_run(self, lines: Sequence[bytes | Oversize]) -> None:
        if not lines:
            return
        assert self._now is not None
        source, number, place = self._now
        first = number
        for part in decode_lines(lines, self._hub.config.line_limit_bytes, self._hub.masker):
            at = place.after(number - first)
            _mark(part, mark_here(source.producer))
            await self._submit(Submission(source=source, first_line=number, part=part, origin=at))
            number += len(part.lines)
        self._lines += len(lines)
        self._now = source, number, place.after(number - first)

    def _settle(self, source: Repeated, outcome: Outcome) -> None:
        self._known += outcome.known
        offset = source.line_offset
        answers = [reply_line(refused=replace(reply, line=reply.line + offset)) for reply in outcome.replies]
        answers.append(reply_line(ack=Ack(lines=outcome.lines + offset, seq=outcome.seq, known=self._known)))
        self._report(outcome.size_bytes, b"".join(answers))


def _mark(part: Plain | Mixed, mark: str) -> None:
    if isinstance(part, Plain):
        mark_facts(part.facts, mark)
    else:
        for event in part.events:
            if isinstance(event, Event):
                mark_event(event, mark)
