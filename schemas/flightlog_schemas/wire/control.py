"""control.sock: what operators ask of a running daemon. Framed as query.sock is."""

from typing import Final, Literal

from msgspec import Struct


class Rebuild(Struct, kw_only=True, forbid_unknown_fields=True):
    """Compute read models again from the log; `check` only compares.

    `state_dir`, where given, is the one that is meant: a daemon that keeps another refuses. With `progress`
    it says from time to time how far it is.

    Answer: `{"difference":{"table", "missing", "extra", "changed"}}` for each table that differed, before
    them `{"progress":{"step", "done", "total"}}` where asked for.
    """

    projections: tuple[str, ...] = ()
    check: bool = False
    state_dir: str | None = None
    progress: bool = False


class Reload(Struct, kw_only=True, forbid_unknown_fields=True):
    """Read the configuration again, as SIGHUP does: `{"reload":{"changed", "needs_restart"}}`."""


ControlRequest = Rebuild | Reload
CONTROL_REQUESTS: Final[dict[str, type[Rebuild] | type[Reload]]] = {"rebuild": Rebuild, "reload": Reload}


class Difference(Struct, kw_only=True):
    """How one table of a read model differed from what the log says."""

    table: str
    missing: int
    extra: int
    changed: int


class Progress(Struct, kw_only=True):
    """How far a rebuild is: positions fed, tables compared, or rows put right so far (`total` is 0 then)."""

    step: Literal["feed", "compare", "mend"]
    done: int
    total: int
