"""What a verb is: a command that knows where the daemon is and how to show what it says."""

from collections.abc import Callable
from typing import Any, Final, TypeVar

import click

from flightlog.cli.busy import BusyNotice
from flightlog.cli.output import Output
from flightlog.cli.text import safe
from flightlog.daemon import Daemon
from flightlog.query import Connection

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
    def daemon(self) -> Daemon:
        """The daemon that this is about."""
        return Daemon(self.runtime_dir, on_busy=BusyNotice(self.say))

    def ask(self, *, patient: bool = False, wait: Callable[[int], None] | None = None) -> Connection:
        """Return a connection for questions, as `Daemon.ask` does."""
        return self.daemon.ask(patient=patient, wait=wait)

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
        _note_verb(ctx)
        return super().parse_args(ctx, args)


ABOUT_LIMIT_CHARS: Final = 200
"""Of what a list of verbs says of each: whole sentences, which wrap."""


class Family(click.Group):
    """Verbs that share their first word: `agent add`, `agent list`."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.params = [*self.params, *shared_options()]

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        """Write the verbs, each with a whole sentence."""
        with formatter.section("Commands"):
            formatter.write_dl(
                [
                    (name, command.get_short_help_str(ABOUT_LIMIT_CHARS))
                    for name, command in self.commands.items()
                ]
            )

    def member(self, command: Verb) -> Verb:
        """Add a verb; a decorator, above `verb`."""
        self.add_command(command)
        return command

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Note which verb it is before anything can be wrong with its arguments."""
        _note_verb(ctx)
        return super().parse_args(ctx, args)


def _note_verb(ctx: click.Context) -> None:
    # The path begins with the program.
    ctx.find_object(Session).verb = ctx.command_path.partition(" ")[2]  # type: ignore[union-attr]  # run() gives one


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

    def decorate(function: Callable[..., Any]) -> Verb:
        return click.command(
            name,
            cls=Verb,
            epilog=_epilog(examples),
            context_settings={"allow_interspersed_args": not runs_command},
        )(click.pass_obj(function))

    return decorate


def family(name: str, about: str, *examples: str) -> Family:
    """Return the common first word of several verbs; they are added to it.

    Args:
        name: That word.
        about: What they are about, in a sentence or more.
        examples: Lines that show their use.
    """
    return Family(name, help=about, epilog=_epilog(examples))


def _epilog(examples: tuple[str, ...]) -> str:
    head = "Example:" if len(examples) == 1 else "Examples:"
    return "\n".join(("\b", head, *(f"  {line}" for line in examples)))


def json_option(function: Function) -> Function:
    """Add --json."""
    return click.option("--json", "as_json", is_flag=True, help="JSON, for programs.")(function)
