"""What each verb of `flightlogd` does; the larger ones have a module each.

Operator verbs speak to a running daemon; only with none running do they take the state directory's lock and
open the file.
"""

import argparse
import os
import sys
from functools import partial
from pathlib import Path
from typing import Any

import apsw
import structlog

from flightlogd import __version__, app
from flightlogd.config import Config, load_config, render_config
from flightlogd.errors import ConfigError, EnvironmentFault, StartError
from flightlogd.listen import allow_descriptors, bind_sockets, inherited_sockets
from flightlogd.logs import configure_logging
from flightlogd.memory import collect_seldom, keep_large_blocks
from flightlogd.notify import Notifier
from flightlogd.store.database import DATABASE, open_reader
from flightlogd.store.schema import check_database, lock_state_dir, schema_version
from flightlogd.users import rule_doubts
from flightlogd.verbs import backup, rebuild, restore, retention, salvage, scrub, verify
from flightlogd.verbs.ask import absolute
from flightlogd.verbs.exits import DONE, FAILURE, USAGE

logger = structlog.get_logger(__name__)


def run(arguments: argparse.Namespace) -> int:
    """Carry out a parsed command line and return its exit code; errors go to stderr with a hint."""
    name = f"flightlogd {arguments.verb}" if arguments.verb else "flightlogd"
    load = partial(
        load_config,
        getattr(arguments, "config", None),
        overrides={
            "state_dir": absolute(getattr(arguments, "state_dir", None)),
            "runtime_dir": absolute(getattr(arguments, "runtime_dir", None)),
        },
    )
    try:
        if arguments.verb == "version":
            return _version()
        config = load()
        match arguments.verb:
            case None:
                return _serve(config, load)
            case "check-config":
                for doubt in rule_doubts(config):
                    print(f"{name}: warning: user_rules: {doubt}", file=sys.stderr)
                print("ok")
                return DONE
            case "print-config":
                print(render_config(config), end="")
                return DONE
            case "rebuild":
                return rebuild.run(config, arguments)
            case "retention":
                return retention.run(config, arguments)
            case "backup":
                return backup.run(config, arguments)
            case "restore":
                return restore.run(config, arguments)
            case "salvage":
                return salvage.run(config, arguments)
            case "scrub":
                return scrub.run(config, arguments)
            case "verify":
                return verify.run(config, arguments)
            case "sql":
                return _sql(config, arguments.statement)
            case _:
                raise AssertionError(arguments.verb)
    except EnvironmentFault as fault:
        hint = f"\nhint: {fault.hint}" if fault.hint else ""
        print(f"{name}: {fault.reason}{hint}", file=sys.stderr)
        return USAGE if isinstance(fault, ConfigError) else FAILURE
    except KeyboardInterrupt:
        return 130


def _version() -> int:
    print(
        f"flightlogd {__version__} (database schema {schema_version()}, SQLite {apsw.sqlite_lib_version()})"
    )
    return DONE


def _serve(config: Config, load: app.LoadConfig) -> int:
    configure_logging(config.log_level)
    os.umask(0o027)  # what was recorded is for the daemon's user and group
    keep_large_blocks()
    collect_seldom()
    allow_descriptors(config.connection_limit, config.pidfd_limit)
    # Before anything is bound or opened: of two daemons on one directory the second only says so.
    lock = lock_state_dir(Path(config.state_dir))
    inherited = inherited_sockets(os.environ)
    sockets = bind_sockets(config, inherited)
    db = app.open_log(config)
    app.start(config, db, sockets, load, Notifier.from_environment(os.environ))
    logger.info("stopped")
    for name, sock in sockets.items():
        sock.close()
        if name not in inherited:  # those are the supervisor's: it goes on listening
            Path(config.runtime_dir, f"{name}.sock").unlink(missing_ok=True)
    os.close(lock)
    return DONE


def _sql(config: Config, statement: str | None) -> int:
    """Run SQLite's shell on a connection that cannot write."""
    import apsw.shell  # not needed by the daemon

    database = Path(config.state_dir) / DATABASE
    if not database.exists():
        raise StartError(f"{database}: no such file", "name the daemon's --state-dir")
    check_database(database)
    db = open_reader(database)
    shell: Any = apsw.shell.Shell(db=db)  # untyped in apsw
    try:
        if statement is not None:
            shell.process_complete_line(
                statement if statement.startswith(".") else f"{statement.rstrip(';')};"
            )
        else:
            shell.bail = not sys.stdin.isatty()  # who pipes statements goes by the exit code
            shell.cmdloop()
    except (apsw.Error, apsw.shell.Shell.Error) as error:
        print(f"flightlogd sql: {str(error).rstrip()}", file=sys.stderr)
        return FAILURE
    return DONE
