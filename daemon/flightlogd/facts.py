"""What lines say, added up: which executions they belong to, which of them are more than log lines. Pure.

Log lines are most of the volume. Once decoded they are only counted, and their events let go; what
projections take one by one is kept.
"""

from collections.abc import Iterable
from typing import Final

from msgspec import UNSET, Struct

from flightlog_schemas import levels
from flightlog_schemas.bulk import LogMention, PlainLog
from flightlog_schemas.codec import is_id
from flightlog_schemas.elsewhere import split_mark
from flightlog_schemas.events import QUIET_TYPES, Event, Log, UserEvent
from flightlog_schemas.limits import INT64_MAX

RANGES: Final[dict[object, int]] = {name: place for place, name in enumerate(levels.NAMES)} | {UNSET: 2}
"""The common spellings of a level to their range 0..5; none is INFO."""


class Tally(Struct, gc=False):
    """What some lines hold of one execution.

    Attributes:
        indexes: Places of its lines among them, rising.
        state_count: How many of them move the execution's state.
        levels: Log lines by level range (TRACE to FATAL).
        min_time: Earliest time that an event gives, microseconds since the epoch.
        max_time: Latest; below `min_time` when none gives one.
        untimed: Some events give none: theirs is when they are received.
        offsets: Where its lines are in the joined lines, once that is known.
    """

    indexes: list[int]
    state_count: int
    levels: list[int]
    min_time: int = INT64_MAX
    max_time: int = 0
    untimed: bool = False
    offsets: bytes | None = None

    def bounds(self, received: int) -> tuple[int, int]:
        """Return the earliest and the latest time, with `received` for events that give none."""
        if not self.untimed:
            return self.min_time, self.max_time
        return min(self.min_time, received), max(self.max_time, received)

    @property
    def level_mask(self) -> int:
        """One bit for each level range present, TRACE lowest."""
        mask = 0
        for place, count in enumerate(self.levels):
            if count:
                mask |= 1 << place
        return mask


class Facts(Struct, gc=False):
    """What some lines say.

    Attributes:
        tallies: By execution.
        singles: (index, event) of each event that projections take one by one: all but log lines and users'
            own types.
    """

    tallies: dict[str, Tally]
    singles: list[tuple[int, Event]]


def facts_of(events: Iterable[Event]) -> Facts:
    """Return what decoded lines say, in their order."""
    facts = Facts({}, [])
    for index, event in enumerate(events):
        note(facts, index, event)
    return facts


def note(facts: Facts, index: int, event: Event) -> None:
    """Add one event at the next index."""
    kind = type(event)
    if kind is not Log and kind is not UserEvent:
        facts.singles.append((index, event))
    execution_id = event.execution_id
    if execution_id is None:
        return
    entry = facts.tallies.get(execution_id)
    if entry is None:
        entry = facts.tallies[execution_id] = Tally([], 0, [0, 0, 0, 0, 0, 0])
    entry.indexes.append(index)
    time = event.time
    if time is None:
        entry.untimed = True
    else:
        if time < entry.min_time:
            entry.min_time = time
        if time > entry.max_time:
            entry.max_time = time
    if kind is Log:
        entry.levels[level_range(event.level)] += 1  # type: ignore[attr-defined]  # kind is Log
    elif kind not in QUIET_TYPES:
        entry.state_count += 1


def tally_logs(logs: Iterable[PlainLog | LogMention]) -> Facts | None:
    """Return what log lines say, or None where one has an id that is none."""
    facts = Facts({}, [])
    tallies = facts.tallies
    ids: set[str] = set()
    for index, log in enumerate(logs):
        time = log.time
        entry = tallies.get(log.execution_id)
        if entry is None:
            if not is_id(log.execution_id) or split_mark(log.execution_id)[1]:
                return None
            entry = tallies[log.execution_id] = Tally([index], 0, [0, 0, 0, 0, 0, 0], time, time)
        else:
            entry.indexes.append(index)
            if time > entry.max_time:
                entry.max_time = time
            elif time < entry.min_time:
                entry.min_time = time
        level = log.level
        entry.levels[RANGES[level] if level in RANGES else level_range(level)] += 1
        if log.task_id is not None:
            ids.add(log.task_id)
        if log.agent_id is not None:
            ids.add(log.agent_id)
    return facts if all(map(is_id, ids)) else None


def level_range(level: object) -> int:
    """Return the level range 0 (TRACE) to 5 (FATAL) of a level as written; what is none is INFO."""
    if type(level) is str and level in RANGES:
        return RANGES[level]
    number = levels.level_number(level)
    return 2 if number is None else (number - 1) // 4


def join_facts(parts: Iterable[tuple[int, Facts]]) -> Facts:
    """Return the facts of lines put together: each part comes with the index of its first line."""
    joined = Facts({}, [])
    for start, facts in parts:
        add_facts(joined, start, facts)
    return joined


def add_facts(joined: Facts, start: int, facts: Facts) -> None:
    """Add the facts of lines that follow: `start` is the index of the first."""
    joined.singles += [(start + index, event) for index, event in facts.singles]
    for execution_id, entry in facts.tallies.items():
        known = joined.tallies.get(execution_id)
        indexes = [start + index for index in entry.indexes]
        if known is None:
            joined.tallies[execution_id] = Tally(
                indexes,
                entry.state_count,
                list(entry.levels),
                entry.min_time,
                entry.max_time,
                entry.untimed,
            )
            continue
        known.indexes += indexes
        known.state_count += entry.state_count
        known.levels = [a + b for a, b in zip(known.levels, entry.levels, strict=True)]
        known.min_time = min(known.min_time, entry.min_time)
        known.max_time = max(known.max_time, entry.max_time)
        known.untimed = known.untimed or entry.untimed
