"""What verbs that change something say to a person while the daemon waits out a fault."""

from collections.abc import Callable

from flightlog_schemas.wire.ingest import Busy


class BusyNotice:
    """Tells a person once that the daemon waits out a fault.

    Args:
        say: Tells a person something.
    """

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say = say
        self._said = False

    def __call__(self, busy: Busy) -> None:
        """Say what the daemon waits for."""
        if not self._said:
            self._said = True
            self._say(f"the daemon waits ({busy.code}), and so does this; Ctrl-C gives up")
