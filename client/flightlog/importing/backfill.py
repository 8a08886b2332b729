"""Files of results and events to items, each bad record reported and passed over."""

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any, BinaryIO, Final

import msgspec
from msgspec import Struct

from flightlog.encode import encode_line
from flightlog.importing.eventlines import EventLines
from flightlog.importing.keys import key_of
from flightlog.importing.results import ResultError, Told, tell_result
from flightlog.importing.ship import Item
from flightlog.importing.sources import (
    DOCUMENT_LIMIT_BYTES,
    LINE_LIMIT_BYTES,
    files_of,
    lines_of,
    without_mark,
)
from flightlog_schemas.events import ExecutionCreated, ExecutionEnded, ExecutionStarted
from flightlog_schemas.events.execution import Outcome

TASK: Final = "task"
EVENT: Final = "event"
EXECUTION: Final = "execution"
"""What items are counted as; executions are not shown."""

OPEN_LIMIT: Final = 50_000
"""Most executions that are kept in mind before they are ended, least recent first; about 300 bytes each."""

_STDIN: Final = Path("-")


class _Head(Struct):
    type: Any = None


_decode_head = msgspec.json.Decoder(_Head).decode
_decode_list = msgspec.json.Decoder(list[msgspec.Raw]).decode

Report = Callable[[str, str, str], None]
"""Takes the kind, where it was, and why it failed."""


class _Open(Struct):
    """An execution of ours that is not ended yet."""

    started_at: int
    completed_at: int
    succeeded: int = 0
    failed: int = 0


class Backfill:
    """One run over files.

    Args:
        report: Called for each record that cannot be told.
    """

    def __init__(self, report: Report) -> None:
        self._report = report
        self._open: dict[str, _Open] = {}

    def items(self, paths: Sequence[Path]) -> Iterator[Item]:
        """Yield what the files hold; `-` is stdin. A file that cannot be read is reported."""
        for path in [path for path in paths if path == _STDIN] or files_of(paths):
            try:
                with nullcontext(sys.stdin.buffer) if path == _STDIN else path.open("rb") as stream:
                    yield from self._file(path, stream)
            except OSError as error:
                self._report(TASK, str(path), error.strerror or str(error))
        while self._open:
            yield self._end(next(iter(self._open)))

    def _file(self, path: Path, stream: BinaryIO) -> Iterator[Item]:
        events = EventLines()
        if path == _STDIN or path.suffix != ".json":
            yield from self._lines(path, lines_of(stream), events)
            return
        data = stream.read(DOCUMENT_LIMIT_BYTES + 1)
        if len(data) > DOCUMENT_LIMIT_BYTES:
            limit_mib = DOCUMENT_LIMIT_BYTES // 1024 // 1024
            reason = f"over {limit_mib} MiB; as JSON lines (.jsonl) it may have any size"
            self._report(TASK, str(path), reason)
            return
        text = without_mark(data).strip()
        if not text:
            self._report(TASK, str(path), "is empty")
        elif text.startswith(b"["):
            try:
                elements = _decode_list(text)
            except (ValueError, RecursionError) as error:
                self._report(TASK, str(path), f"no JSON: {error}")
                return
            for number, element in enumerate(elements, 1):
                yield from self._record(f"{path}[{number}]", element, len(element), events)
        elif b"\n" in text and _is_json(text.partition(b"\n")[0]):
            yield from self._lines(path, iter(text.splitlines(keepends=True)), events)
        else:
            yield from self._record(str(path), text, len(data), events)

    def _lines(self, path: Path, lines: Iterator[bytes | None], events: EventLines) -> Iterator[Item]:
        for number, line in enumerate(lines, 1):
            where = f"{path}:{number}"
            if line is None:
                self._report(TASK, where, f"over {LINE_LIMIT_BYTES:,} bytes")
            elif not line.isspace():
                yield from self._record(where, line, len(line), events)

    def _record(
        self, where: str, data: bytes | msgspec.Raw, size_bytes: int, events: EventLines
    ) -> Iterator[Item]:
        """Yield one record, with the announcement of its execution where that is new."""
        try:
            head = _decode_head(data)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            self._report(TASK, where, f"no JSON object: {error}")
            return
        if head.type is not None:
            try:
                yield Item(where, EVENT, [events.tell(data)], size_bytes)
            except (ValueError, RecursionError, OverflowError) as error:
                self._report(EVENT, where, str(error))
            return
        try:
            told = tell_result(data)
        except ResultError as error:
            self._report(TASK, where, str(error))
            return
        if told.announced:
            yield from self._note(told)
        yield Item(where, TASK, [told.line], size_bytes)

    def _note(self, told: Told) -> Iterator[Item]:
        """Take note of a task for its execution's end."""
        known = self._open.pop(told.execution_id, None)
        if known is None:
            yield _item(
                told.execution_id,
                ExecutionCreated(
                    **_head(told.execution_id, "created"),
                    time=told.started_at,
                    name="backfill",
                    tool="flightlog-backfill",
                ),
            )
            known = _Open(told.started_at, told.completed_at)
        # Behind all others: the first is the least recent.
        self._open[told.execution_id] = known
        known.started_at = min(known.started_at, told.started_at)
        known.completed_at = max(known.completed_at, told.completed_at)
        if told.succeeded:
            known.succeeded += 1
        else:
            known.failed += 1
        if len(self._open) > OPEN_LIMIT:
            yield self._end(next(iter(self._open)))

    def _end(self, execution_id: str) -> Item:
        """Begin and end an execution of ours, now that its times are known."""
        known = self._open.pop(execution_id)
        outcome: Outcome = "partial" if known.succeeded else "failed"
        return _item(
            execution_id,
            ExecutionStarted(**_head(execution_id, "started"), time=known.started_at),
            ExecutionEnded(
                **_head(execution_id, "ended"),
                time=known.completed_at,
                outcome=outcome if known.failed else "succeeded",
                reason=f"{known.failed:,} of {known.succeeded + known.failed:,} tasks failed"
                if known.failed
                else None,
                duration_us=known.completed_at - known.started_at,
            ),
        )


def _is_json(data: bytes) -> bool:
    try:
        _decode_head(data)
    except (ValueError, RecursionError):
        return False
    return True


def _head(execution_id: str, what: str) -> dict[str, Any]:
    return {
        "execution_id": execution_id,
        "id": key_of("backfill", execution_id, what),
        "provenance": "backfill",
    }


def _item(execution_id: str, *events: ExecutionCreated | ExecutionStarted | ExecutionEnded) -> Item:
    lines = [line for event in events if (line := encode_line(event)) is not None]
    return Item(execution_id, EXECUTION, lines)
