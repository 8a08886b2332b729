"""`flightlogd scrub`: a secret that was found late, masked in all that the daemon keeps."""

import argparse
import sys
from functools import partial
from pathlib import Path

from flightlog_schemas.wire.control import Scrub, Scrubbed
from flightlogd.config import Config
from flightlogd.control import run_scrub
from flightlogd.errors import ConfigError
from flightlogd.hub import Hub
from flightlogd.verbs.ask import (
    BY_HAND,
    NoDaemonError,
    absolute,
    ask_daemon,
    decode,
    do_here,
    drawing,
    print_json,
)
from flightlogd.verbs.exits import DONE, FOUND_SOMETHING
from flightlogd.voice import Voice


def run(config: Config, arguments: argparse.Namespace) -> int:
    """Carry out the verb and return its exit code: 1 where ids hold the value, for they stay."""
    request = Scrub(
        value=_value(arguments.value_from),
        dry_run=arguments.dry_run,
        state_dir=absolute(getattr(arguments, "state_dir", None)),
        progress=sys.stderr.isatty(),
    )
    try:
        [done] = decode(ask_daemon(config, "scrub", request), "scrub", Scrubbed)
    except NoDaemonError:
        done = do_here(config, partial(_scrub_here, request=request))
    if arguments.json:
        print_json(done)
    else:
        _print(done)
    return FOUND_SOMETHING if done.ids else DONE


def _value(source: str) -> str:
    """Return what a file holds, less the newline at its end."""
    try:
        data = sys.stdin.buffer.read() if source == "-" else Path(source).read_bytes()
        value = data.decode()
    except OSError as error:
        raise ConfigError(f"--value-from {source}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise ConfigError(f"--value-from {source}: not UTF-8", "lines of the log are text") from None
    value = value.removesuffix("\n").removesuffix("\r")
    if not value.strip():
        raise ConfigError(f"--value-from {source}: nothing is in there")
    return value


async def _scrub_here(hub: Hub, voice: Voice, request: Scrub) -> Scrubbed:
    with drawing(wanted=request.progress) as say:
        return await run_scrub(hub, voice, request, BY_HAND, say)


def _print(done: Scrubbed) -> None:
    held = "hold it" if done.dry_run else "are masked now"
    print(f"{done.lines:,} lines of the log {held}")
    print(f"{done.refused:,} refused lines {held}")
    if not done.dry_run:
        print(f"{done.rows:,} rows of read models are put right")
    for name in done.backups:
        print(f"{name} {'holds it, and would be deleted' if done.dry_run else 'held it, and is deleted'}")
    if done.ids:
        some = ", ".join(done.id_executions)
        print(f"{done.ids:,} lines hold it in an id, where it stays, of executions {some}")
    if not done.dry_run and not done.wal_cut:
        print("the write-ahead log may still hold it, for readers are in the way: run this again later")
    for path in done.spools:
        print(f"out of reach here: {path}, where clients keep what they could not deliver")
