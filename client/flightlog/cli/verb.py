"""What a verb is: a command that knows where the daemon is and how to show what it says."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, TypeVar

import click

from flightlog.cli.output import Output
from flightlog.cli.text import safe
from flightlog.paths import ingest_socket, query_socket, runtime_dir
from flightlog.query import Connection

SILENCE_LIMIT_S: Final = 30.0
"""Longest wait for a daemon that accepts and says nothing, where an answer is due at once."""

Function = TypeVar("Function", bound=Callable[..., Any])


class Session:
    """One run of the command line: what all verbs share.

    Attributes:
        verb: The verb that runs, for messages.
        runtime_dir: Where --runtime-dir points, None for the default.
        color: auto, always or never.
    """

    def __init__(self) -> None:
        self.verb: str | None = None
        self.runtime_dir: str | None = None
        self.color = "auto"

    @property
    def directory(self) -> Path:
        """The directory that holds the daemon's sockets."""
        return runtime_dir(self.runtime_dir)

    @property
    def ingest(self) -> Path:
        """The socket that takes events."""
        return ingest_socket(self.directory)

    def ask(self, *, patient: bool = False) -> Connection:
        """Return a connection for questions; `patient` for those whose answer may take any time."""
        return Connection(query_socket(self.directory), None if patient else SILENCE_LIMIT_S)

    def output(self) -> Output:
        """Return the way to stdout."""
        return Output(self.color)

    def say(self, text: str) -> None:
        """Tell a person something on stderr."""
        click.echo(safe(f"flightlog {self.verb}: {text}"), err=True)


class Verb(click.Command):
    """A verb: a command with the options that all verbs share, which may stand before or after its name."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.params = [*self.params, *shared_options()]

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Note which verb it is before anything can be wrong with its arguments."""
        ctx.find_object(Session).verb = self.name  # type: ignore[union-attr]  # run() gives one
        return super().parse_args(ctx, args)


def shared_options() -> list[click.Parameter]:
    """Return the options that every verb has."""

    def keep(ctx: click.Context, param: click.Parameter, value: str | None) -> None:
        session = ctx.find_object(Session)
        if value is not None and session is not None:
            setattr(session, str(param.name), value)

    return [
        click.Option(
            ["--runtime-dir"],
            metavar="DIR",
            expose_value=False,
            callback=keep,
            help="Where the sockets are [default: $FLIGHTLOG_RUNTIME_DIR, the user's, the system's].",
        ),
        click.Option(
            ["--color"],
            type=click.Choice(["auto", "always", "never"]),
            expose_value=False,
            callback=keep,
            help="Colour: auto is on a terminal without NO_COLOR.",
        ),
    ]


def verb(name: str, *examples: str, runs_command: bool = False) -> Callable[[Callable[..., Any]], Verb]:
    """Make a function a verb; it gets the session first.

    Args:
        name: What the verb is called.
        examples: Lines that show its use.
        runs_command: Its arguments are a command, whose options are not ours.
    """
    epilog = "\n".join(
        ("\b", "Example:" if len(examples) == 1 else "Examples:", *(f"  {line}" for line in examples))
    )

    def decorate(function: Callable[..., Any]) -> Verb:
        return click.command(
            name, cls=Verb, epilog=epilog, context_settings={"allow_interspersed_args": not runs_command}
        )(click.pass_obj(function))

    return decorate


def json_option(function: Function) -> Function:
    """Add --json."""
    return click.option("--json", "as_json", is_flag=True, help="JSON, for programs.")(function)
