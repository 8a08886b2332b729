"""Doors: paths to which other systems post what they tell, in their own words.

- `door`: what a door is; `intake`: what all have in common, from the request to the daemon's ack
- `otlp`: OpenTelemetry; `cloudevents`: CloudEvents
"""

from typing import Final

from flightlog.web.doors import cloudevents, otlp
from flightlog.web.doors.door import Door, Reply, media_type, plainly
from flightlog.web.problem import Problem

DOORS: Final[tuple[Door, ...]] = (*otlp.DOORS, *cloudevents.DOORS)
"""All, as /docs lists them."""

_PROBLEMS: Final = {door.path: door.problem for door in DOORS}


def problem_at(path: str, content_type: str | None, problem: Problem) -> Reply:
    """Return what went wrong at a path, in the words of the door that is there, if one is.

    Args:
        path: The path.
        content_type: The header of what was sent there.
        problem: What went wrong.
    """
    return _PROBLEMS.get(path, plainly)(media_type(content_type), problem)
