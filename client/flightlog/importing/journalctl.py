"""Lines of `journalctl -o json`, from the journal of this machine, as they come."""

import os
import select
import signal
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import NamedTemporaryFile
from types import FrameType
from typing import Final

from msgspec import Struct

from flightlog.errors import FlightlogError
from flightlog.importing.sources import LINE_LIMIT_BYTES

_READ_BYTES: Final = 256 * 1024
_CURSOR_LIMIT_CHARS: Final = 1_000
_STOPS: Final = (signal.SIGINT, signal.SIGTERM)


class Choice(Struct, kw_only=True):
    """Which entries, as journalctl chooses.

    Attributes:
        units: Of any of these units, and what systemd says of them.
        identifiers: Of any of these.
        since: At or after this time, microseconds since the epoch.
        follow: Go on with what comes.
        after: After the entry of this cursor.
    """

    units: Sequence[str] = ()
    identifiers: Sequence[str] = ()
    since: int | None = None
    follow: bool = False
    after: str | None = None

    @property
    def command(self) -> list[str]:
        """The call that says so."""
        arguments = ["journalctl", "--output=json", "--all", "--quiet", "--no-pager"]
        arguments += [f"--unit={unit}" for unit in self.units]
        arguments += [f"--identifier={identifier}" for identifier in self.identifiers]
        if self.since is not None:
            arguments.append(f"--since=@{self.since // 1_000_000}.{self.since % 1_000_000:06}")
        if self.after is not None:
            arguments.append(f"--after-cursor={self.after}")
        if self.follow:
            arguments += ["--follow", "--no-tail"]
        return arguments


class Journal:
    """journalctl at work: a context manager that ends it, and with it the lines, on SIGINT and SIGTERM.

    A second signal does not wait for a daemon that is busy: it raises KeyboardInterrupt.

    Args:
        choice: Which entries.

    Attributes:
        stopped_by: The signal that ended it, None where there was none.
        size_bytes: How much was read.
    """

    def __init__(self, choice: Choice) -> None:
        self.stopped_by: int | None = None
        self.size_bytes = 0
        self._choice = choice

    @contextmanager
    def lines(self) -> Iterator[Iterator[bytes | None]]:
        """Give the lines; None among them says that nothing more is there for now.

        Raises:
            FlightlogError: there is no journalctl, or it failed.
        """
        try:
            child = subprocess.Popen(  # noqa: S603  # the program is fixed
                self._choice.command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE
            )
        except OSError as error:
            raise FlightlogError(
                f"journalctl cannot be run: {error.strerror}", "give a file that `journalctl -o json` wrote"
            ) from error

        def stop(number: int, _frame: FrameType | None) -> None:
            if self.stopped_by is not None:
                raise KeyboardInterrupt
            self.stopped_by = number
            child.terminate()

        before = {number: signal.signal(number, stop) for number in _STOPS}
        try:
            with child:
                try:
                    yield self._read(child)
                finally:
                    child.terminate()
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _read(self, child: "subprocess.Popen[bytes]") -> Iterator[bytes | None]:
        assert child.stdout is not None
        assert child.stderr is not None
        fd = child.stdout.fileno()
        poll = select.poll()
        poll.register(fd, select.POLLIN)
        rest = b""
        too_long = False
        while True:
            if not poll.poll(0):
                yield None
                poll.poll()
            data = os.read(fd, _READ_BYTES)
            if not data:
                break
            self.size_bytes += len(data)
            *whole, rest = (rest + data).split(b"\n")
            for line in whole:
                yield b"" if too_long else line
                too_long = False
            if len(rest) > LINE_LIMIT_BYTES:
                rest, too_long = b"", True
        said = child.stderr.read().decode(errors="replace").strip()
        if child.wait() and self.stopped_by is None:
            raise FlightlogError(f"journalctl: {said or f'exit status {child.returncode}'}")


class CursorFile:
    """A file that keeps how far an import came.

    Args:
        path: The file; None keeps nothing.
    """

    def __init__(self, path: Path | None) -> None:
        self._path = path

    def read(self) -> str | None:
        """Return the cursor in it, None where there is none yet.

        Raises:
            FlightlogError: it cannot be read, or holds something else.
        """
        if self._path is None:
            return None
        try:
            cursor = self._path.read_text("utf-8").strip()
        except FileNotFoundError:
            return None
        except (OSError, ValueError) as error:
            raise FlightlogError(f"{self._path}: {error}") from error
        if not cursor.startswith("s=") or len(cursor) > _CURSOR_LIMIT_CHARS or not cursor.isprintable():
            raise FlightlogError(f"{self._path} holds no cursor of a journal", "remove it to begin anew")
        return cursor

    def write(self, cursor: str) -> None:
        """Put a cursor in its place, whole or not at all.

        Raises:
            FlightlogError: it cannot be written.
        """
        if self._path is None:
            return
        try:
            with NamedTemporaryFile(
                "w", dir=self._path.parent, prefix=f".{self._path.name}.", delete=False
            ) as file:
                new = Path(file.name)
                try:
                    file.write(f"{cursor}\n")
                    file.flush()
                    new.replace(self._path)
                except OSError:
                    new.unlink(missing_ok=True)
                    raise
        except OSError as error:
            raise FlightlogError(f"{self._path}: {error.strerror or error}") from error
