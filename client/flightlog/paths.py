"""Where the daemon's sockets are, and where lines wait for it."""

import os
from pathlib import Path

INGEST = "ingest.sock"
QUERY = "query.sock"

_SYSTEM_DIR = "/run/flightlog"
_SYSTEM_SPOOL_DIR = "/var/lib/flightlog-spool"
_OFF = frozenset({"0", "no", "off", "false"})


def runtime_dir(explicit: str | Path | None = None) -> Path:
    """Return the directory that holds the sockets; whether a daemon listens there is not checked.

    In this order: `explicit`, $FLIGHTLOG_RUNTIME_DIR, the user's own ($XDG_RUNTIME_DIR/flightlog) where a
    daemon has made its sockets, the system's.

    Args:
        explicit: The directory that somebody asked for, or None.
    """
    if explicit is not None:
        return Path(explicit)
    named = os.environ.get("FLIGHTLOG_RUNTIME_DIR")
    if named:
        return Path(named)
    session = os.environ.get("XDG_RUNTIME_DIR")
    if session:
        own = Path(session, "flightlog")
        if (own / QUERY).exists():
            return own
    return Path(_SYSTEM_DIR)


def ingest_socket(directory: Path) -> Path:
    """Return the path of the socket that takes events."""
    return directory / INGEST


def query_socket(directory: Path) -> Path:
    """Return the path of the socket that answers questions."""
    return directory / QUERY


def asked_for(explicit: str | Path | None = None) -> str | None:
    """Return the directory of sockets that somebody asked for, absolute; None where the default is used."""
    named = explicit or os.environ.get("FLIGHTLOG_RUNTIME_DIR")
    return None if not named else absolute(named)


def spool_dir(explicit: bool | str | Path | None = None) -> Path | None:
    """Return the directory in which lines wait for the daemon, None where they shall not.

    In this order: `explicit` (True is the default place, False none), $FLIGHTLOG_SPOOL_DIR, the default
    place: /var/lib/flightlog-spool for root, $XDG_STATE_HOME/flightlog-spool for others. $FLIGHTLOG_SPOOL=off
    switches it off where `explicit` is None. It lies beside the daemon's state directory, not in it: what is
    kept there was never in the log.

    Args:
        explicit: What somebody asked for.
    """
    if explicit is False or (explicit is None and os.environ.get("FLIGHTLOG_SPOOL", "").lower() in _OFF):
        return None
    if isinstance(explicit, str | Path):
        return Path(absolute(explicit))
    named = os.environ.get("FLIGHTLOG_SPOOL_DIR")
    if named:
        return Path(absolute(named))
    if os.geteuid() == 0:
        return Path(_SYSTEM_SPOOL_DIR)
    home = os.environ.get("XDG_STATE_HOME") or os.path.expanduser("~/.local/state")  # noqa: PTH111  # keeps ~ where nobody knows it
    return Path(home, "flightlog-spool") if home.startswith("/") else None


def absolute(path: str | Path) -> str:
    """Return a path that stays right when the program changes its directory."""
    try:
        return os.path.abspath(path)  # noqa: PTH100  # links are kept
    except OSError:  # the current directory is gone
        return os.fspath(path)
