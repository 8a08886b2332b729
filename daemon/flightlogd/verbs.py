"""What each verb of `flightlogd` does.

Operator verbs speak to a running daemon; only with none running do they take the state directory's lock and
open the file.
"""

import argparse
import os
import socket
import sys
from functools import partial
from pathlib import Path
from typing import Any, Final

import apsw
import msgspec
import structlog

from flightlog_schemas.wire.control import Difference, Progress, Rebuild
from flightlog_schemas.wire.query import QueryError
from flightlogd import __version__, app, rebuild
from flightlogd.config import Config, load_config, render_config
from flightlogd.errors import ConfigError, EnvironmentFault, QuestionError, StartError
from flightlogd.listen import allow_descriptors, bind_sockets, inherited_sockets
from flightlogd.logs import configure_logging
from flightlogd.memory import collect_seldom, keep_large_blocks
from flightlogd.store.database import DATABASE, open_reader
from flightlogd.store.schema import check_database, lock_state_dir, schema_version

logger = structlog.get_logger(__name__)

DONE, FOUND_SOMETHING, FAILURE, USAGE = 0, 1, 2, 3


def run(arguments: argparse.Namespace) -> int:
    """Carry out a parsed command line and return its exit code; errors go to stderr with a hint."""
    name = f"flightlogd {arguments.verb}" if arguments.verb else "flightlogd"
    load = partial(
        load_config,
        getattr(arguments, "config", None),
        overrides={
            "state_dir": _absolute(getattr(arguments, "state_dir", None)),
            "runtime_dir": _absolute(getattr(arguments, "runtime_dir", None)),
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
                print("ok")
                return DONE
            case "print-config":
                print(render_config(config), end="")
                return DONE
            case "rebuild":
                return _rebuild(config, arguments)
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


def _absolute(path: str | None) -> str | None:
    return None if path is None else str(Path(path).absolute())


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
    sockets = bind_sockets(config, inherited_sockets(os.environ))  # type: ignore[arg-type]  # it is a dict
    db = app.open_log(config)
    app.start(config, db, sockets, load)
    logger.info("stopped")
    for name, sock in sockets.items():
        sock.close()
        Path(config.runtime_dir, f"{name}.sock").unlink(missing_ok=True)
    os.close(lock)
    return DONE


def _rebuild(config: Config, arguments: argparse.Namespace) -> int:
    request = Rebuild(
        projections=tuple(arguments.projections),
        check=arguments.check,
        state_dir=_absolute(getattr(arguments, "state_dir", None)),
        progress=sys.stderr.isatty(),
    )
    try:
        rebuild.choose(request.projections)
    except KeyError as error:
        names = ", ".join(projection.NAME for projection in rebuild.choose(()))
        print(f"flightlogd rebuild: no read model {error.args[0]!r}\nhint: one of {names}", file=sys.stderr)
        return USAGE
    control = Path(config.runtime_dir, "control.sock")
    beside = True
    try:
        found = _ask_daemon(control, request)
    except (FileNotFoundError, ConnectionRefusedError):
        if arguments.shadow:
            raise EnvironmentFault(
                f"{control}: no daemon is running", "start it, or leave out --shadow to rebuild without one"
            ) from None
        beside = False
        found = _rebuild_here(config, request)
    except PermissionError:
        raise EnvironmentFault(f"{control}: not allowed", "run as root or as the daemon's own user") from None
    if arguments.json:
        for difference in found:
            print(msgspec.json.encode(difference).decode())
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


def _ask_daemon(control: Path, request: Rebuild) -> list[Difference]:
    found: list[Difference] = []
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as sock:
        sock.connect(str(control))
        sock.sendall(b'{"rebuild":' + msgspec.json.encode(request) + b"}\n")
        sock.shutdown(socket.SHUT_WR)
        try:
            for line in sock.makefile("rb"):
                answer = msgspec.json.decode(line)
                if "progress" in answer:
                    _show_progress(msgspec.convert(answer["progress"], Progress))
                elif "difference" in answer:
                    found.append(msgspec.convert(answer["difference"], Difference))
                elif "error" in answer:
                    error = msgspec.convert(answer["error"], QueryError)
                    raise EnvironmentFault(error.reason, error.hint)
                else:
                    return found
        finally:
            if request.progress:
                print(end=_CLEAR_LINE, file=sys.stderr, flush=True)
    raise EnvironmentFault("the daemon closed the connection before it was done", "look at its log")


_CLEAR_LINE: Final = "\r\033[K"
_BAR_WIDTH: Final = 30


def _show_progress(progress: Progress) -> None:
    """Draw how far it is over the line drawn before."""
    text = f"{progress.done} rows put right"
    if progress.total:
        filled = min(_BAR_WIDTH, _BAR_WIDTH * progress.done // progress.total)
        text = f"[{'#' * filled:{_BAR_WIDTH}}] {progress.done}/{progress.total}"
    print(f"{_CLEAR_LINE}{progress.step:8}{text}", end="", file=sys.stderr, flush=True)


def _rebuild_here(config: Config, request: Rebuild) -> list[Difference]:
    configure_logging("warning")
    state_dir = Path(config.state_dir)
    if not (state_dir / DATABASE).exists():
        raise StartError(f"{state_dir / DATABASE}: no such file", "name the daemon's --state-dir")
    lock = lock_state_dir(state_dir)
    db = app.open_log(config)
    scratch = rebuild.open_scratch(state_dir, rebuild.choose(request.projections))
    try:
        return rebuild.rebuild_alone(db, scratch, check=request.check)
    except QuestionError as error:
        raise EnvironmentFault(error.reason, error.hint) from None
    finally:
        scratch.close()
        scratch.path.unlink(missing_ok=True)
        db.close()
        os.close(lock)


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
            shell.cmdloop()
    except apsw.Error as error:
        print(f"flightlogd sql: {error}", file=sys.stderr)
        return FAILURE
    return DONE
