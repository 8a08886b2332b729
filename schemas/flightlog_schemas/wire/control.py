"""control.sock: what operators ask of a running daemon. Framed as query.sock is."""

from typing import Annotated, Final, Literal

from msgspec import Meta, Struct, field

from flightlog_schemas.statuses import Status


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


class Scrub(Struct, kw_only=True, forbid_unknown_fields=True):
    """Mask a value in all that the daemon keeps; ids are left, and counted.

    Answer: `{"scrub":{...}}`; before it `{"progress":{...}}` where asked for.

    Attributes:
        value: What is secret, as it is; its other spellings are found by it.
        dry_run: Only count.
        state_dir: The one that is meant, where given: a daemon that keeps another refuses.
        progress: Say from time to time how far it is.
    """

    value: str
    dry_run: bool = False
    state_dir: str | None = None
    progress: bool = False


class Hold(Struct, kw_only=True, forbid_unknown_fields=True):
    """Take no line out of the log while this connection is open: `{"held":{"seq"}}`, and no end.

    `state_dir`, where given, is the one that is meant: a daemon that keeps another refuses.
    """

    state_dir: str | None = None


class Reload(Struct, kw_only=True, forbid_unknown_fields=True):
    """Read the configuration again, as SIGHUP does: `{"reload":{"changed", "needs_restart"}}`."""


ControlRequest = Rebuild | Reload | Retention | Scrub | Hold
CONTROL_REQUESTS: Final[dict[str, type[ControlRequest]]] = {
    "rebuild": Rebuild,
    "reload": Reload,
    "retention": Retention,
    "scrub": Scrub,
    "hold": Hold,
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


class Scrubbed(Struct, kw_only=True):
    """What a scrub did, or would do.

    Attributes:
        dry_run: It only counted.
        lines: Lines of the log in which the value was masked.
        ids: Lines that hold it in an id, where it cannot be masked.
        id_executions: Executions (up to 20) of those lines.
        refused: Refused lines in which it was masked.
        rows: Rows of read models that were put right.
        backups: Files beside the database that held it and were deleted.
        search_renewed: The index of words was thrown away and is made anew.
        wal_cut: The write-ahead log is empty; False: readers held it, a later checkpoint overwrites it.
        spools: Directories of clients' spools, which are out of reach here: what lies there may hold it.
    """

    dry_run: bool
    lines: int = 0
    ids: int = 0
    id_executions: list[str] = field(default_factory=list)
    refused: int = 0
    rows: int = 0
    backups: list[str] = field(default_factory=list)
    search_renewed: bool = False
    wal_cut: bool = False
    spools: list[str] = field(default_factory=list)


class Progress(Struct, kw_only=True):
    """How far something is: positions, tables, rows, executions or pages; `total` 0: nobody knows."""

    step: Literal["feed", "compare", "mend", "remove", "sweep", "shrink", "scrub", "copy"]
    done: int
    total: int
