"""Ids of executions that another log has: two machines may both have a `build-7`.

Where both logs come together, each is called `build-7~` and 12 hex digits that stand for its log. No id that
a program gives may end like that, so nothing that is said here can be about an execution of another log.
"""

from functools import lru_cache
from typing import Final

from flightlog_schemas.regex import compiled

MARK_CHARS: Final = 13
"""What is added to an id."""

_MARKED: Final = "~[0-9a-f]{12}"


@lru_cache(maxsize=65_536)
def mark_of(log_id: str) -> str:
    """Return what ids of another log's executions end with: `~`, 12 hex digits of the SHA-256 of its id."""
    from hashlib import sha256  # here, because it loads OpenSSL, and most programs know of no other log

    return f"~{sha256(log_id.encode('utf-8', 'surrogatepass')).hexdigest()[: MARK_CHARS - 1]}"


def split_mark(execution_id: str) -> tuple[str, str]:
    """Return an id as its own log has it, and the mark of that log: empty for one of this log."""
    mark = execution_id[-MARK_CHARS:]
    if mark[:1] == "~" and compiled(_MARKED).fullmatch(mark) and len(execution_id) > MARK_CHARS:
        return execution_id[:-MARK_CHARS], mark
    return execution_id, ""
