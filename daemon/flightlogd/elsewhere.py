"""What was recorded elsewhere first: what its producers and its executions are called here. Pure."""

from typing import Final

from flightlog_schemas.elsewhere import mark_of
from flightlog_schemas.events import Event, ExecutionCreated, ExecutionStarted
from flightlogd.facts import Facts

GIVEN_PREFIX: Final = "~"
"""First character of names that this daemon gives to producers; no hello may use it."""


OTHERS: Final = "~"
"""In place of a mark: all logs but this one."""


def producer_here(log_id: str, producer: str) -> str:
    """Return what a producer of another log is called in this one."""
    return f"{GIVEN_PREFIX}{log_id}/{producer}"


def is_elsewhere(producer: str) -> bool:
    """Say whether a producer spoke to another daemon, and was repeated here."""
    return producer.startswith(GIVEN_PREFIX) and "/" in producer


def is_nameless(producer: str) -> bool:
    """Say whether it spoke to this daemon and gave no name of its own."""
    return producer.startswith(GIVEN_PREFIX) and not is_elsewhere(producer)


def mark_here(producer: str) -> str:
    """Return what the ids of a producer's executions end with here, nothing where it spoke to this log."""
    return mark_of(producer[len(GIVEN_PREFIX) : producer.index("/")]) if is_elsewhere(producer) else ""


def mark_event(event: Event, mark: str) -> Event:
    """Call the executions that an event names as they are called here; to be done once."""
    if mark:
        if event.execution_id is not None:
            event.execution_id += mark
        if isinstance(event, ExecutionCreated | ExecutionStarted) and event.parent_id is not None:
            event.parent_id += mark
    return event


def mark_facts(facts: Facts, mark: str) -> Facts:
    """Call the executions of lines of one log as they are called here; to be done once."""
    if mark:
        facts.tallies = {execution_id + mark: tally for execution_id, tally in facts.tallies.items()}
        for _, event in facts.singles:
            mark_event(event, mark)
    return facts
