"""What is said on ingest.sock besides events: hello and bye, and the daemon's replies. Pure."""

import msgspec

from flightlog_schemas.codec import RefusalError, decode_line
from flightlog_schemas.wire.ingest import ByeLine, Hello, HelloLine, IngestReply
from flightlogd.errors import PeerError
from flightlogd.framing import Oversize

_encode = msgspec.json.encode


def reply_line(**reply: msgspec.Struct) -> bytes:
    """Return one line to an ingest peer, such as `reply_line(ack=Ack(...))`."""
    return _encode(IngestReply(**reply)) + b"\n"  # type: ignore[arg-type]  # one field, of its own type


def decode_hello(line: bytes) -> Hello | None:
    """Return what a hello says, None where the line is none.

    Raises:
        PeerError: it is one that nobody can read.
    """
    if not line.lstrip().startswith(b'{"hello"'):
        return None
    try:
        return msgspec.json.decode(line, type=HelloLine).hello
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise PeerError(
            "protocol", f"hello: {error}", '{"hello":{"protocol":1,"producer":"ID","line":1}}'
        ) from None


def is_whole(rest: bytes | Oversize) -> bool:
    """Say whether a last line without its newline is all there."""
    if isinstance(rest, Oversize):
        return False
    try:
        decode_line(rest)
    except RefusalError:
        return is_bye(rest)
    return True


def is_bye(line: bytes) -> bool:
    """Say whether a line wants to be a bye."""
    return line.lstrip().startswith(b'{"bye"')


def take_bye(lines: list[bytes | Oversize]) -> int | None:
    """Take a bye off the end of the lines (it is no event) and return what it said."""
    if not lines or isinstance(line := lines[-1], Oversize) or not is_bye(line):
        return None
    try:
        said = msgspec.json.decode(line, type=ByeLine)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    del lines[-1]
    return said.bye.lines
