"""control.sock: what operators ask of a running daemon. Framed as query.sock is."""

from typing import Annotated, Final, Literal

from msgspec import Meta, Struct

from flightlog_schemas.wire.query import Status


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


class Retention(Struct, kw_only=True, forbid_unknown_fields=True):
    """Remove what is over its time by the settings, or, with any of the conditions, what these say instead.

    Answer: `{"share":{...}}` for each level, status and project that log lines were taken of, and then one
    `{"retention":{...}}`; before them `{"progress":{...}}` where asked for.

    Attributes:
        dry_run: Only say what would go.
        older_than_us: Log lines of ended executions received so long ago, microseconds.
        level: Of these levels only.
        status: Of executions that ended so only.
        project: Of executions of this project only.
        state_dir: The one that is meant, where given: a daemon that keeps another refuses.
        progress: Say from time to time how far it is.
    """

    dry_run: bool = False
    older_than_us: Annotated[int, Meta(ge=0)] | None = None
    level: tuple[str, ...] = ()
    status: tuple[Status, ...] = ()
    project: str | None = None
    state_dir: str | None = None
    progress: bool = False


class Reload(Struct, kw_only=True, forbid_unknown_fields=True):
    """Read the configuration again, as SIGHUP does: `{"reload":{"changed", "needs_restart"}}`."""


ControlRequest = Rebuild | Reload | Retention
CONTROL_REQUESTS: Final[dict[str, type[ControlRequest]]] = {
    "rebuild": Rebuild,
    "reload": Reload,
    "retention": Retention,
}


class Difference(Struct, kw_only=True):
    """How one table of a read model differed from what the log says."""

    table: str
    missing: int
    extra: int
    changed: int


class Share(Struct, kw_only=True):
    """Log lines that went, or would go, of one level and of executions of one status and project."""

    level: str
    status: str
    project: str | None
    lines: int
    bytes: int


class Retained(Struct, kw_only=True):
    """What a pass of retention did, or would do.

    Attributes:
        dry_run: It only looked.
        lines: Log lines (and users' events of no execution) that went.
        bytes: Bytes of those.
        executions: Executions that went whole.
        execution_lines: Their lines.
        used_bytes: How much of the database is in use after it.
        file_bytes: How large its file is after it.
        limit_bytes: How large it may be; None: any size.
    """

    dry_run: bool
    lines: int = 0
    bytes: int = 0
    executions: int = 0
    execution_lines: int = 0
    used_bytes: int = 0
    file_bytes: int = 0
    limit_bytes: int | None = None


class Progress(Struct, kw_only=True):
    """How far something is: positions, tables, rows, executions or pages; `total` 0: nobody knows."""

    step: Literal["feed", "compare", "mend", "remove", "sweep", "shrink"]
    done: int
    total: int
