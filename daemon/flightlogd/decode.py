"""Whole lines to what they say, or to the refusal that each deserves; first of all, secrets are masked. Pure.

Nothing that was not masked leaves this module: not into a digest, a row, a refusal or a tail.
"""

from collections.abc import Iterator, Sequence
from typing import Final

from msgspec import Struct

from flightlog_schemas.bulk import decode_logs
from flightlog_schemas.codec import RefusalError, decode_line
from flightlog_schemas.events import (
    DaemonPruned,
    DaemonRebuilt,
    DaemonStarted,
    DaemonStopped,
    DaemonSuppressed,
    Event,
)
from flightlogd.batch import SEAL_AHEAD_LINES, Sealed, cuts, seal
from flightlogd.facts import Facts, note, tally_logs
from flightlogd.framing import Oversize
from flightlogd.masking import Masker

_DAEMON_TYPES: Final = frozenset(
    {DaemonStarted, DaemonStopped, DaemonRebuilt, DaemonPruned, DaemonSuppressed}
)


class Plain(Struct):
    """Lines that are all simply stored.

    Attributes:
        lines: The bytes, masked.
        facts: What they say.
        size_bytes: What they take in memory.
        sealed: The lines joined, where there are enough of them.
    """

    lines: list[bytes]
    facts: Facts
    size_bytes: int
    sealed: Sealed | None


class Mixed(Struct):
    """Lines to be decided one by one: some are refused, have a key, or expect a state.

    Attributes:
        lines: The bytes, masked; of an oversize line its beginning.
        events: The event of each, or why there is none.
        size_bytes: What they take in memory.
    """

    lines: list[bytes]
    events: list[Event | RefusalError]
    size_bytes: int


def decode_lines(
    lines: Sequence[bytes | Oversize], limit_bytes: int, masker: Masker
) -> Iterator[Plain | Mixed]:
    """Decode what one read brought, in parts that each fit a batch. One bad line leaves its neighbours alone.

    Args:
        lines: Whole lines, without newlines.
        limit_bytes: The limit that an oversize line broke, for its reason.
        masker: Masks what is secret in them.
    """
    oversize = Oversize in map(type, lines)
    if oversize:
        sizes = [len(line.head) if isinstance(line, Oversize) else len(line) for line in lines]
    else:
        sizes = list(map(len, lines))  # type: ignore[arg-type]  # all are bytes
    start = 0
    for stop in cuts(sizes):
        part = lines if stop - start == len(lines) else lines[start:stop]
        if oversize:
            yield _decode_mixed([_masked_alone(line, masker) for line in part], limit_bytes, masker)
        else:
            masked, blob = masker.masked(part)  # type: ignore[arg-type]  # none is oversize
            yield _decode_plain(masked, blob) or _decode_mixed(masked, limit_bytes, masker)
        start = stop


def _masked_alone(line: bytes | Oversize, masker: Masker) -> bytes | Oversize:
    if isinstance(line, Oversize):
        return Oversize(masker.head(line.head), line.size_bytes)
    return masker.masked([line])[0][0]


def _decode_plain(lines: Sequence[bytes], blob: bytes) -> Plain | None:
    """Decode lines that are all simply stored; None at the first that is not."""
    logs = decode_logs(blob, lines)
    facts = (None if logs is None else tally_logs(logs)) or _note_each(lines)
    if facts is None:
        return None
    sealed = seal(blob, lines, facts) if len(lines) >= SEAL_AHEAD_LINES else None
    return Plain(list(lines), facts, sum(map(len, lines)), sealed)


def _note_each(lines: Sequence[bytes]) -> Facts | None:
    facts = Facts({}, [])
    for index, line in enumerate(lines):
        try:
            event = decode_line(line)
        except RefusalError:
            return None
        if event.id is not None or event.expect_seq is not None or type(event) in _DAEMON_TYPES:
            return None
        note(facts, index, event)
    return facts


def _decode_mixed(lines: Sequence[bytes | Oversize], limit_bytes: int, masker: Masker) -> Mixed:
    kept: list[bytes] = []
    events: list[Event | RefusalError] = []
    for line in lines:
        if isinstance(line, Oversize):
            kept.append(line.head)
            reason = f"{line.size_bytes} bytes, the limit is {limit_bytes}"
            events.append(RefusalError("too_long", reason))
            continue
        kept.append(line)
        event = _decode_one(line)
        if isinstance(event, RefusalError):
            # A reason may quote the line, also what is left alone in it.
            event = RefusalError(event.code, masker.text(event.reason))
            # What is kept of it is no event: nothing in it is an id.
            kept[-1] = masker.anything(line)
        events.append(event)
    return Mixed(kept, events, sum(map(len, kept)))


def _decode_one(line: bytes) -> Event | RefusalError:
    try:
        event = decode_line(line)
    except RefusalError as refusal:
        return refusal
    if type(event) in _DAEMON_TYPES:
        return RefusalError("reserved", "only the daemon itself writes daemon.* events")
    return event
