"""The lines of a tail as they come, for a program that waits for other things, too."""

import asyncio
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Final

import msgspec

from flightlog.dial import away
from flightlog.errors import DaemonAway, FlightlogError, NotUnderstood, QueryFailed
from flightlog.versions import versions_hint
from flightlog_schemas.wire.lines import Tail
from flightlog_schemas.wire.reply import QueryError

_RECEIVE_BYTES: Final = 256 * 1024
_END: Final = b'{"end":'
_ERROR: Final = b'{"error":'
_PASSING: Final = frozenset(
    {"shutting_down", "too_many_connections", "deadline", "internal", "storage_full", "storage_failing"}
)


def passing(failed: QueryFailed) -> FlightlogError:
    """Return why there is no answer: as a daemon that is away, where it will have one later."""
    return DaemonAway(failed.reason, failed.hint) if failed.code in _PASSING else failed


async def tail_blocks(path: Path, request: Tail) -> AsyncGenerator[list[bytes], None]:
    """Yield the lines of a tail, as many at a time as there are.

    Args:
        path: The query socket.
        request: What is wanted.

    Raises:
        DaemonAway: nobody listens, or the connection broke before the end.
        QueryFailed: the daemon has no answer.
    """
    try:
        reader, writer = await asyncio.open_unix_connection(path)
    except OSError as error:
        raise away(path, error) from error
    try:
        writer.write(msgspec.json.encode({"tail": request}) + b"\n")
        await writer.drain()
        rest = b""
        while data := await reader.read(_RECEIVE_BYTES):
            *whole, rest = (rest + data).split(b"\n")
            if whole and whole[-1].startswith(_END):
                yield whole[:-1]
                return
            if whole and whole[-1].startswith(_ERROR):
                yield whole[:-1]
                raise await _failure(path, whole[-1])
            if whole:
                yield whole
        raise DaemonAway("the daemon closed the connection")
    except OSError as error:
        raise away(path, error) from error
    finally:
        writer.close()


async def _failure(path: Path, line: bytes) -> FlightlogError:
    """Return why there is no answer, by the line that says so."""
    try:
        said = msgspec.json.decode(line, type=dict[str, QueryError])["error"]
    except ValueError as error:
        hint = await asyncio.to_thread(versions_hint, path.parent)
        return NotUnderstood(f"the daemon's answer is not understood: {error}", hint)
    return passing(QueryFailed(said.code, said.reason, said.hint))
