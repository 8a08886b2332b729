"""`flightlog web`: what was recorded, in a browser and over HTTP."""

import signal
import stat
import threading
import webbrowser
from pathlib import Path
from typing import Final

import click

from flightlog.cli.run import INTERRUPTED
from flightlog.cli.verb import Session, verb
from flightlog.errors import FlightlogError, UsageError

_NEEDED = frozenset({"litestar", "hypercorn", "trio"})
_TOKEN_LEAST_CHARS: Final = 16
_HINT: Final = "head -c 24 /dev/urandom | base64 > FILE; chmod 600 FILE"


@verb("web", "flightlog web --open", "flightlog web --host 0.0.0.0 --token-file ~/.config/flightlog/token")
@click.option("--host", default="127.0.0.1", show_default=True, metavar="ADDRESS", help="Listen here.")
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=8377,
    show_default=True,
    help="Listen on this port; 0 takes a free one.",
)
@click.option(
    "--token-file",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Ask for the token in this file; needed to listen elsewhere than on loopback.",
)
@click.option(
    "--allow-host", "names", multiple=True, metavar="NAME", help="A name by which this machine is asked for."
)
@click.option("--open", "opens", is_flag=True, help="Show the page in a browser.")
def command(
    session: Session, host: str, port: int, token_file: Path | None, names: tuple[str, ...], opens: bool
) -> int:
    """Show what was recorded in a browser, and answer questions over HTTP.

    It needs no daemon to start: while there is none, it says so, and goes on when it is back. Without a token
    it listens on loopback alone, and answers to processes of the same user and of root. Ctrl-C ends it. Needs
    the extra web: pip install 'flightlog[web]'.
    """
    try:
        from flightlog.web.peer import is_loopback
        from flightlog.web.site import serve
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] not in _NEEDED:
            raise
        raise FlightlogError(f"{error.name} is not installed: pip install 'flightlog[web]'") from None
    token = None if token_file is None else _token(token_file)
    if token is None and not is_loopback(host):
        raise UsageError(f"{host} is not loopback, and there is no token", f"give --token-file FILE: {_HINT}")

    def started(url: str) -> None:
        click.echo(url)
        if opens:
            # Some browsers run in the terminal, and return when they are left.
            threading.Thread(target=webbrowser.open, args=(url,), daemon=True).start()

    number = serve(session.daemon, host, port, token, names, session.say, started)
    return INTERRUPTED if number == signal.SIGINT else 0


def _token(file: Path) -> str:
    """Return the token that a file holds.

    Raises:
        UsageError: others may read the file, or what it holds is none.
    """
    if file.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise UsageError(f"{file}: others may read or write it", f"chmod 600 {file}")
    try:
        token = file.read_text("ascii").strip()
    except UnicodeDecodeError:
        token = ""
    if len(token) < _TOKEN_LEAST_CHARS or not token.isprintable() or " " in token:
        raise UsageError(f"{file}: no token: one word of at least {_TOKEN_LEAST_CHARS} characters", _HINT)
    return token
