r"""Personal data within a text, by rules that are switched on by name; `[scrubbed:email]` takes its place.

| rule | scrubbed | left alone |
|---|---|---|
| `email` | `ann@example.com`, `ann%40example.com` | `a@b`, `git@host`, `x@2x.png`, `x@1.2.3`, systemd units |
| `ipv4` | `10.1.2.3`, also `10.1.2.3:80`, `10.1.2.0/24` | loopback, netmasks, versions |
| `ipv6` | `2001:db8::1`, `::ffff:10.1.2.3` | `::1`, `12:34:56`, `ab::cd`, MAC addresses |
| `uuid` | 8-4-4-4-12 hex digits | |
| `hex` | 32 hex digits and more | in paths and file names, in a `traceparent`, decimal digits alone |

A version is `1.2.3.4-rc1`, `1.2.3.4+git`, `v1.2.3.4`, `libx-1.2.3.4`, `version 1.2.3.4`, `Chrome/120.0.0.0`,
and what has five parts. A bare `1.2.3.4` is an address.

Pure. Scrubbing twice is scrubbing once: nothing is found beside what was put in a place that was not found
before. All repeats are bounded or possessive, so that the time is in proportion to the text.
"""

import re
from collections.abc import Callable, Iterable
from functools import cache
from typing import Final, NamedTuple

from flightlog_schemas.regex import compiled

MARK: Final = "[scrubbed:"
"""How all that stands in the place of personal data begins."""

ALL: Final = "all"
"""In place of the names of all rules."""


IDS: Final = frozenset(
    {
        *("execution_id", "task_id", "agent_id", "trace_id", "span_id", "causation_id", "retry_of"),
        *("parent_id", "parent_task_id", "parent_agent_id", "artifact_id", "artifact_ids", "dispatch_id"),
        *("plan_id", "depends_on", "sha256", "config_digest", "stack_hash"),
    }
)
"""Not scrubbed wherever they are, also in what a program put into a free field."""


class Rule(NamedTuple):
    """One kind of personal data.

    Attributes:
        name: What it is called, and what is put in its place is.
        gate: Found in every text that it is in, also as JSON spells it; in Python's and in RE2's syntax.
        regex: Finds it.
        could: Says at little cost that a text may hold it.
    """

    name: str
    gate: str
    regex: str
    could: Callable[[str], bool]


_OCTET: Final = "(?:25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])"
_LETTERS: Final = "A-Za-z\u00c0-\u024f\u0370-\u052f"
"""Latin, Greek, Cyrillic. Scripts that put no space between words would make one word of a sentence."""
_LABEL: Final = f"[{_LETTERS}0-9_-]{{1,63}}"
_IN_USE: Final = (
    "(?:[23][0-9a-fA-F]{3}|[fF](?:[eE][89abAB]|[cdfCDF][0-9a-fA-F])[0-9a-fA-F]|64:[fF]{2}9[bB]|::[fF]{4}):"
)
"""How an IPv6 address begins that may be somebody's (RFC 4291, 4193, 6052)."""

_UNITS: Final = "service|socket|timer|target|slice|mount|automount|scope|swap|device|path"
"""Of systemd, which are no domains."""

RULES: Final = (
    Rule(
        "email",
        r"@|%40",
        rf"(?<![{_LETTERS}0-9_])(?!git@)[{_LETTERS}0-9_][{_LETTERS}0-9_.+%'-]{{0,63}}(?:@|%40)"
        rf"(?!v?[0-9]+\.[0-9]|[0-9]x\.)(?:{_LABEL}\.){{1,8}}"
        rf"(?!(?:{_UNITS})(?![{_LETTERS}0-9_]))(?:[{_LETTERS}]{{2,24}}|xn--[A-Za-z0-9-]{{2,59}})"
        rf"(?![{_LETTERS}0-9_])",
        lambda text: "@" in text or "%40" in text,
    ),
    Rule(
        "ipv4",
        r"[0-9]\.[0-9]{1,3}\.[0-9]{1,3}\.[0-9]",
        rf"(?<![0-9A-Za-z_.])(?<![A-Za-z_]-)(?:{_OCTET}\.){{3}}{_OCTET}"
        r"(?![0-9A-Za-z_]|\.[0-9A-Za-z]|[-+~][A-Za-z])",
        lambda text: text.count(".") > 2,
    ),
    Rule(
        "ipv6",
        rf"{_IN_USE}[0-9a-fA-F]{{0,4}}[:.]",
        rf"(?<![0-9A-Za-z_:.]){_IN_USE}[0-9a-fA-F:.]{{1,41}}+(?![0-9A-Za-z_])",
        lambda text: text.count(":") > 1,
    ),
    Rule(
        "uuid",
        r"[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}",
        r"(?<![0-9A-Za-z])[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}(?![0-9A-Za-z])",
        lambda text: text.count("-") > 3,
    ),
    Rule(
        "hex",
        r"[0-9a-fA-F]{32}",
        r"(?<![0-9A-Za-z_./\\])(?:0x)?(?=[0-9]*[a-fA-F])(?=[a-fA-F]*[0-9])[0-9a-fA-F]{32,}+"
        r"(?![0-9A-Za-z_/\\]|[.-][0-9A-Za-z])",
        lambda text: len(text) >= 32,
    ),
)
NAMES: Final = tuple(rule.name for rule in RULES)

ID_KEY: Final = rf'[{{,]"(?:{"|".join(sorted(IDS))})":"\Z'
"""What is before an id in a line of JSON, for most of them are such that they look like UUIDs or long hex."""
ID_KEY_CHARS: Final = 24

_SIGNS: Final = {"email": "", "uuid": "", "ipv4": "[.+~-]?", "ipv6": "[.:]{0,2}", "hex": "[.-]?"}
"""Behind which a rule looks."""
_MARK_CHARS: Final = 20

_VERSION: Final = r"(?:\b(?i:version|ver|release)\b[\s:=\"'.v]*|\b[A-Z][A-Za-z]*/)\Z"
_VERSION_CHARS: Final = 24
_NOBODYS: Final = ("127.", "0.", "255.")


def rules_named(names: Iterable[str]) -> tuple[str, ...]:
    """Return names of rules, each once and in their order; `all` names all of them.

    Raises:
        ValueError: there is no such rule.
    """
    wanted = {name.strip().lower() for name in names}
    if ALL in wanted:
        wanted = wanted - {ALL} | set(NAMES)
    if unknown := wanted - set(NAMES):
        raise ValueError(f"no rule {min(unknown)!r} for personal data: there are {', '.join((ALL, *NAMES))}")
    return tuple(name for name in NAMES if name in wanted)


class Scrubber:
    """Replaces personal data.

    Attributes:
        rules: Names of the rules in force.

    Args:
        rules: The same, or `all`.

    Raises:
        ValueError: there is no such rule.
    """

    def __init__(self, rules: Iterable[str]) -> None:
        self.rules = rules_named(rules)
        self._rules = tuple(rule for rule in RULES if rule.name in self.rules)
        self._gates = tuple((rule.could, compiled(rule.gate).search) for rule in self._rules)

    def may_hold(self, text: str) -> bool:
        """Say whether a text, also a line of JSON, may hold personal data, or what was put in its place."""
        return MARK in text or any(could(text) and _is_found(search, text) for could, search in self._gates)

    def scrub(self, text: str) -> str:
        """Return a text with its personal data replaced."""
        names = tuple(rule.name for rule in self._rules if rule.could(text))
        if not names:
            return text
        search = _any_of(names).search
        parts: list[str] = []
        at = kept = 0
        while (found := search(text, at)) is not None:
            start = found.start()
            end = _end(text, kept, found)
            if end is None or _is_beside_mark(text, kept, start, end, str(found.lastgroup)):
                at = start + 1
                continue
            parts += (text[kept:start], f"{MARK}{found.lastgroup}]")
            at = kept = end
        return "".join([*parts, text[kept:]]) if parts else text


@cache
def _any_of(names: tuple[str, ...]) -> re.Pattern[str]:
    return re.compile("|".join(f"(?P<{rule.name}>{rule.regex})" for rule in RULES if rule.name in names))


def _is_found(search: Callable[[str, int], re.Match[str] | None], text: str) -> bool:
    """Say whether a gate's pattern is found elsewhere than in the ids of a line."""
    at = 0
    while (found := search(text, at)) is not None:
        before = text[max(found.start() - ID_KEY_CHARS, 0) : found.start()]
        if compiled(ID_KEY).search(before) is None:
            return True
        at = text.find('"', found.end())
        if at < 0:
            return False
    return False


def _end(text: str, kept: int, found: re.Match[str]) -> int | None:
    """Return where a match ends, None where it is none after all; `kept` is the end of the one before."""
    if found.lastgroup == "ipv4":
        before = text[max(kept, found.start() - _VERSION_CHARS) : found.start()]
        return None if found[0].startswith(_NOBODYS) or compiled(_VERSION).search(before) else found.end()
    if found.lastgroup != "ipv6":
        return found.end()
    address = found[0]
    # What ends a sentence or begins a port is not part of it.
    for length in range(len(address), max(len(address) - 3, 0), -1):
        if _is_ipv6(address[:length]):
            return found.start() + length
        if address[length - 1] not in ".:":
            return None
    return None


def _is_beside_mark(text: str, kept: int, start: int, end: int, name: str) -> bool:
    """Say whether a match is beside something scrubbed, which hides what told that it is none."""
    marked_before, marked_after = _marks_beside(name)
    before = text[max(kept, start - _MARK_CHARS) : start]
    return bool(marked_before.search(before) or marked_after.match(text, end))


@cache
def _marks_beside(name: str) -> tuple[re.Pattern[str], re.Pattern[str]]:
    """Return what is found where a mark ends before a match, with what a rule looks past, or begins after."""
    mark, dash = re.escape(MARK), "-?" if name == "ipv4" else ""
    return re.compile(rf"{mark}[a-z0-9]+\]{dash}\Z"), re.compile(f"{_SIGNS[name]}{mark}")


def _is_ipv6(address: str) -> bool:
    import socket  # here, because most programs never need it

    try:
        socket.inet_pton(socket.AF_INET6, address)
    except OSError:
        return False
    # In a program `fdab::add` is a name.
    return any(char.isdigit() for char in address)
