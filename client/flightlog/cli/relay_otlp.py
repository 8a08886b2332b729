"""`flightlog relay --to http://...`: what is recorded here, to a receiver of OpenTelemetry."""

import signal
from pathlib import Path
from typing import Final

import msgspec

from flightlog.cli.run import INTERRUPTED
from flightlog.cli.verb import Session
from flightlog.errors import EXIT_FAILURE
from flightlog.fleet.running import run_until_signal
from flightlog.ids import fitting
from flightlog.otlp.post import Receiver
from flightlog.otlp.relay import OtlpRelay

SCHEMES: Final = ("http://", "https://")


def relay_otlp(
    session: Session,
    url: str,
    tls: tuple[Path | None, Path | None, Path | None],
    *,
    cursor_name: str | None,
    after: int | None,
    once: bool,
    as_json: bool,
) -> int:
    """Post what is recorded, write what became of it, and return the exit code.

    Args:
        session: Where the daemon is.
        url: The receiver.
        tls: Files: whom to trust, our certificate, its key.
        cursor_name: Where it is; None for a name of the receiver's.
        after: Begin after this position instead.
        once: End at what is there now.
        as_json: Write JSON.

    Raises:
        FlightlogError: it cannot go on.
    """
    receiver = Receiver(url, *tls)
    relay = OtlpRelay(
        session.daemon,
        receiver,
        cursor=cursor_name or fitting(f"relay:{receiver.name}"),
        after=after,
        once=once,
        say=session.say,
    )
    number = run_until_signal(relay.run)
    told = relay.told
    output = session.output()
    if as_json:
        output.json(msgspec.to_builtins(told))
    else:
        refused = f"; {told.refused:,} records and spans were refused" if told.refused else ""
        holes = f"; {told.pruned:,} were gone before" if told.pruned else ""
        output.line(f"{told.events:,} events, up to {told.seq}{refused}{holes}")
    if told.refused:
        return EXIT_FAILURE
    return INTERRUPTED if number == signal.SIGINT else 0
