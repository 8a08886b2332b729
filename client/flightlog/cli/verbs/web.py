"""`flightlog web`: what was recorded, in a browser and over HTTP."""

import signal
import webbrowser

import click

from flightlog.cli.run import INTERRUPTED
from flightlog.cli.verb import Session, verb
from flightlog.errors import FlightlogError

_NEEDED = frozenset({"litestar", "hypercorn", "trio"})


@verb("web", "flightlog web --open", "flightlog web --port 0")
@click.option("--host", default="127.0.0.1", show_default=True, metavar="ADDRESS", help="Listen here.")
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=8377,
    show_default=True,
    help="Listen on this port; 0 takes a free one.",
)
@click.option("--open", "opens", is_flag=True, help="Show the page in a browser.")
def command(session: Session, host: str, port: int, opens: bool) -> int:
    """Show what was recorded in a browser, and answer questions over HTTP.

    It needs no daemon to start: while there is none, it says so, and goes on when it is back. Ctrl-C ends
    it. Needs the extra web: pip install 'flightlog[web]'.
    """
    try:
        from flightlog.web.app import application
        from flightlog.web.server import serve
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] not in _NEEDED:
            raise
        raise FlightlogError(f"{error.name} is not installed: pip install 'flightlog[web]'") from None

    def started(url: str) -> None:
        click.echo(url)
        if opens:
            webbrowser.open(url)

    number = serve(application(session.daemon), host, port, started)
    return INTERRUPTED if number == signal.SIGINT else 0
