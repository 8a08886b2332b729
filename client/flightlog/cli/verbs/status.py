"""`flightlog status`: how the daemon is."""

from typing import Any, Final

from flightlog import paths
from flightlog.cli.output import Output, shown_status
from flightlog.cli.text import bytes_text, tsv
from flightlog.cli.verb import Session, json_option, verb
from flightlog.errors import DaemonAway
from flightlog.waiting import waiting_spools
from flightlog_schemas.answers import DaemonStatus, RetentionStatus, SearchStatus, StoredStatus, UserStatus
from flightlog_schemas.passing import OriginStatus, RelayStatus
from flightlog_schemas.times import duration_text
from flightlog_schemas.wire.query import StatusRequest

_SHOWN: Final = 10
"""How many relays and other logs are told of in text; --json has a hundred."""


@verb("status", "flightlog status --json")
@json_option
def command(session: Session, as_json: bool) -> None:
    """Show how the daemon is.

    Its state, how much it holds, whether its read models keep up. Each relay has a line, `relay`: where to,
    the position up to which all is there, what is not, and when it got on last. So has each other log whose
    lines `flightlog collect` brings, `origin`, the latest first: its machine, its position, when the newest
    line was received there, and how much later here. Exit code 2 when no daemon answers.
    """
    output = session.output()
    spool = _spool()
    try:
        with session.daemon.examine() as daemon:
            if as_json:
                output.json(shown_status(daemon.one(StatusRequest(), dict[str, Any])) | {"spool": spool})
            else:
                _show(output, daemon.one(StatusRequest(), DaemonStatus), spool)
    except DaemonAway:
        if spool["lines"]:
            session.say(_spool_text(spool))
        raise


def _spool() -> dict[str, Any]:
    """Return what waits on disk for a daemon, as far as this user can see."""
    directory = paths.spool_dir(True)
    found = [] if directory is None else waiting_spools(directory)
    return {
        "directory": None if directory is None else str(directory),
        "files": len(found),
        "lines": sum(spool.lines or 0 for spool in found),
        "size_bytes": sum(spool.size_bytes for spool in found),
        "unreadable": sum(spool.state == "unreadable" for spool in found),
    }


def _spool_text(spool: dict[str, Any]) -> str:
    unreadable = f", {spool['unreadable']:,} cannot be read" if spool["unreadable"] else ""
    return f"{spool['lines']:,} lines wait in {spool['directory']}{unreadable}"


def _show(output: Output, status: DaemonStatus, spool: dict[str, Any]) -> None:
    healthy = (
        status.state == "ok"
        and status.search.state != "failing"
        and all(model.broken_at is None for model in status.projections)
    )
    state = status.state if status.state_reason is None else f"{status.state}: {status.state_reason}"
    facts: list[tuple[str, str, str | None]] = [
        ("state", state, "green" if healthy else "red"),
        (
            "daemon",
            f"flightlogd {status.version}, process {status.pid}, up {duration_text(status.uptime_us)}",
            None,
        ),
        ("writer", f"{status.phase}, {status.queued_lines:,} lines queued", None),
        ("log", f"{status.head_seq:,} events, {bytes_text(status.database_bytes)}", None),
        ("lines", _stored(status.stored), None),
        ("wal", *_wal(status)),
        ("disk", f"{bytes_text(status.free_bytes)} free, {bytes_text(status.reserve_bytes)} aside", None),
        ("memory", bytes_text(status.memory_bytes), None),
        ("running", f"{status.running:,}", None),
        ("cursors", *_cursors(status)),
        ("owners", _owners(status), None),
        ("peers", _peers(status), None),
        ("users", *_users(output, status.users)),
        ("refused", f"{status.refused:,}", "yellow" if status.refused else None),
        ("masked", f"{status.masked_lines:,}", None),
        ("gaps", f"{status.line_gaps:,}", "yellow" if status.line_gaps else None),
    ]
    if spool["files"]:
        facts.append(("spool", _spool_text(spool), "yellow"))
    for model in status.projections:
        if model.broken_at is None:
            facts.append(
                (model.name, "up to date" if not model.lag else f"{model.lag:,} events behind", None)
            )
        else:
            facts.append((model.name, f"broken at {model.broken_at}: {model.error}", "red"))
    facts.append(("search", *_search(status.search)))
    facts += [("relay", _relay(output, relay), None) for relay in status.relays[:_SHOWN]]
    if status.origin_count:
        facts.append(("origins", _origins(output, status), None))
        facts += [("origin", _origin(output, origin), None) for origin in status.origins[:_SHOWN]]
    facts.append(("retention", _retention(output, status.retention), None))
    largest = [f"{table} {bytes_text(size)}" for table, size in list(status.table_bytes.items())[:4]]
    facts.append(("tables", ", ".join(largest) or "not measured yet", None))
    facts += [("state dir", status.state_dir, None), ("sockets", status.runtime_dir, None)]
    for name, value, style in facts:
        if output.terminal:
            output.line(
                f"{output.paint(f'{name:<9}', 'dim')}  {output.paint(output.wrapped(value, 11), style)}"
            )
        else:
            output.line(tsv([name, value]))


def _wal(status: DaemonStatus) -> tuple[str, str | None]:
    text = bytes_text(status.wal_bytes)
    if status.damaged_wal is None:
        return text, None
    return f"{text}; one was damaged, and is kept as {status.damaged_wal}: flightlog doctor", "yellow"


def _search(search: SearchStatus) -> tuple[str, str | None]:
    if search.state != "ok":
        text = search.state if search.reason is None else f"{search.state}: {search.reason}"
        return text, "red" if search.state == "failing" else None
    behind = "up to date"
    if search.lag:
        behind = f"{search.lag:,} events behind, for {duration_text(search.lag_us)}"
    return f"{behind}, {bytes_text(search.index_bytes)}", None


def _stored(stored: StoredStatus) -> str:
    return (
        f"{stored.hot_events:,} in {bytes_text(stored.hot_bytes)},"
        f" {stored.cold_events:,} compressed in {bytes_text(stored.cold_bytes)}"
    )


def _retention(output: Output, retention: RetentionStatus | None) -> str:
    if retention is None:
        return "not done yet"
    limit = "" if retention.limit_bytes is None else f" of {bytes_text(retention.limit_bytes)}"
    return (
        f"{retention.lines:,} lines and {retention.executions:,} executions at"
        f" {output.time(retention.finished_at)}; {bytes_text(retention.used_bytes)}{limit} used"
    )


def _peers(status: DaemonStatus) -> str:
    connections = ", ".join(f"{count} {socket}" for socket, count in sorted(status.connections.items()))
    return f"{connections or 'none'}; {status.followers} following"


def _cursors(status: DaemonStatus) -> tuple[str, str | None]:
    text = f"{status.cursors:,}, the hindmost {status.cursor_lag:,} events behind"
    late = ", ".join(cursor.name for cursor in status.late_cursors[:5])
    return (f"{text}; too far: {late}", "yellow") if late else (text, None)


def _relay(output: Output, relay: RelayStatus) -> str:
    text = f"to {relay.target}: up to {relay.seq:,}, "
    if relay.lag:
        text += f"{relay.lag:,} events behind, for {duration_text(relay.lag_us)}"
    else:
        text += "up to date"
    return f"{text}; moved {output.time(relay.moved_at)}"


def _origins(output: Output, status: DaemonStatus) -> str:
    newest = (
        "" if status.collected_at is None else f", the newest lines at {output.time(status.collected_at)}"
    )
    more = "; flightlog hosts shows all" if status.origin_count > _SHOWN else ""
    return f"{status.origin_count:,} other logs{newest}{more}"


def _origin(output: Output, origin: OriginStatus) -> str:
    return (
        f"{origin.host}: up to {origin.last_seq:,}, received there {output.time(origin.last_at)},"
        f" here {duration_text(origin.lag_us)} later"
    )


def _users(output: Output, users: list[UserStatus]) -> tuple[str, str | None]:
    """Return who is connected, and who of them is held to a rate or lost lines to it."""
    connected = sum(any(user.connections.values()) for user in users)
    told = [f"{connected} connected"]
    for user in users:
        if user.limited_since is not None:
            told.append(f"uid {user.uid} is over a rate since {output.time(user.limited_since)}")
        if user.suppressed:
            told.append(f"{user.suppressed:,} lines of uid {user.uid} were shed")
    return "; ".join(told), "yellow" if len(told) > 1 else None


def _owners(status: DaemonStatus) -> str:
    unseen = f", {status.unwatched:,} cannot be seen from here" if status.unwatched else ""
    return f"{status.watched:,} watched{unseen}"
