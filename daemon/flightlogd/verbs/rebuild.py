"""`flightlogd rebuild`: read models computed again from the log."""

import argparse
import sys
from pathlib import Path

from flightlog_schemas.wire.control import Difference, Rebuild
from flightlogd import rebuild
from flightlogd.config import Config
from flightlogd.errors import EnvironmentFault, QuestionError
from flightlogd.renew import find_damaged, renew
from flightlogd.store.database import DATABASE
from flightlogd.verbs.ask import NoDaemonError, absolute, ask_daemon, decode, own_database, print_json
from flightlogd.verbs.exits import DONE, FOUND_SOMETHING, USAGE


def run(config: Config, arguments: argparse.Namespace) -> int:
    """Carry out the verb and return its exit code."""
    request = Rebuild(
        projections=tuple(arguments.projections),
        check=arguments.check,
        state_dir=absolute(getattr(arguments, "state_dir", None)),
        progress=sys.stderr.isatty(),
    )
    try:
        rebuild.choose(request.projections)
    except KeyError as error:
        names = ", ".join(projection.NAME for projection in rebuild.choose(()))
        print(f"flightlogd rebuild: no read model {error.args[0]!r}\nhint: one of {names}", file=sys.stderr)
        return USAGE
    beside = True
    try:
        found = decode(ask_daemon(config, "rebuild", request), "difference", Difference)
    except NoDaemonError as error:
        if arguments.shadow:
            raise EnvironmentFault(
                f"{error}: no daemon is running", "start it, or leave out --shadow to rebuild without one"
            ) from None
        beside = False
        found = _rebuild_here(config, request)
    if arguments.json:
        print_json(*found)
    else:
        _print_differences(found, check=request.check, beside=beside)
    return FOUND_SOMETHING if request.check and found else DONE


def _print_differences(found: list[Difference], *, check: bool, beside: bool) -> None:
    for difference in found:
        print(
            f"{difference.table}: {difference.missing} missing, {difference.extra} extra,"
            f" {difference.changed} changed"
        )
    if not found:
        print("read models are what the log says")
    elif not check:
        rows = sum(difference.missing + difference.extra + difference.changed for difference in found)
        where = "beside the live tables, while the daemon ran" if beside else "with no daemon running"
        print(f"{rows} rows put right, {where}")


def _rebuild_here(config: Config, request: Rebuild) -> list[Difference]:
    with own_database(config) as db:
        state_dir, projections = Path(config.state_dir), rebuild.choose(request.projections)
        if not request.check and (damaged := find_damaged(state_dir / DATABASE, projections)):
            renew(db, damaged, rebuild.UNFINISHED_VERSION)
        scratch = rebuild.open_scratch(state_dir, projections)
        try:
            return rebuild.rebuild_alone(db, scratch, check=request.check)
        except QuestionError as error:
            raise EnvironmentFault(error.reason, error.hint) from None
        finally:
            scratch.close()
            scratch.path.unlink(missing_ok=True)
