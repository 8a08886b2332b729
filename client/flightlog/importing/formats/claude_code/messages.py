"""Parts of messages: what a tool was called with in a few words, what it answered, what it took."""

from typing import Any, Final

from flightlog_schemas.limits import INT64_MAX

_TELLING: Final = (
    "description",
    "file_path",
    "notebook_path",
    "command",
    "pattern",
    "query",
    "url",
    "path",
    "subject",
)
"""Inputs that tell what a call is about, the best first."""
_CACHED: Final = ("cache_read_input_tokens", "cache_creation_input_tokens")


def what_of(inputs: dict[str, Any]) -> str | None:
    """Return in a few words what a call is about."""
    for name in _TELLING:
        found = inputs.get(name)
        if isinstance(found, str) and found.strip():
            return found.strip().splitlines()[0]
    return None


def text_of(content: Any) -> str:
    """Return what a tool answered as text; what is no text is named by its type."""
    if isinstance(content, str):
        return content
    if not isinstance(content, list):
        return ""
    return "\n".join(_block_text(block) for block in content)


def _block_text(block: Any) -> str:
    if isinstance(block, dict):
        text = block.get("text")
        return text if isinstance(text, str) else f"[{block.get('type', 'unknown')}]"
    return str(block)


def used(usage: dict[str, Any]) -> tuple[tuple[int, int], dict[str, int]]:
    """Return tokens in and out, and how many of those in were read from or written to a cache.

    As the semantic conventions for generative AI have it, tokens in include the cached ones; the API's
    do not.
    """
    cached = {name: _count(usage.get(name)) for name in _CACHED}
    tokens = _count(usage.get("input_tokens")) + sum(cached.values())
    return (min(tokens, INT64_MAX), _count(usage.get("output_tokens"))), {
        name: count for name, count in cached.items() if count
    }


def _count(value: Any) -> int:
    return value if type(value) is int and 0 <= value <= INT64_MAX else 0
