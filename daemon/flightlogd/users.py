"""The users who are connected: how many connections each has, how much they send, what was shed of it."""

import math
from collections import Counter, deque
from typing import Final, Literal

import structlog
import trio
from msgspec import Struct, field

from flightlog_schemas.answers import UserStatus
from flightlog_schemas.events import DaemonSuppressed
from flightlog_schemas.events.daemon import SuppressedLines
from flightlogd.access import (
    RIGHTS,
    Bounds,
    UserRule,
    bounds_of,
    default_bounds,
    doubts_about,
    parse_rules,
)
from flightlogd.clock import system_clock
from flightlogd.config import Config
from flightlogd.loopshare import LoopShare

logger = structlog.get_logger(__name__)

_BURST_S: Final = 1.0
"""How much of a rate may be used at once, after a time without use."""

_LIMITED_S: Final = 5.0
"""One who was not held back for so long is not limited any more."""

_SAMPLES: Final = 3
"""Over how many samples the rate in `status` is averaged."""

_LONGEST_PAUSE_S: Final = 0.5
"""How soon a rate that a reload changed holds for those who wait."""

_REMEMBERED: Final = 1000
"""Users without a connection whose counts are kept."""

_FEW: Final = 64
"""So many connections of one user are no crowd."""

_NAMED_PRODUCERS: Final = 100
"""How many producers one report of what was shed names."""


class Refusal(Struct, frozen=True):
    """Why a connection is closed at once."""

    code: Literal["not_allowed", "too_many_connections"]
    reason: str
    hint: str


class Bucket:
    """A rate: a second's worth may be used at once, and what was used too much has to be waited for.

    Args:
        per_s: The rate; 0: any.
        now: The time, seconds by trio's clock.
    """

    def __init__(self, per_s: int, now: float) -> None:
        self.per_s = per_s
        self._left = per_s * _BURST_S
        self._at = now

    def left(self, now: float) -> float:
        """Return what may be used now; less than nothing where too much was."""
        if not self.per_s:
            return math.inf
        self._left = min(self.per_s * _BURST_S, self._left + (now - self._at) * self.per_s)
        self._at = now
        return self._left

    def use(self, amount: float) -> None:
        """Use so much, also if that is too much."""
        self._left -= amount

    def change(self, per_s: int, now: float) -> None:
        """Go on at another rate."""
        if per_s != self.per_s:
            left = self.left(now)
            self.per_s = per_s
            self._left = min(left, per_s * _BURST_S)
            self._at = now


class Shed(Struct):
    """What was shed of one user since it was last reported."""

    lines: int = 0
    by_level: dict[str, int] = field(default_factory=dict)
    producers: dict[str, list[int]] = field(default_factory=dict)
    """First and last line that was shed, and how many between them."""
    since: int = 0


class User:
    """One user, over all connections.

    Args:
        uid: Who, by the kernel.
        bounds: What holds for them.
    """

    def __init__(self, uid: int, bounds: Bounds) -> None:
        now = trio.current_time()
        self.uid = uid
        self.bounds = bounds
        self.connections = dict.fromkeys(RIGHTS, 0)
        self.shed_lines = 0
        self._lines = Bucket(bounds.lines_per_s, now)
        self._bytes = Bucket(bounds.bytes_per_s, now)
        self._limited_since: int | None = None
        self._limited_at = -math.inf
        self._read_lines = 0
        self.lone_lines = 0
        """Lines that the writer has read itself; counted on its thread."""
        self._samples = deque([(now, 0)], maxlen=_SAMPLES)
        self._shed = Shed()

    def change(self, bounds: Bounds) -> None:
        """Take over other bounds."""
        now = trio.current_time()
        self.bounds = bounds
        self._lines.change(bounds.lines_per_s, now)
        self._bytes.change(bounds.bytes_per_s, now)

    async def turn(self) -> None:
        """Return when the rates allow to read more.

        What can be shed need not wait, unless what cannot is too much by itself.
        """
        while (pause_s := self._overdrawn_s() - (_BURST_S if self.bounds.shed else 0)) > 0:
            self._note_limited()
            await trio.sleep(min(pause_s, _LONGEST_PAUSE_S))

    @property
    def rated(self) -> bool:
        """True where a rate holds for this user."""
        return bool(self._lines.per_s or self._bytes.per_s)

    def use(self, lines: int, size_bytes: int) -> None:
        """Note what was read."""
        self._lines.use(lines)
        self._bytes.use(size_bytes)
        self._read_lines += lines

    def sample(self) -> None:
        """Note how much there was until now, every few seconds."""
        self._samples.append((trio.current_time(), self._read_lines + self.lone_lines))

    @property
    def overdrawn(self) -> bool:
        """True where more was read than the rates allow."""
        return self._overdrawn_s() > 0

    def shed(self, producer: str, line: int, level: str, size_bytes: int) -> None:
        """Note that a line is not stored; it does not count against the rates."""
        self._note_limited()
        self._lines.use(-1)
        self._bytes.use(-size_bytes)
        self.shed_lines += 1
        shed = self._shed
        if not shed.lines:
            shed.since = system_clock()
        shed.lines += 1
        shed.by_level[level] = shed.by_level.get(level, 0) + 1
        span = shed.producers.get(producer)
        if span is not None:
            shed.producers[producer] = [min(span[0], line), max(span[1], line), span[2] + 1]
        elif len(shed.producers) < _NAMED_PRODUCERS:
            shed.producers[producer] = [line, line, 1]

    def report(self) -> DaemonSuppressed | None:
        """Return what was shed since this was last asked."""
        shed, self._shed = self._shed, Shed()
        if not shed.lines:
            return None
        return DaemonSuppressed(
            peer_uid=self.uid,
            lines=shed.lines,
            by_level=shed.by_level,
            producers=tuple(
                SuppressedLines(producer=name, first_line=first, last_line=last, count=count)
                for name, (first, last, count) in shed.producers.items()
            ),
            since=shed.since,
            reason=self._rates(),
        )

    @property
    def idle(self) -> bool:
        """True where nothing of this user has to be remembered."""
        return not any(self.connections.values()) and not self._shed.lines and not self.overdrawn

    def status(self, queued_bytes: int) -> UserStatus:
        """Return how this user is."""
        now = trio.current_time()
        since, before = self._samples[0]
        return UserStatus(
            uid=self.uid,
            connections=dict(self.connections),
            lines_per_s=round((self._read_lines + self.lone_lines - before) / max(now - since, 1.0), 1),
            queued_bytes=queued_bytes,
            limited_since=self._limited_since if now - self._limited_at < _LIMITED_S else None,
            suppressed=self.shed_lines,
        )

    def _overdrawn_s(self) -> float:
        """Return how long it takes until what was used too much is made up for."""
        now = trio.current_time()
        return max(
            (-bucket.left(now) / bucket.per_s for bucket in (self._lines, self._bytes) if bucket.per_s),
            default=0.0,
        )

    def _note_limited(self) -> None:
        now = trio.current_time()
        if now - self._limited_at >= _LIMITED_S:
            self._limited_since = system_clock()
            logger.warning("a user is over a rate", uid=self.uid, rate=self._rates())
        self._limited_at = now

    def _rates(self) -> str:
        rates = ((self.bounds.lines_per_s, "lines"), (self.bounds.bytes_per_s, "bytes"))
        return " and ".join(f"{rate} {unit} a second" for rate, unit in rates if rate)


class Users:
    """All who are connected, or were.

    Args:
        config: What holds for them.
    """

    def __init__(self, config: Config) -> None:
        self._users: dict[int, User] = {}
        self._connected: Counter[int] = Counter()
        self.share = LoopShare()
        self.configure(config)

    def configure(self, config: Config) -> None:
        """Take over other rules: rates hold at once, the rest for connections that come."""
        self._rules, self._default = _said(config)
        for doubt in doubts_about(self._rules, self._default):
            logger.warning("a rule of user_rules has no effect", reason=doubt)
        for user in self._users.values():
            user.change(bounds_of(user.uid, self._rules, self._default))

    def of(self, uid: int) -> User:
        """Return one user, known or new."""
        user = self._users.get(uid)
        if user is None:
            if len(self._users) >= _REMEMBERED:
                self._forget_idle()
            user = self._users[uid] = User(uid, bounds_of(uid, self._rules, self._default))
        return user

    def enter(self, socket: str, uid: int) -> None:
        """Note a connection."""
        self.of(uid).connections[socket] += 1
        self._connected[uid] += 1
        self._note_crowd()

    def leave(self, socket: str, uid: int) -> None:
        """Note the end of a connection."""
        self.of(uid).connections[socket] -= 1
        self._connected[uid] -= 1
        if not self._connected[uid]:
            del self._connected[uid]
        self._note_crowd()

    def refusal(self, socket: str, uid: int) -> Refusal | None:
        """Return why a user gets no connection on a socket, None where one may be had."""
        user = self.of(uid)
        right = RIGHTS[socket]
        if right not in user.bounds.may:
            return Refusal(
                "not_allowed",
                f"uid {uid} may not {right} here",
                "ask who runs flightlogd: its user_rules say who may what",
            )
        if user.connections[socket] >= user.bounds.connections:
            return Refusal(
                "too_many_connections",
                f"uid {uid} has {user.connections[socket]} connections on {socket}.sock, no more are allowed",
                "close idle ones, or raise user_connection_limit and reload",
            )
        return None

    def reports(self) -> list[DaemonSuppressed]:
        """Return what was shed since this was last asked, by user."""
        return [report for user in self._users.values() if (report := user.report()) is not None]

    def sample(self) -> None:
        """Note how much each has sent until now."""
        for user in self._users.values():
            user.sample()

    def all(self) -> list[User]:
        """Return them, those with most connections first."""
        return sorted(self._users.values(), key=lambda user: -sum(user.connections.values()))

    def _note_crowd(self) -> None:
        self.share.crowded = len(self._connected) > 1 or self._connected.total() > _FEW

    def _forget_idle(self) -> None:
        self._users = {uid: user for uid, user in self._users.items() if not user.idle}


def rule_doubts(config: Config) -> list[str]:
    """Return what settings say of users without effect."""
    return list(doubts_about(*_said(config)))


def _said(config: Config) -> tuple[tuple[UserRule, ...], Bounds]:
    """Return what settings say of users, and what holds where no rule says otherwise."""
    default = default_bounds(config.user_connection_limit, config.user_lines_per_s, config.user_bytes_per_s)
    return parse_rules(config.user_rules), default
