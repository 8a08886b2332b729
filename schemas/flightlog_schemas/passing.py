"""What passes from log to log: how far relays of this one are, and how late what came of others was."""

from msgspec import Struct


class RelayStatus(Struct, kw_only=True):
    """How far a relay has passed on this log: a cursor whose name begins with `relay:`.

    `target` is where to, the rest of that name. It has all up to `seq`; `lag` positions come after that, and
    the first of them has been here for `lag_us` microseconds. `moved_at` is when it got on last.
    """

    target: str
    name: str
    uid: int
    seq: int
    lag: int
    lag_us: int
    moved_at: int


class OriginStatus(Struct, kw_only=True):
    """How far another log is here.

    `last_seq` is the highest position of it that is here, `last_at` when its newest line was received there,
    `received_at` when lines of it came here last, and `lag_us` how long after `last_at` that was.
    """

    host: str
    log_id: str
    last_seq: int
    last_at: int
    received_at: int
    lag_us: int
