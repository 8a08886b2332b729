"""Values cut to a size that people read and a line holds; what is cut says so."""

from typing import Any, Final

from flightlog_schemas.limits import INT64_MAX, INT64_MIN

_DEPTH_LIMIT: Final = 24
"""Deepest nesting that is kept; a line may have 64 levels."""
_ELEMENTS_LIMIT: Final = 1_000
_SCALAR_CHARS: Final = 8
"""What a number counts as."""


def cut_text(text: str, limit_chars: int) -> str:
    """Return a text, or its beginning and how many characters follow."""
    if len(text) <= limit_chars:
        return text
    return f"{text[:limit_chars]}… [{len(text) - limit_chars:,} more characters cut]"


def cut_value(value: Any, text_limit_chars: int, total_chars: int) -> Any:
    """Return a JSON value with its long texts cut, and numbers past 64 bits as text.

    Args:
        value: What JSON can say.
        text_limit_chars: Most characters of one text.
        total_chars: About as many characters in all; what lies beyond is left out, marked by `…`.
    """
    return _cut(value, text_limit_chars, [total_chars], 0)


def _cut(value: Any, limit_chars: int, room: list[int], depth: int) -> Any:
    if isinstance(value, str):
        kept = cut_text(value, min(limit_chars, max(room[0], 0)))
        room[0] -= len(kept)
        return kept
    if isinstance(value, dict | list):
        if depth >= _DEPTH_LIMIT or room[0] <= 0:
            return "…"
        kept_count = min(len(value), _ELEMENTS_LIMIT)
        left_out = len(value) - kept_count
        if isinstance(value, dict):
            pairs = list(value.items())[:kept_count]
            room[0] -= sum(len(key) for key, _ in pairs)
            cut = {key: _cut(inner, limit_chars, room, depth + 1) for key, inner in pairs}
            return cut | {"…": f"{left_out:,} more"} if left_out else cut
        room[0] -= kept_count
        elements = [_cut(inner, limit_chars, room, depth + 1) for inner in value[:kept_count]]
        return [*elements, f"… {left_out:,} more"] if left_out else elements
    room[0] -= _SCALAR_CHARS
    if isinstance(value, int) and not INT64_MIN <= value <= INT64_MAX:
        return str(value)
    return value
