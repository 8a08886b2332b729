"""Settings: a TOML file, then the environment, checked before anything is opened.

Every limit is here, with its unit in its name. `FLIGHTLOG_<NAME>` in upper case overrides the file.
"""

import grp
import json
import os
import socket
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Final, Literal

import msgspec
from msgspec import Meta, Struct

from flightlog_schemas.limits import LINE_LIMIT_BYTES
from flightlogd.access import parse_rules
from flightlogd.errors import ConfigError
from flightlogd.governance.policy import policy_of
from flightlogd.masking import Masker

Positive = Annotated[int, Meta(ge=1, le=2**40)]
Mode = Annotated[str, Meta(pattern="^0?[0-7]{3}$")]
Days = Annotated[int, Meta(ge=0, le=36_500)]
Rate = Annotated[int, Meta(ge=0, le=2**40)]
LogLevel = Literal["debug", "info", "warning", "error"]


class Config(Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """All settings of flightlogd; the defaults are for one machine with a disk to spare.

    Attributes:
        state_dir: Where flightlog.db lives.
        runtime_dir: Where the three sockets are bound.
        host_name: What this machine is called in answers, exports and other logs; empty: by its host name.
        log_level: Least severe entry of the daemon's own log.
        ingest_mode: File mode of ingest.sock (who may write).
        query_mode: File mode of query.sock (who may read).
        control_mode: File mode of control.sock (who may govern).
        ingest_group: Group of ingest.sock; empty leaves the daemon's own.
        query_group: Group of query.sock.
        control_group: Group of control.sock, where control_mode lets one in.
        user_rules: Which users may do what, and how much, as `user=ci may=write connections=64
            lines_per_s=2000 bytes_per_s=1000000 shed=TRACE,DEBUG`; for each of these the first rule decides
            that fits the user (`*`: everybody) and says it. In the environment they are separated by
            semicolons.
        user_connection_limit: Connections of one user on each socket.
        user_lines_per_s: Lines that one user may write a second, over all connections; more are not read
            before their time; 0: any number.
        user_bytes_per_s: Bytes that one user may write a second, likewise.
        line_limit_bytes: Longest line a peer may send.
        line_timeout_ms: How long half a line may wait for its other half.
        unfinished_limit_bytes: Unfinished lines over all connections.
        connection_limit: Connections on each socket.
        pidfd_limit: Owners of executions that are watched by a descriptor each; more are looked at twice a
            second.
        queue_limit_bytes: Lines decoded and not yet committed, over all connections.
        connection_queue_limit_bytes: The same for one connection.
        reply_limit_bytes: Answers a peer has not read before the daemon stops reading from it.
        mask_builtin: Whether to mask what looks secret or is called so, where the peer did not.
        mask_patterns: What else is secret: patterns in RE2's syntax, looked for in lines as they are written,
            and what they match in texts, values and keys is masked. In the environment they are separated by
            semicolons.
        scrub_rules: The personal data that is scrubbed from texts, whoever sent them, never from ids: any of
            `email`, `ipv4`, `ipv6`, `uuid` and `hex`, or `all`. In the environment they are separated by
            semicolons.
        refused_limit_rows: Refused lines whose bytes are kept.
        refused_line_limit_bytes: How much of a refused line is kept.
        database_limit_bytes: Largest database file; 0 leaves it to the disk.
        reserve_bytes: Disk space kept aside in flightlog.reserve, at the most an eighth of the file system;
            given up when the disk is full, so that retention can work; 0: none.
        checkpoint_bytes: WAL size at which the writer copies it into the database.
        wal_limit_bytes: WAL size at which long readers are interrupted so that it can shrink.
        recent_limit_bytes: Committed lines kept in memory for tails.
        query_timeout_ms: Longest single read of the database.
        reader_limit: Threads (and connections to the database) that answer one user's questions at a time;
            there is one more, so that others need not wait for them.
        cursor_limit: Named cursors of one user.
        cursor_lag_warn_seqs: A named cursor that is more positions behind is warned of; 0: never.
        cursor_lag_warn_s: A named cursor that has left lines unread for longer is warned of; 0: never.
        search: Whether words are indexed, in search.db, for `flightlog search`.
        retention_days: How long log lines of ended executions are kept; 0: for ever.
        retention_bytes: The oldest log lines of ended executions go while the database is larger than this;
            0: any size.
        retention_rules: Exceptions to retention_days, as `level=DEBUG,TRACE status=succeeded project=/srv/app
            keep=7d`; the first whose conditions all fit decides (`keep=forever` keeps). In the environment
            they are separated by semicolons.
        audit_retention_days: How long everything else of an ended execution is kept, at least as long as its
            log; then it goes whole, from all read models; 0: for ever.
        compress_after_s: How old lines are when they are compressed, once there is time for it.
        table_warn_bytes: Size of a table, indexes included, above which the daemon's log warns daily.
        retry_ms: Pause between attempts while storage fails.
        drain_timeout_ms: Longest orderly stop.
    """

    state_dir: str
    runtime_dir: str
    host_name: Annotated[str, Meta(max_length=255)] = ""
    log_level: LogLevel = "info"
    ingest_mode: Mode = "0660"
    query_mode: Mode = "0660"
    control_mode: Mode = "0600"
    ingest_group: str = ""
    query_group: str = ""
    control_group: str = ""
    user_rules: tuple[str, ...] = ()
    user_connection_limit: Positive = 2048
    user_lines_per_s: Rate = 0
    user_bytes_per_s: Rate = 0
    line_limit_bytes: Annotated[int, Meta(ge=1024, le=64 * 1024 * 1024)] = LINE_LIMIT_BYTES
    line_timeout_ms: Positive = 30_000
    unfinished_limit_bytes: Positive = 32 * 1024 * 1024
    connection_limit: Positive = 4096
    pidfd_limit: Annotated[int, Meta(ge=0, le=2**20)] = 16_384
    queue_limit_bytes: Positive = 8 * 1024 * 1024
    connection_queue_limit_bytes: Positive = 2 * 1024 * 1024
    reply_limit_bytes: Positive = 256 * 1024
    mask_builtin: bool = True
    mask_patterns: tuple[str, ...] = ()
    scrub_rules: tuple[str, ...] = ()
    refused_limit_rows: Positive = 10_000
    refused_line_limit_bytes: Positive = 4096
    database_limit_bytes: Annotated[int, Meta(ge=0, le=2**45)] = 0
    reserve_bytes: Annotated[int, Meta(ge=0, le=2**40)] = 16 * 1024 * 1024
    checkpoint_bytes: Positive = 16 * 1024 * 1024
    wal_limit_bytes: Positive = 256 * 1024 * 1024
    recent_limit_bytes: Positive = 8 * 1024 * 1024
    query_timeout_ms: Positive = 10_000
    reader_limit: Annotated[int, Meta(ge=1, le=64)] = 4
    cursor_limit: Positive = 1000
    cursor_lag_warn_seqs: Annotated[int, Meta(ge=0, le=2**60)] = 1_000_000
    cursor_lag_warn_s: Annotated[int, Meta(ge=0, le=2**32)] = 7 * 24 * 3600
    search: bool = True
    retention_days: Days = 30
    retention_bytes: Annotated[int, Meta(ge=0, le=2**50)] = 0
    retention_rules: tuple[str, ...] = ()
    audit_retention_days: Days = 365
    compress_after_s: Annotated[int, Meta(ge=0, le=2**32)] = 3600
    table_warn_bytes: Positive = 1_000_000_000
    retry_ms: Positive = 1000
    drain_timeout_ms: Positive = 10_000

    @property
    def machine(self) -> str:
        """What this machine is called."""
        return self.host_name or socket.gethostname()


RELOADABLE: Final = frozenset(
    {
        "log_level",
        "line_timeout_ms",
        "connection_limit",
        "user_rules",
        "user_connection_limit",
        "user_lines_per_s",
        "user_bytes_per_s",
        "mask_builtin",
        "mask_patterns",
        "scrub_rules",
        "refused_limit_rows",
        "refused_line_limit_bytes",
        "database_limit_bytes",
        "checkpoint_bytes",
        "wal_limit_bytes",
        "query_timeout_ms",
        "cursor_limit",
        "cursor_lag_warn_seqs",
        "cursor_lag_warn_s",
        "retention_days",
        "retention_bytes",
        "retention_rules",
        "audit_retention_days",
        "compress_after_s",
        "table_warn_bytes",
        "retry_ms",
        "drain_timeout_ms",
    }
)
"""Settings that SIGHUP takes over; the others need a restart, and say so."""

_LISTS: Final = frozenset({"user_rules", "mask_patterns", "scrub_rules", "retention_rules"})
"""Settings that hold several texts."""

ENVIRONMENT_PREFIX: Final = "FLIGHTLOG_"


def load_config(
    file: Path | None = None,
    *,
    overrides: Mapping[str, str | None] | None = None,
    environ: Mapping[str, str] = os.environ,
) -> Config:
    """Return the settings from defaults, then `file`, then the environment, then `overrides`.

    Args:
        file: A TOML file; None reads none.
        overrides: Settings from the command line by name; None values are left out.
        environ: The environment.

    Raises:
        ConfigError: the file cannot be read, or a setting is unknown or out of range. All are checked
            before anything is opened, and the reason names the setting and where it came from.
    """
    values: dict[str, Any] = default_directories(environ)
    origin = dict.fromkeys(values, "the default")
    if file is not None:
        for name, value in _read_file(file).items():
            values[name], origin[name] = value, str(file)
    for name in Config.__struct_fields__:
        variable = ENVIRONMENT_PREFIX + name.upper()
        if variable in environ:
            values[name], origin[name] = _from_environment(name, environ[variable]), variable
    for name, given in (overrides or {}).items():
        if given is not None:
            values[name], origin[name] = given, f"--{name.replace('_', '-')}"
    try:
        config = msgspec.convert(values, Config, strict=False)
    except msgspec.ValidationError as error:
        raise _explain(error, origin) from None
    _check_together(config)
    return config


def default_directories(environ: Mapping[str, str]) -> dict[str, str]:
    """Return state_dir and runtime_dir: systemd's, else root's, else the XDG ones of this user."""
    if os.geteuid() == 0:
        state, runtime = "/var/lib/flightlog", "/run/flightlog"
    else:
        home = environ.get("XDG_STATE_HOME") or str(Path("~/.local/state").expanduser())
        state = f"{home}/flightlog"
        runtime = f"{environ.get('XDG_RUNTIME_DIR') or f'/run/user/{os.getuid()}'}/flightlog"
    # systemd lists several directories with colons; ours is the first.
    state = environ.get("STATE_DIRECTORY", state).partition(":")[0]
    runtime = environ.get("RUNTIME_DIRECTORY", runtime).partition(":")[0]
    return {"state_dir": state, "runtime_dir": runtime}


def render_config(config: Config) -> str:
    """Return the settings as a TOML file that `load_config` reads back."""
    # JSON's strings and integers are TOML's, too.
    lines = [f"{name} = {json.dumps(getattr(config, name))}" for name in Config.__struct_fields__]
    return "\n".join(lines) + "\n"


def changed_settings(old: Config, new: Config) -> tuple[list[str], list[str]]:
    """Return the names that differ: those that a reload takes over, and those that need a restart."""
    names = [name for name in Config.__struct_fields__ if getattr(old, name) != getattr(new, name)]
    return [n for n in names if n in RELOADABLE], [n for n in names if n not in RELOADABLE]


def _read_file(file: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(file.read_text("utf-8"))
    except OSError as error:
        raise ConfigError(f"{file}: {error.strerror}", "name an existing file with --config") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{file}: {error}") from None


def _from_environment(name: str, text: str) -> str | list[str]:
    """Return a variable's text, or its parts where the setting is a list."""
    if name not in _LISTS:
        return text
    return [part.strip() for part in text.split(";") if part.strip()]


def _explain(error: msgspec.ValidationError, origin: Mapping[str, str]) -> ConfigError:
    """Say which setting is wrong and where it came from, in an operator's words."""
    what, _, where = str(error).partition(" - at `$.")
    name = where.rstrip("`")
    if "unknown field" in what:
        unknown = what.rpartition("field ")[2].strip("`")
        return ConfigError(
            f"{origin.get(unknown, 'settings')}: {unknown}: no such setting",
            "flightlogd print-config lists them",
        )
    return ConfigError(f"{origin.get(name, 'settings')}: {name}: {what[:1].lower() + what[1:]}")


def _check_together(config: Config) -> None:
    """Check what one field cannot know."""
    for name in ("state_dir", "runtime_dir"):
        if not Path(getattr(config, name)).is_absolute():
            raise ConfigError(f"{name}: {getattr(config, name)!r} is not an absolute path")
    if len(os.fsencode(config.runtime_dir)) > 90:
        # sockaddr_un holds 107 bytes (unix(7)), and "/control.sock" is 13 of them.
        raise ConfigError(
            f"runtime_dir: {config.runtime_dir!r} is too long for a socket", "choose a shorter path"
        )
    for name in ("ingest_group", "query_group", "control_group"):
        group = getattr(config, name)
        if group:
            try:
                grp.getgrnam(group)
            except KeyError:
                raise ConfigError(f"{name}: no group {group!r} on this machine") from None
    try:
        parse_rules(config.user_rules)
    except ValueError as error:
        raise ConfigError(f"user_rules: {error}") from None
    try:
        policy_of(
            config.retention_days,
            config.audit_retention_days,
            config.retention_bytes,
            config.retention_rules,
        )
    except ValueError as error:
        raise ConfigError(f"retention_rules: {error}") from None
    if 0 < config.audit_retention_days < config.retention_days:
        raise ConfigError(
            f"audit_retention_days: {config.audit_retention_days} is less than retention_days",
            "what an execution was is kept at least as long as its log",
        )
    Masker(builtin=config.mask_builtin, patterns=config.mask_patterns, scrub_rules=config.scrub_rules)
    if config.queue_limit_bytes < config.connection_queue_limit_bytes:
        raise ConfigError("queue_limit_bytes: less than connection_queue_limit_bytes")
