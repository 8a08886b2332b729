"""Where the daemon's sockets are."""

import os
from pathlib import Path

INGEST = "ingest.sock"
QUERY = "query.sock"

_SYSTEM_DIR = "/run/flightlog"


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
