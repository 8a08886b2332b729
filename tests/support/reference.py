"""Reference pages, written from the commands and the settings themselves."""

import argparse
import inspect
import re
from collections.abc import Iterator, Sequence
from importlib import import_module
from typing import Any

import click
import msgspec

from flightlog.cli.run import SECTIONS
from flightlog.cli.verb import shared_options
from flightlogd.__main__ import parser
from flightlogd.config import ENVIRONMENT_PREFIX, RELOADABLE, Config

BEGIN, END = "<!-- generated: pytest --update-golden tests/docs -->", "<!-- end of generated text -->"

_SHARED = {name for option in shared_options() for name in option.opts} | {"--help"}
_UNITS = {
    "_bytes": "bytes",
    "_ms": "milliseconds",
    "_days": "days",
    "_limit": "a number",
    "_rows": "rows",
}


def with_generated(page: str, text: str) -> str:
    """Return a page with the part between its two marks replaced."""
    before, _, rest = page.partition(BEGIN)
    _, mark, after = rest.partition(END)
    assert mark, "the page has no marks for generated text"
    return f"{before}{BEGIN}\n\n{text.strip()}\n\n{END}{after}"


def verb_paths() -> Iterator[tuple[tuple[str, ...], click.Command]]:
    """Yield each verb of `flightlog` with the words that call it; a family before its members."""
    for names in SECTIONS.values():
        for name in names:
            command = import_module(f"flightlog.cli.verbs.{name}").command
            yield (name,), command
            if isinstance(command, click.Group):
                for member, inner in command.commands.items():
                    yield (name, member), inner


def flightlog_flags(command: click.Command) -> set[str]:
    """Return all spellings of a verb's flags."""
    return {
        spelling
        for param in command.params
        if isinstance(param, click.Option)
        for spelling in (*param.opts, *param.secondary_opts)
    } | {"--help", "-h"}


def flightlogd_verbs() -> dict[str, argparse.ArgumentParser]:
    """Return the parser of each verb of `flightlogd`; that of none is the empty name."""
    whole = parser()
    [verbs] = [action for action in whole._actions if isinstance(action, argparse._SubParsersAction)]
    return {"": whole, **verbs.choices}


def flightlogd_flags(verb: argparse.ArgumentParser) -> set[str]:
    """Return all spellings of a verb's flags."""
    return {spelling for action in verb._actions for spelling in action.option_strings}


def command_reference() -> str:
    """Return all verbs of both programs with their flags and examples, as Markdown."""
    parts = ["## flightlog", "### Options of every verb", _flag_table(shared_options())]
    for title, names in SECTIONS.items():
        parts.append(f"### {title}")
        for path, command in verb_paths():
            if path[0] in names:
                parts += _verb(path, command)
    parts.append("## flightlogd")
    for name, verb in flightlogd_verbs().items():
        parts += _daemon_verb(name, verb)
    return "\n\n".join(part for part in parts if part)


def _verb(path: tuple[str, ...], command: click.Command) -> Iterator[str]:
    arguments = [
        param.make_metavar(click.Context(command))
        for param in command.params
        if isinstance(param, click.Argument)
    ]
    yield f"#### `{' '.join(('flightlog', *path, *arguments))}`"
    yield _prose(command.help or "")
    yield _flag_table([param for param in command.params if isinstance(param, click.Option)])
    if not isinstance(command, click.Group):
        examples = [line.strip() for line in inspect.cleandoc(command.epilog or "").split("\n")[2:]]
        yield "\n".join(("```sh", *examples, "```"))


def _prose(text: str) -> str:
    """Return help text as paragraphs; click's marks for text that is not to be filled go away."""
    return "\n\n".join(
        part if part.startswith("    ") else " ".join(part.split())
        for part in inspect.cleandoc(text).replace("\b\n", "").split("\n\n")
    ).replace("<", "&lt;")


def _flag_table(options: Sequence[Any]) -> str:
    rows = []
    for option in options:
        assert isinstance(option, click.Option)
        if option.hidden or (options[0].opts != ["--runtime-dir"] and _SHARED.issuperset(option.opts)):
            continue
        names = ", ".join(option.opts) + "".join(f" / {name}" for name in option.secondary_opts)
        value = "" if option.is_flag else " " + option.make_metavar(click.Context(click.Command("x")))
        rows.append((f"`{names}{value}`".replace("|", "\\|"), (option.help or "").replace("|", "\\|")))
    return _table(("flag", "what"), rows)


def _daemon_verb(name: str, verb: argparse.ArgumentParser) -> Iterator[str]:
    places = [
        f"[{action.metavar or action.dest.upper()}]"
        for action in verb._actions
        if not action.option_strings and name
    ]
    yield f"### `{' '.join(('flightlogd', *filter(None, [name]), *places))}`"
    about = verb.description or ""
    yield about[:1].upper() + about[1:] + ("" if about.endswith(".") else ".")
    rows = []
    for action in verb._actions:
        if action.option_strings and "--help" not in action.option_strings:
            if name and action.dest in ("config", "state_dir", "runtime_dir"):
                continue
            value = "" if action.nargs == 0 else f" {action.metavar}"
            rows.append((f"`{', '.join(action.option_strings)}{value}`", action.help or ""))
    yield _table(("flag", "what"), rows)


def setting_reference() -> str:
    """Return all settings of the daemon as a table."""
    about = _attributes(inspect.getdoc(Config) or "")
    rows = []
    for field in msgspec.structs.fields(Config):
        default = "see below" if field.required else f"`{msgspec.json.encode(field.default).decode()}`"
        unit = next((unit for end, unit in _UNITS.items() if field.name.endswith(end)), "")
        reload = "yes" if field.name in RELOADABLE else ""
        rows.append((f"`{field.name}`", default, unit, reload, about[field.name]))
    return _table(("setting", "default", "unit", "reload", "what"), rows) + (
        f"\n\nIn the environment each is `{ENVIRONMENT_PREFIX}` and its name in capitals:"
        f" `{ENVIRONMENT_PREFIX}RETENTION_DAYS=7`."
    )


def _attributes(docstring: str) -> dict[str, str]:
    """Return what a docstring says of each attribute, on one line each."""
    text = docstring.partition("Attributes:\n")[2]
    entries = re.split(r"\n(?=    \w+: )", "\n" + text)
    return {
        name.strip(): " ".join(told.split()).replace("|", "\\|")
        for name, _, told in (entry.partition(":") for entry in entries if entry.strip())
    }


def _table(heads: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    if not rows:
        return ""
    lines = [heads, ("---",) * len(heads), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)
