"""A named cursor as a verb uses it: where to begin, and what was surely written."""

import os

import click

from flightlog.cli.options import ID
from flightlog.cli.verb import Session
from flightlog.errors import DaemonAway, FlightlogError
from flightlog_schemas.answers import NamedCursor
from flightlog_schemas.wire.lines import Cursor, Cursors

cursor_option = click.option(
    "--cursor",
    "cursor_name",
    type=ID,
    metavar="NAME",
    help="Go on after what was shown under this name; the daemon keeps it. The first time, begin as without."
    " It moves once lines are written. --after begins elsewhere and sets it back.",
)


class NamedPosition:
    """A cursor of this user.

    Args:
        session: Where the daemon is.
        name: The cursor's name.
        back: It may be moved back, once: its reader began elsewhere on purpose.
    """

    def __init__(self, session: Session, name: str, *, back: bool) -> None:
        self._session = session
        self._name = name
        self._back = back
        self._failed = False
        self._connection = session.ask()

    def exists(self) -> bool:
        """Say whether there is such a cursor already."""
        found = self._connection.all(Cursors(name=self._name), NamedCursor)
        return any(cursor.uid == os.geteuid() for cursor in list(found))

    def close(self) -> None:
        """Give back what it is asked and moved by."""
        self._connection.close()

    def save(self, seq: int) -> None:
        """Move it, durable when this returns.

        Raises:
            FlightlogError: it could not be moved.
        """
        self._connection.one(Cursor(name=self._name, seq=seq, back=self._back), NamedCursor)
        self._back = False
        self._failed = False

    def save_meanwhile(self, seq: int) -> bool:
        """Move it while there is more to come; what fails is told once and tried again later."""
        try:
            self.save(seq)
        except FlightlogError as error:
            if not self._failed and not isinstance(error, DaemonAway):
                self._session.say(f"cursor {self._name} was not moved: {error.reason}")
            self._failed = True
        return not self._failed

    def save_at_end(self, seq: int) -> None:
        """Move it for the last time.

        Raises:
            FlightlogError: it could not be moved; says what will be shown again.
        """
        try:
            self.save(seq)
        except FlightlogError as error:
            raise FlightlogError(
                f"cursor {self._name} was not moved to {seq}: {error.reason}",
                "some lines are shown again the next time",
            ) from error
