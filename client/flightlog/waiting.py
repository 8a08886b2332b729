"""What waits on disk for a daemon, for those who ask: each spool, who has it, and how much is in it."""

from pathlib import Path
from typing import Literal

from msgspec import Struct

from flightlog.courier import spool_paths
from flightlog.spool_file import SpoolFile, SpoolUnreadableError

State = Literal[
    "in_use",  # its program lives and will deliver it, or somebody delivers it right now
    "waiting",  # its program is gone
    "unreadable",  # damaged, of another format, or of another user; nobody delivers it
]


class Waiting(Struct, kw_only=True):
    """One spool.

    Attributes:
        path: The file.
        state: Who has it.
        size_bytes: Its size.
        producer: Whose lines these are, None where that cannot be read, as are those that follow.
        lines: How many wait.
        runtime_dir: The daemon's sockets that its program asked for; None is the default.
        created_at: When it was made, microseconds since the epoch.
        ended: Whether its program ended in good order.
        reason: Why it cannot be read.
    """

    path: str
    state: State
    size_bytes: int = 0
    producer: str | None = None
    lines: int | None = None
    runtime_dir: str | None = None
    created_at: int | None = None
    ended: bool | None = None
    reason: str | None = None


def waiting_spools(directory: Path) -> list[Waiting]:
    """Return all spools of a directory, oldest first."""
    return [found for path in spool_paths(directory) if (found := look(path)) is not None]


def look(path: Path) -> Waiting | None:
    """Return what a spool is, None where it is gone."""
    try:
        with SpoolFile(path) as spool:
            if spool.gone:
                return None
            return Waiting(
                path=str(path),
                state="waiting" if spool.owned else "in_use",
                size_bytes=spool.size_bytes,
                producer=spool.header.producer,
                lines=spool.lines,
                runtime_dir=spool.header.runtime_dir,
                created_at=spool.header.created,
                ended=spool.ended,
            )
    except FileNotFoundError:
        return None
    except (OSError, SpoolUnreadableError) as error:
        size_bytes = path.lstat().st_size if path.exists() else 0
        return Waiting(path=str(path), state="unreadable", size_bytes=size_bytes, reason=str(error))
