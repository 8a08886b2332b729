"""A verb's question to a running daemon, and the same work with none running."""

import os
import socket
import sys
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, TypeVar

import apsw
import msgspec
import trio
from msgspec import Struct

from flightlog_schemas.wire.control import ControlRequest, Hold, Progress
from flightlog_schemas.wire.reply import QueryError
from flightlogd import app
from flightlogd.config import Config
from flightlogd.errors import EnvironmentFault, QuestionError, StartError
from flightlogd.governance.slices import Say
from flightlogd.hub import Hub
from flightlogd.logs import configure_logging
from flightlogd.store.database import DATABASE
from flightlogd.store.schema import lock_state_dir
from flightlogd.voice import Voice

T = TypeVar("T")

BY_HAND: Final = "an operator, with no daemon running"
"""On whose word something was done here."""

_CLEAR_LINE: Final = "\r\033[K"
_BAR_WIDTH: Final = 30


class NoDaemonError(Exception):
    """Nobody listens on control.sock."""


def absolute(path: str | None) -> str | None:
    """Return a path as it is from everywhere."""
    return None if path is None else str(Path(path).absolute())


def ask_daemon(config: Config, verb: str, request: ControlRequest) -> dict[str, list[msgspec.Raw]]:
    """Have a running daemon do something, and return its answers by what they hold.

    Progress is drawn on stderr while it goes on.

    Raises:
        NoDaemonError: there is none.
        EnvironmentFault: it must not be asked, or cannot do it.
    """
    with _connect(config) as sock:
        sock.sendall(b'{"%b":%b}\n' % (verb.encode(), msgspec.json.encode(request)))
        sock.shutdown(socket.SHUT_WR)
        return _answers(sock)


def held(config: Config, state_dir: str | None) -> socket.socket:
    """Have a running daemon take nothing out of its log until the returned connection is closed.

    Raises:
        NoDaemonError: there is none.
        EnvironmentFault: it must not be asked, or keeps another log.
    """
    sock = _connect(config)
    try:
        sock.sendall(b'{"hold":%b}\n' % msgspec.json.encode(Hold(state_dir=state_dir)))
        _refuse_error(sock.makefile("rb").readline())
    except BaseException:
        sock.close()
        raise
    return sock


def _refuse_error(line: bytes) -> None:
    answer = msgspec.json.decode(line or b"{}", type=dict[str, msgspec.Raw])
    if "error" in answer:
        error = msgspec.json.decode(answer["error"], type=QueryError)
        raise EnvironmentFault(error.reason, error.hint)


def _connect(config: Config) -> socket.socket:
    control = Path(config.runtime_dir, "control.sock")
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        sock.connect(str(control))
    except BaseException as error:
        sock.close()
        if isinstance(error, FileNotFoundError | ConnectionRefusedError):
            raise NoDaemonError(str(control)) from None
        if isinstance(error, PermissionError):
            raise EnvironmentFault(
                f"{control}: not allowed", "run as root or as the daemon's own user"
            ) from None
        raise
    return sock


def _answers(sock: socket.socket) -> dict[str, list[msgspec.Raw]]:
    found: dict[str, list[msgspec.Raw]] = {}
    drawn = False
    try:
        for line in sock.makefile("rb"):
            [(kind, told)] = msgspec.json.decode(line, type=dict[str, msgspec.Raw]).items()
            if kind == "progress":
                drawn = True
                draw_progress(msgspec.json.decode(told, type=Progress))
            elif kind == "error":
                error = msgspec.json.decode(told, type=QueryError)
                raise EnvironmentFault(error.reason, error.hint)
            elif kind == "end":
                return found
            else:
                found.setdefault(kind, []).append(told)
    finally:
        if drawn:
            clear_progress()
    raise EnvironmentFault("the daemon closed the connection before it was done", "look at its log")


def decode(found: dict[str, list[msgspec.Raw]], kind: str, struct: type[T]) -> list[T]:
    """Return the answers of one kind."""
    return [msgspec.json.decode(told, type=struct) for told in found.get(kind, [])]


def draw_progress(progress: Progress) -> None:
    """Draw how far it is over the line drawn before."""
    text = f"{progress.done}"
    if progress.total:
        filled = min(_BAR_WIDTH, _BAR_WIDTH * progress.done // progress.total)
        text = f"[{'#' * filled:{_BAR_WIDTH}}] {progress.done}/{progress.total}"
    print(f"{_CLEAR_LINE}{progress.step:8}{text}", end="", file=sys.stderr, flush=True)


@contextmanager
def drawing(*, wanted: bool) -> Iterator[Say]:
    """Return what draws progress where that is wanted, and take the line away in the end."""

    async def say(progress: Progress) -> None:
        if wanted:
            draw_progress(progress)
        await trio.lowlevel.checkpoint()

    try:
        yield say
    finally:
        if wanted:
            clear_progress()


def clear_progress() -> None:
    """Take the line away again."""
    print(end=_CLEAR_LINE, file=sys.stderr, flush=True)


@contextmanager
def own_database(config: Config) -> Iterator[apsw.Connection]:
    """The database for a verb alone: locked against a daemon, brought up to date, closed in the end.

    Raises:
        StartError: there is none, or it cannot be worked on.
    """
    configure_logging("warning")
    state_dir = Path(config.state_dir)
    if not (state_dir / DATABASE).exists():
        raise StartError(f"{state_dir / DATABASE}: no such file", "name the daemon's --state-dir")
    lock = lock_state_dir(state_dir)
    try:
        db = app.open_log(config)
        try:
            yield db
        finally:
            db.close()
    finally:
        os.close(lock)


def do_here(config: Config, work: Callable[[Hub, Voice], Awaitable[T]]) -> T:
    """Do with no daemon running what one would do: the same code, with nobody connected.

    Raises:
        EnvironmentFault: it cannot be done.
    """
    with own_database(config) as db:
        try:
            return trio.run(app.run_alone, config, db, work)
        except QuestionError as error:
            raise EnvironmentFault(error.reason, error.hint) from None


def lines_of(answers: list[bytes]) -> dict[str, list[msgspec.Raw]]:
    """Return answer lines as `ask_daemon` does."""
    found: dict[str, list[msgspec.Raw]] = {}
    for line in answers:
        [(kind, told)] = msgspec.json.decode(line, type=dict[str, msgspec.Raw]).items()
        found.setdefault(kind, []).append(told)
    return found


def print_json(*answers: Struct) -> None:
    """Print answers as JSON, one object on a line."""
    for answer in answers:
        print(msgspec.json.encode(answer).decode())
