"""Types that belong to flightlog, by their first words."""

from typing import Final

RESERVED_PREFIXES: Final = (
    "execution",
    "task",
    "log",
    "agent",
    "artifact",
    "plan",
    "audit",
    "producer",
    "daemon",
)
"""First words of a type that belong to flightlog; every other first word is the user's own."""


def is_reserved(event_type: str) -> bool:
    """Say whether a type is under a prefix that belongs to flightlog."""
    return event_type.partition(".")[0] in RESERVED_PREFIXES
