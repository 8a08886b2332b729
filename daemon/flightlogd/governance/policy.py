"""Which log lines are kept for how long, and which executions. Pure.

A rule is a line of text: conditions, and how long what fits them is kept.

    level=TRACE,DEBUG keep=3d
    status=failed,lost keep=90d
    project=/srv/billing keep=forever

The first rule whose conditions all fit decides; where none fits, `retention_days` does.
"""

import shlex
from collections.abc import Iterable, Sequence
from typing import Final

from msgspec import Struct

from flightlog_schemas.levels import NAMES, level_name, level_number
from flightlog_schemas.statuses import TERMINAL
from flightlog_schemas.times import parse_duration

DAY_US: Final = 86_400_000_000

FOREVER: Final = None
"""In place of a duration."""

_FORM: Final = "a rule is like: level=DEBUG status=succeeded project=/srv/app keep=7d"


class Rule(Struct, frozen=True):
    """For how long some log lines are kept.

    Attributes:
        keep_us: How long, microseconds; None: for ever.
        levels: Lines of these level ranges (names); empty: of all.
        statuses: Of executions that ended so; empty: however they ended.
        project: Of executions of this project; None: of all.
    """

    keep_us: int | None
    levels: frozenset[str] = frozenset()
    statuses: frozenset[str] = frozenset()
    project: str | None = None


class Policy(Struct, frozen=True):
    """What is kept.

    Attributes:
        rules: For log lines, the first that fits decides.
        keep_us: For log lines that no rule fits, microseconds; None: for ever.
        size_bytes: Log lines go, the oldest first, while the database is larger; None: any size.
        audit_keep_us: How long everything of an ended execution is kept after its last event; None: for ever.
    """

    rules: tuple[Rule, ...] = ()
    keep_us: int | None = FOREVER
    size_bytes: int | None = None
    audit_keep_us: int | None = FOREVER

    def keeps(self, level: str, status: str, project: str | None) -> int | None:
        """Return how long a log line is kept, microseconds; None: for ever.

        Args:
            level: The name of its level range.
            status: How its execution ended.
            project: Its execution's project.
        """
        for rule in self.rules:
            if (
                (not rule.levels or level in rule.levels)
                and (not rule.statuses or status in rule.statuses)
                and (rule.project is None or rule.project == project)
            ):
                return rule.keep_us
        return self.keep_us

    @property
    def shortest_us(self) -> int | None:
        """For how long any log line is kept at least; None: for ever."""
        kept = [rule.keep_us for rule in self.rules] + [self.keep_us]
        return min((keep for keep in kept if keep is not None), default=None)


def parse_rule(text: str) -> Rule:
    """Return the rule that a line of text says.

    Raises:
        ValueError: it says none; the message says what is wrong.
    """
    try:
        words = shlex.split(text)
    except ValueError as error:
        raise ValueError(f"{text!r}: {error}; {_FORM}") from None
    said: dict[str, str] = {}
    for word in words:
        key, equals, value = word.partition("=")
        if not equals or not value or key not in ("level", "status", "project", "keep") or key in said:
            raise ValueError(f"{text!r}: {word!r} is not understood; {_FORM}")
        said[key] = value
    if "keep" not in said:
        raise ValueError(f"{text!r}: keep= is missing; {_FORM}")
    return Rule(
        keep_us=None if said["keep"] == "forever" else parse_duration(said["keep"]),
        levels=parse_levels(said["level"].split(",")) if "level" in said else frozenset(),
        statuses=parse_statuses(said["status"].split(",")) if "status" in said else frozenset(),
        project=said.get("project"),
    )


def parse_levels(names: Iterable[str]) -> frozenset[str]:
    """Return the names of the level ranges that these levels lie in.

    Raises:
        ValueError: one is no level.
    """
    numbers = {name: level_number(name) for name in names}
    for name, number in numbers.items():
        if number is None:
            raise ValueError(f"no such level {name!r}: one of {', '.join(NAMES)}, or 1 to 24")
    return frozenset(level_name(number) for number in numbers.values() if number is not None)


def parse_statuses(names: Sequence[str]) -> frozenset[str]:
    """Return these statuses as a set.

    Raises:
        ValueError: one is no status of an ended execution.
    """
    for name in names:
        if name not in TERMINAL:
            raise ValueError(f"no such status {name!r}: one of {', '.join(TERMINAL)}")
    return frozenset(names)


def policy_of(days: int, audit_days: int, size_bytes: int, rules: Sequence[str]) -> Policy:
    """Return the policy that the settings say; 0 days and 0 bytes mean no bound.

    Raises:
        ValueError: a rule is not understood.
    """
    return Policy(
        rules=tuple(parse_rule(rule) for rule in rules),
        keep_us=days * DAY_US or FOREVER,
        size_bytes=size_bytes or None,
        audit_keep_us=audit_days * DAY_US or FOREVER,
    )
