"""What `relay` and `collect` share: which stream, what its servers have to be shown, how they end."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, TypeVar

import click

from flightlog.errors import FlightlogError

Function = TypeVar("Function", bound=Callable[..., Any])

STREAM: Final = "flightlog"
_STREAM_NAME: Final = re.compile(r"[A-Za-z0-9_-]{1,64}")


class StreamType(click.ParamType[str]):
    """The name of a stream, which is also the first word of its subjects."""

    name = "stream"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Return the name; one that is none is a usage error."""
        if not _STREAM_NAME.fullmatch(value):
            self.fail(f"{value!r} is no name of a stream: up to 64 letters, digits, _ and -", param, ctx)
        return str(value)


def stream_options(function: Function) -> Function:
    """Add --stream, --creds, --tls-ca, --tls-cert and --tls-key."""
    file = click.Path(path_type=Path, dir_okay=False)
    for option in (
        click.option(
            "--tls-key", type=file, metavar="FILE", help="Its key, where that is a file of its own."
        ),
        click.option("--tls-cert", type=file, metavar="FILE", help="Show the servers this certificate."),
        click.option(
            "--tls-ca", type=file, metavar="FILE", help="Trust certificates that these have signed."
        ),
        click.option("--creds", type=file, metavar="FILE", help="Credentials for NATS, as nsc writes them."),
        click.option("--stream", type=StreamType(), default=STREAM, show_default=True, help="Which stream."),
    ):
        function = option(function)
    return function


def not_installed(error: ModuleNotFoundError) -> FlightlogError:
    """Return what is said where the extra is missing.

    Raises:
        ModuleNotFoundError: it is another module that is missing.
    """
    if error.name is None or error.name.partition(".")[0] != "nats":
        raise error
    return FlightlogError("nats-py is not installed: pip install 'flightlog[fleet]'")
