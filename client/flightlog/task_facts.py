"""What may be said of an attempt at a task beside its name, and the key of one that was due at a time."""

import os
from typing import Any, Final, TypedDict

from flightlog.ids import new_span_id
from flightlog_schemas.events.task import Retrieval, Runner

_SPAN_DIGITS: Final = 16


class TaskFacts(TypedDict, total=False):
    """Facts about an attempt at a task.

    Attributes:
        slug: A short name that stays the same over renamings; what lists and statistics can go by.
        parent_task_id: The task that it is part of.
        causation_id: The event that caused it.
        scheduled_at_us: When it was due, microseconds since the epoch; None: started by hand. The start of
            the same attempt at the same task for the same time is recorded once, by `schedule_key`.
        config_digest: What tells the configuration that it runs with from others.
        retrieval: What was looked up before: a `Retrieval` of flightlog_schemas.events.task.
        runner: What runs it: a `Runner` of there; default: this process and host.
    """

    slug: str | None
    parent_task_id: str | None
    causation_id: str | None
    scheduled_at_us: int | None
    config_digest: str | None
    retrieval: Retrieval | None
    runner: Runner | None


def check_facts(facts: TaskFacts) -> None:
    """Refuse what is no fact.

    Raises:
        TypeError: there is an argument of another name.
    """
    if unknown := facts.keys() - TaskFacts.__annotations__.keys():
        raise TypeError(f"task() got an unexpected argument {min(unknown)!r}")


def fields_of(facts: TaskFacts, task_id: str, attempt: int) -> dict[str, Any]:
    """Return the facts as fields of `task.started`, with the key of the event where there is a schedule."""
    scheduled_at = facts.get("scheduled_at_us")
    fields = {name: value for name, value in facts.items() if name not in ("scheduled_at_us", "runner")}
    return fields | {
        "scheduled_at": scheduled_at,
        "runner": facts.get("runner") or Runner(pid=os.getpid(), host=os.uname().nodename),
        "id": None if scheduled_at is None else schedule_key(task_id, scheduled_at, attempt),
    }


def schedule_key(task_id: str, scheduled_at_us: int, attempt: int) -> str:
    """Return the key of an attempt that was due at a time: SHA-256 of `task_id:scheduled_at:attempt`."""
    from hashlib import sha256  # here, because most programs never need it

    return sha256(f"{task_id}:{scheduled_at_us}:{attempt}".encode("utf-8", "surrogatepass")).hexdigest()


def span_of(task_id: str, scheduled_at_us: int | None, attempt: int) -> str:
    """Return the span of an attempt: a new one, or of one that was due at a time always the same."""
    if scheduled_at_us is None:
        return new_span_id()
    return schedule_key(task_id, scheduled_at_us, attempt)[:_SPAN_DIGITS]
