"""The group of all verbs, and the way from an error to a message and an exit code."""

import errno
import os
import sys
from importlib import import_module
from typing import Any, Final

import click

from flightlog.cli.text import safe
from flightlog.cli.verb import ABOUT_LIMIT_CHARS, Session, shared_options
from flightlog.errors import EXIT_FAILURE, EXIT_USAGE, FlightlogError

INTERRUPTED: Final = 130

_FULL: Final = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)

SECTIONS: Final = {
    "Record": ("exec", "start", "finish", "log", "emit", "backfill", "import", "export"),
    "Steer": ("advance", "cancel", "set", "agent", "artifact", "plan"),
    "Read": (
        "list",
        "current",
        "phase",
        "logs",
        "event",
        "events",
        "inspect",
        "task",
        "stats",
        "audit",
        "search",
    ),
    "Follow": ("tail", "wait", "cursor"),
    "Many machines": ("hosts", "relay", "collect"),
    "The daemon and its language": ("status", "doctor", "spool", "schema", "web", "mcp"),
}
"""All verbs, as the help shows them; each is `verbs/NAME.py` with its `command`."""

VERBS: Final = tuple(name for names in SECTIONS.values() for name in names)


class Root(click.Group):
    """`flightlog`: loads only the verb that is called."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002  # click's signature
        """Return all verbs."""
        return list(VERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002  # as above
        """Return a verb, importing its module."""
        if cmd_name not in VERBS:
            return None
        command = import_module(f"flightlog.cli.verbs.{cmd_name}").command
        assert isinstance(command, click.Command)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the verbs by section."""
        for title, names in SECTIONS.items():
            with formatter.section(title):
                formatter.write_dl([(name, self._about(ctx, name)) for name in names])

    def _about(self, ctx: click.Context, name: str) -> str:
        command = self.get_command(ctx, name)
        assert command is not None
        return command.get_short_help_str(ABOUT_LIMIT_CHARS)

    def invoke(self, ctx: click.Context) -> Any:
        """Run a verb to its last byte; a reader that has gone away and Ctrl-C are no errors."""
        try:
            code = super().invoke(ctx)
            sys.stdout.flush()
        except BrokenPipeError:
            # Whoever read our output has seen enough. What is still buffered goes nowhere, quietly.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            raise click.exceptions.Exit(0) from None
        except KeyboardInterrupt:
            raise click.exceptions.Exit(INTERRUPTED) from None
        return code


@click.command(
    "flightlog",
    cls=Root,
    params=shared_options(),
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="\b\nExamples:\n"
    "  flightlog exec -- make test       record a command\n"
    "  flightlog tail                    watch everything as it happens\n"
    "  flightlog list --since today      what ran, newest first\n"
    "  flightlog logs -f EXEC            one execution's log, to its end\n"
    "\n\b\nEXEC is an execution's id or the beginning of one; the default is $FLIGHTLOG_EXECUTION_ID.\n"
    "Exit codes: 0 done or found, 1 expected negative, 2 failure, 3 usage, 130 Ctrl-C.",
)
@click.version_option(package_name="flightlog", message="%(package)s %(version)s")
def root() -> None:
    """Record what programs do, and read it back: runs, logs, status, who did what when."""


def run(arguments: list[str]) -> int:
    """Run the command line with these arguments and return its exit code."""
    _open_standard_streams()
    session = Session()
    try:
        code = root.main(arguments, "flightlog", standalone_mode=False, obj=session)
    except FlightlogError as error:
        hint = error.hint
        if hint is None and error.exit_code == EXIT_USAGE:
            hint = _help_hint(session.verb)
        _tell(session.verb, error.reason, hint)
        return error.exit_code
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.ctx.get_help() if error.ctx else "", err=True)
        return EXIT_USAGE
    except click.UsageError as error:
        _tell(session.verb, _clause(error.format_message()), _help_hint(session.verb))
        return EXIT_USAGE
    except click.Abort:
        return INTERRUPTED
    except OSError as error:
        reason = error.strerror or str(error)
        hint = "free some space where it writes to" if error.errno in _FULL else None
        _tell(session.verb, f"{error.filename}: {reason}" if error.filename else reason, hint)
        return EXIT_FAILURE
    return code if isinstance(code, int) else 0


def _help_hint(verb: str | None) -> str:
    return "flightlog --help" if verb is None else f"flightlog {verb} --help"


def _open_standard_streams() -> None:
    """Open what our caller has closed, so that no other file gets the number of a standard stream."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, os.fdopen(os.open(os.devnull, os.O_RDWR), mode))


def _clause(sentence: str) -> str:
    """Return click's sentence as a clause: it follows a colon."""
    start = sentence[:1].lower() if sentence[1:2].islower() else sentence[:1]
    return (start + sentence[1:]).rstrip(".").replace("\n", " ")


def _tell(verb: str | None, reason: str, hint: str | None) -> None:
    text = f"flightlog: {reason}" if verb is None else f"flightlog {verb}: {reason}"
    if hint is not None:
        text += f"\nhint: {hint}"
    click.echo(safe(text), err=True)
