"""All parts put together: one server for one daemon."""

from collections.abc import Callable

from flightlog.daemon import Daemon
from flightlog.web.access import Access
from flightlog.web.app import application
from flightlog.web.peer import same_user
from flightlog.web.server import Server


def serve(
    daemon: Daemon,
    host: str,
    port: int,
    token: str | None,
    names: tuple[str, ...],
    say: Callable[[str], None],
    started: Callable[[str], None],
) -> int:
    """Serve until SIGTERM or SIGINT, and return which signal it was.

    Args:
        daemon: Whom to ask; it may be away.
        host: The address to listen on; without a token one of loopback.
        port: The port; 0 takes a free one.
        token: What requests have to know; None asks for the same user instead.
        names: Names for this machine beside those that it knows.
        say: Tells whoever runs it what broke.
        started: Called with the URL once it listens.

    Raises:
        FlightlogError: the address cannot be listened on.
    """
    server = Server(host, port, say, admits=same_user if token is None else _anybody)
    app = application(daemon, Access(host, names, token), server.places, say)
    return server.run(app, started)


def _anybody(_peer: object, _ours: object) -> bool:
    return True
