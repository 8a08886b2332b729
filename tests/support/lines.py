"""Lines to send, as a producer writes them by hand."""

import json


def event(event_type: str, execution_id: str | None = None, **fields: object) -> bytes:
    """Return one event as a line without its newline."""
    head: dict[str, object] = {"type": event_type}
    if execution_id is not None:
        head["execution_id"] = execution_id
    return json.dumps(head | fields, separators=(",", ":")).encode()


def log(execution_id: str, message: str, **fields: object) -> bytes:
    """Return one log event as a line without its newline."""
    return event("log", execution_id, message=message, **fields)


def logs(execution_id: str, count: int, start: int = 1) -> list[bytes]:
    """Return that many log lines with the messages `line START`, `line START+1`, ..."""
    return [log(execution_id, f"line {number}") for number in range(start, start + count)]


def block(*lines: bytes) -> bytes:
    """Return lines as they go over a socket: each ended by a newline."""
    return b"".join(line + b"\n" for line in lines)
