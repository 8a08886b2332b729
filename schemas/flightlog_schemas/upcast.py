"""Old payload versions become the current one when they are read; stored bytes never change.

A step takes the JSON object of version `v` of one type and returns that of version `v + 1`. To change a
payload: raise its version by adding a step to `STEPS`, and keep the old golden line beside the new one.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final

Step = Callable[[dict[str, Any]], dict[str, Any]]
Steps = Mapping[tuple[str, int], Step]

STEPS: Final[Steps] = {}
"""(type, version) to the step that leads to the next version. Every payload is at version 1 today."""


def current_version(event_type: str, steps: Steps = STEPS) -> int:
    """Return the newest payload version of a type: one more than its last step, or 1."""
    version = 1
    while (event_type, version) in steps:
        version += 1
    return version


def upcast(payload: dict[str, Any], steps: Steps = STEPS) -> dict[str, Any]:
    """Return the object as its type's current version has it, `v` included. The argument is not changed."""
    event_type, version = payload["type"], payload.get("v", 1)
    while (step := steps.get((event_type, version))) is not None:
        version += 1
        payload = {**step(dict(payload)), "v": version}
    return payload
