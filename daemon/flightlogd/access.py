"""Which user may do what, and how much of it. Pure, but for the names of users.

A rule is a line of text: a user, and what is said of them.

    user=ci lines_per_s=2000 shed=TRACE,DEBUG
    user=1001 may=write
    user=* may=write,read connections=64

For each thing that can be said, the first rule that fits the user and says it decides; where none does, the
settings do.
"""

import os
import pwd
import shlex
from collections.abc import Iterator, Sequence
from typing import Any, Final

from msgspec import Struct
from msgspec.structs import replace

from flightlogd.governance.policy import parse_levels
from flightlogd.recorded import ROOT_UID

RIGHTS: Final = {"ingest": "write", "query": "read", "control": "govern"}
"""What each socket is for."""

_UID_LIMIT: Final = 2**32 - 2
"""The largest uid: the one above it means none (chown(2))."""

_NO_UID: Final = -1
"""Whom a rule for an unknown user fits: nobody."""

_ALL_RIGHTS: Final = frozenset(RIGHTS.values())
_FORM: Final = "a rule is like: user=ci may=write,read connections=64 lines_per_s=2000 shed=TRACE,DEBUG"


class UserRule(Struct, frozen=True, kw_only=True):
    """What one line says; None where it says nothing.

    Attributes:
        user: Of whom, as it is written.
        uid: The same by number; None: everybody.
        may: Which rights they have.
        connections: How many connections on each socket.
        lines_per_s: How many lines a second; 0: any.
        bytes_per_s: How many bytes a second; 0: any.
        shed: Log lines of these level ranges (names) are not stored while the user is over a rate.
    """

    user: str
    uid: int | None
    may: frozenset[str] | None = None
    connections: int | None = None
    lines_per_s: int | None = None
    bytes_per_s: int | None = None
    shed: frozenset[str] | None = None


class Bounds(Struct, frozen=True, kw_only=True):
    """What holds for one user; a rate of 0 is none."""

    may: frozenset[str]
    connections: int
    lines_per_s: int
    bytes_per_s: int
    shed: frozenset[str]


def bounds_of(uid: int, rules: Sequence[UserRule], default: Bounds) -> Bounds:
    """Return what holds for a user.

    Rules for everybody leave root and the daemon's own user their rights: who could lift them would else be
    locked out. A rule that names them holds.

    Args:
        uid: The user.
        rules: In their order.
        default: Where no rule says it.
    """
    found: dict[str, Any] = {}
    for rule in rules:
        if rule.uid not in (None, uid):
            continue
        for name in Bounds.__struct_fields__:
            said = getattr(rule, name)
            if name == "may" and rule.uid is None and uid in (ROOT_UID, os.geteuid()):
                continue
            if said is not None:
                found.setdefault(name, said)
    return replace(default, **found)


def default_bounds(connections: int, lines_per_s: int, bytes_per_s: int) -> Bounds:
    """Return what holds where no rule says otherwise: the file modes of the sockets decide who may what."""
    return Bounds(
        may=_ALL_RIGHTS,
        connections=connections,
        lines_per_s=lines_per_s,
        bytes_per_s=bytes_per_s,
        shed=frozenset(),
    )


def parse_rules(texts: Sequence[str]) -> tuple[UserRule, ...]:
    """Return the rules that lines of text say.

    Raises:
        ValueError: one says none; the message says what is wrong.
    """
    return tuple(map(_parse_rule, texts))


def doubts_about(rules: Sequence[UserRule], default: Bounds) -> Iterator[str]:
    """Yield what rules say without effect, for whoever wrote them.

    A user who is not known is no error: names come and go, as in a directory service that is away at start.

    Args:
        rules: In their order.
        default: Where no rule says it.
    """
    named = {rule.uid for rule in rules if rule.uid is not None}
    for rule in rules:
        if rule.uid == _NO_UID:
            yield f"no user {rule.user!r} on this machine: the rule fits nobody until a reload finds one"
        fits = named | {_NO_UID} if rule.uid is None else {rule.uid}
        if rule.shed and not any(_has_rate(bounds_of(uid, rules, default)) for uid in fits):
            yield f"user={rule.user}: shed has no effect without lines_per_s or bytes_per_s"


def _has_rate(bounds: Bounds) -> bool:
    return bool(bounds.lines_per_s or bounds.bytes_per_s)


def _parse_rule(text: str) -> UserRule:
    said: dict[str, str] = {}
    try:
        words = shlex.split(text)
    except ValueError as error:
        raise ValueError(f"{text!r}: {error}; {_FORM}") from None
    for word in words:
        key, equals, value = word.partition("=")
        known = key == "user" or key in Bounds.__struct_fields__
        if not equals or not value or not known or key in said:
            raise ValueError(f"{text!r}: {word!r} is not understood; {_FORM}")
        said[key] = value
    if len(said) < 2 or "user" not in said:
        raise ValueError(f"{text!r}: user= and something said of them; {_FORM}")
    return UserRule(
        user=said["user"],
        uid=_uid_of(said["user"]),
        may=_rights(said["may"]) if "may" in said else None,
        shed=parse_levels(said["shed"].split(",")) if "shed" in said else None,
        **{
            name: _number(name, said[name], least)
            for name, least in (("connections", 1), ("lines_per_s", 0), ("bytes_per_s", 0))
            if name in said
        },
    )


def _uid_of(user: str) -> int | None:
    if user == "*":
        return None
    if user.isascii() and user.isdigit():
        return _number("user", user, 0, _UID_LIMIT)
    try:
        return pwd.getpwnam(user).pw_uid
    except KeyError:
        return _NO_UID


def _rights(text: str) -> frozenset[str]:
    if text == "nothing":
        return frozenset()
    rights = frozenset(text.split(","))
    if not rights <= _ALL_RIGHTS:
        raise ValueError(f"may={text}: nothing, or of {', '.join(RIGHTS.values())}")
    return rights


def _number(name: str, text: str, least: int, most: int = 2**40) -> int:
    digits = text.isascii() and text.isdigit() and len(text) <= len(str(most))
    if not (digits and least <= int(text) <= most):
        raise ValueError(f"{name}={text}: a number from {least} to {most}")
    return int(text)
