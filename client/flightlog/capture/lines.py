"""Lines of a command's output to log entries: what they say, what had to be cut. Pure."""

from typing import Any, Final, NamedTuple

import msgspec

from flightlog.capture.split import RawLine
from flightlog.masking import masked_text
from flightlog_schemas.codec import RefusalError, decode_line, encode_event
from flightlog_schemas.cuts import CUT_CHARS
from flightlog_schemas.events import Log

LINE_LIMIT_CHARS: Final = 10_000
"""A longer message is cut here, and says so."""


class Entry(NamedTuple):
    """What one line says: `level` None where it does not say; `cut_chars` counts what was left out."""

    message: str
    level: str | int | None
    fields: dict[str, Any]
    cut_chars: int


def entry(line: RawLine, stream: str) -> Entry:
    r"""Return what a line says.

    A JSON object with `level` and `message` becomes a structured entry, its other keys the fields. Any
    other line is its own message, bytes that are not UTF-8 shown as `\xff`.

    Args:
        line: One line as it was split.
        stream: Where it came from (`stdout`, `stderr`), kept in the fields.
    """
    if line.data.startswith(b"{") and not line.skipped_chars:
        structured = _structured(line.data, stream)
        if structured is not None:
            return structured
    text = line.data.removesuffix(b"\r").decode(errors="backslashreplace")
    message, cut_chars = _cut(text, line.skipped_chars)
    fields: dict[str, Any] = {"stream": stream}
    if cut_chars:
        fields[CUT_CHARS] = cut_chars
    return Entry(message, None, fields, cut_chars)


def _structured(data: bytes, stream: str) -> Entry | None:
    try:
        said = msgspec.json.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    level, text = said.pop("level", None), said.pop("message", None)
    if not isinstance(text, str) or not isinstance(level, str | int) or isinstance(level, bool):
        return None
    if "stream" in said:
        said["line_stream"] = said.pop("stream")
    message, cut_chars = _cut(text, 0)
    fields = {**said, "stream": stream}
    if cut_chars:
        fields[CUT_CHARS] = cut_chars
    try:
        # What the daemon would refuse (too deep, a number past 64 bits) is better kept as plain text.
        decode_line(encode_event(Log(execution_id="x", message=message, level=level, fields=fields)))
    except (RefusalError, RecursionError, OverflowError):
        return None
    return Entry(message, level, fields, cut_chars)


def _cut(text: str, skipped_chars: int) -> tuple[str, int]:
    if len(text) > LINE_LIMIT_CHARS or skipped_chars:
        # Before it is cut, for half a secret would not be found.
        text = masked_text(text)
    over = max(len(text) - LINE_LIMIT_CHARS, 0) + skipped_chars
    if not over:
        return text, 0
    return f"{text[:LINE_LIMIT_CHARS]}… [{over:,} more characters cut]", over
