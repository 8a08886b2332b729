"""Why a question has no answer: the closed list of codes."""

from typing import Literal

QueryErrorCode = Literal[
    "invalid",  # the request is not one
    "not_found",  # no such execution
    "ambiguous",  # the id prefix fits several
    "timed_out",  # what was waited for did not come
    "outcome",  # wait: the execution ended in another way than asked for
    "search_unavailable",  # the index of words is off, or cannot be read; it comes back by itself
    "projection_broken",  # the read model that answers this stopped at an error
    "too_many_connections",
    "line_too_long",
    "internal",  # a bug here; the daemon logged it and goes on
    "deadline",  # the query ran longer than the daemon allows
    "cursor_behind",  # the named cursor is older than what retention has left
    "cursor_limit",  # this user has as many cursors as the daemon allows
    "storage_full",  # what was asked to be written was not
    "storage_failing",
    "shutting_down",
]
