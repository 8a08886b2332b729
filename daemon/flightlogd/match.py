"""Which events a tail wants: equality and plain substrings, so that no reader can stall the daemon. Pure."""

from collections.abc import Iterable, Sequence

from flightlog_schemas.events import Event, Log, is_reserved, type_of
from flightlog_schemas.wire.lines import Tail
from flightlogd.batch import Batch, Span, origin_of
from flightlogd.facts import level_range


class Match:
    """A filter over stored lines.

    Args:
        types: Any of these; a name ending in `.` or `.*` takes the family. None given: all.
        execution_id: Of this execution.
        task_id: With this task.
        agent_id: With this agent.
        level_numbers: Log lines of any of these level ranges only.
        source: Log lines of this source only.
        grep: The line's text holds all of these.
        exclude: The line's text holds none of these.
        hosts: Recorded first by any of these machines.
        here: What this one is called.
    """

    def __init__(
        self,
        *,
        types: Iterable[str] = (),
        execution_id: str | None = None,
        task_id: str | None = None,
        agent_id: str | None = None,
        level_numbers: Iterable[int] = (),
        source: str | None = None,
        grep: Iterable[str] = (),
        exclude: Iterable[str] = (),
        hosts: Iterable[str] = (),
        here: str = "",
    ) -> None:
        names = [name.removesuffix("*") for name in types]
        self._types = frozenset(name for name in names if not name.endswith("."))
        self._families = tuple(name for name in names if name.endswith("."))
        self.execution_id = execution_id
        self._task_id = task_id
        self._agent_id = agent_id
        self._levels = frozenset((number - 1) // 4 for number in level_numbers)
        self._source = source
        self._grep = tuple(text.encode() for text in grep)
        self._exclude = tuple(text.encode() for text in exclude)
        self._hosts = frozenset(hosts)
        self._here = here
        self.everything = not (
            names
            or self._hosts
            or self._levels
            or self._grep
            or self._exclude
            or any(value is not None for value in (execution_id, task_id, agent_id, source))
        )
        """True when nothing is left out."""
        self.only_singles = bool(names) and not self.wants_logs and all(map(is_reserved, names))
        """True when neither log lines nor users' own types are wanted."""
        self.level_mask = sum(1 << place for place in self._levels)
        """One bit for each level range that is wanted, TRACE lowest; 0: of any, and what has no level."""
        self.needle = max(self._grep, key=len, default=b"")
        """A text that is in each line that is wanted."""

    @property
    def wants_logs(self) -> bool:
        """Whether log lines may match: they are what retention takes."""
        return not (self._types or self._families) or "log" in self._types

    def may_say(self, span: Span) -> bool:
        """Say whether lines of a span may be wanted, by where they were recorded first."""
        if not self._hosts:
            return True
        place = origin_of(span)
        return (self._here if place is None else place.host) in self._hosts

    def places(self, batch: Batch) -> Sequence[int]:
        """Return where in a batch lines may be wanted, rising, by what is known of it."""
        if self.execution_id is not None:
            entry = batch.facts.tallies.get(self.execution_id)
            return () if entry is None else entry.indexes
        if self.only_singles:
            return [index for index, _ in batch.facts.singles]
        if self.needle:
            return [index for index, line in enumerate(batch.lines) if self.needle in line]
        return range(len(batch.lines))

    def wants(self, batch: Batch, index: int) -> bool:
        """Say whether the event at an index of a batch is wanted."""
        if self.everything:
            return True
        if self._hosts and not self.may_say(batch.span_at(index)):
            return False
        event = batch.event(index)
        return event is not None and self.matches(batch.lines[index], event)

    def matches(self, line: bytes, event: Event) -> bool:
        """Say whether an event is wanted; `line` is its bytes as stored."""
        if self.everything:
            return True
        if self.execution_id is not None and event.execution_id != self.execution_id:
            return False
        if self._types or self._families:
            name = type_of(event)
            if name not in self._types and not name.startswith(self._families or ("\0",)):
                return False
        if self._task_id is not None and event.task_id != self._task_id:
            return False
        if self._agent_id is not None and event.agent_id != self._agent_id:
            return False
        if self._levels and not (type(event) is Log and level_range(event.level) in self._levels):
            return False
        if self._source is not None and not (type(event) is Log and event.source == self._source):
            return False
        if not all(text in line for text in self._grep):
            return False
        return not any(text in line for text in self._exclude)


def substrings(grep: str | tuple[str, ...]) -> tuple[str, ...]:
    """Return what a request wants to be found: by hand one text is written without brackets."""
    return (grep,) if isinstance(grep, str) else grep


def match_of(request: Tail, here: str) -> Match:
    """Return the filter of a tail; `here` is what this machine is called."""
    return Match(
        types=request.type,
        execution_id=request.execution_id,
        task_id=request.task_id,
        agent_id=request.agent_id,
        level_numbers=request.level,
        source=request.source,
        grep=substrings(request.grep),
        exclude=request.exclude,
        hosts=request.host,
        here=here,
    )
