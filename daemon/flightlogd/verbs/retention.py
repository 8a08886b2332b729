"""`flightlogd retention`: what is over its time, shown or removed."""

import argparse
import sys
from functools import partial

import trio

from flightlog_schemas.times import parse_duration
from flightlog_schemas.wire.control import Retained, Retention, Share
from flightlogd.config import Config
from flightlogd.control import run_retention
from flightlogd.errors import ConfigError
from flightlogd.governance.governor import Governor
from flightlogd.governance.policy import parse_levels, parse_statuses
from flightlogd.hub import Hub
from flightlogd.verbs.ask import (
    BY_HAND,
    NoDaemonError,
    absolute,
    ask_daemon,
    decode,
    do_here,
    drawing,
    lines_of,
    print_json,
)
from flightlogd.verbs.exits import DONE
from flightlogd.voice import Voice


def run(config: Config, arguments: argparse.Namespace) -> int:
    """Carry out the verb and return its exit code."""
    request = _request(arguments)
    try:
        found = ask_daemon(config, "retention", request)
    except NoDaemonError:
        found = lines_of(do_here(config, partial(_retain_here, request=request)))
    [done] = decode(found, "retention", Retained)
    shares = decode(found, "share", Share)
    if arguments.json:
        print_json(_Told(**{name: getattr(done, name) for name in Retained.__struct_fields__}, shares=shares))
    else:
        _print(done, shares)
    return DONE


class _Told(Retained, kw_only=True):
    """The answer as one object."""

    shares: list[Share]


def _request(arguments: argparse.Namespace) -> Retention:
    levels = tuple(arguments.level.split(",")) if arguments.level else ()
    statuses = tuple(arguments.status.split(",")) if arguments.status else ()
    if arguments.older_than is None and (levels or statuses or arguments.project):
        raise ConfigError("--level, --status and --project go with --older-than", "--older-than 0s takes all")
    try:
        parse_levels(levels)
        parse_statuses(statuses)
        older_than_us = None if arguments.older_than is None else parse_duration(arguments.older_than)
    except ValueError as error:
        raise ConfigError(str(error)) from None
    return Retention(
        dry_run=arguments.dry_run,
        older_than_us=older_than_us,
        level=levels,
        status=statuses,
        project=arguments.project,
        state_dir=absolute(getattr(arguments, "state_dir", None)),
        progress=sys.stderr.isatty(),
    )


async def _retain_here(hub: Hub, voice: Voice, request: Retention) -> list[bytes]:
    governor = Governor(hub, voice, trio.Lock())
    with drawing(wanted=request.progress) as say:
        return await run_retention(hub, governor, request, BY_HAND, say)


def _print(done: Retained, shares: list[Share]) -> None:
    would = "would go" if done.dry_run else "gone"
    for share in shares:
        project = "" if share.project is None else f"  {share.project}"
        print(f"{share.lines:>12,} lines {_size(share.bytes):>11}  {share.level:<5} {share.status}{project}")
    print(f"{done.lines:,} log lines {would}, {_size(done.bytes)}")
    if done.executions:
        print(f"{done.executions:,} executions {would} whole, with {done.execution_lines:,} lines")
    limit = "" if done.limit_bytes is None else f", the limit is {_size(done.limit_bytes)}"
    print(f"the database uses {_size(done.used_bytes)}, its file has {_size(done.file_bytes)}{limit}")


def _size(size_bytes: int) -> str:
    if size_bytes < 1024:
        return f"{size_bytes} B"
    size = float(size_bytes)
    for unit in ("KiB", "MiB", "GiB"):
        size /= 1024
        if size < 1024 or unit == "GiB":
            return f"{size:,.1f} {unit}"
    raise AssertionError
