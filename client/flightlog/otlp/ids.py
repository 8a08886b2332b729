"""Ids of traces and spans, as they come, to those of W3C trace context."""

import re
from typing import Final

_TRACE: Final = re.compile(r"(?!0{32})[0-9a-f]{32}")
_SPAN: Final = re.compile(r"(?!0{16})[0-9a-f]{16}")


def trace_id_of(text: str) -> str | None:
    """Return the id of a trace in lower-case hex, None for what is none."""
    return text.lower() if _TRACE.fullmatch(text.lower()) else None


def span_id_of(text: str) -> str | None:
    """Return the id of a span in lower-case hex, None for what is none."""
    return text.lower() if _SPAN.fullmatch(text.lower()) else None
