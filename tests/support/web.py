"""A real `flightlog web` in a process of its own, and what asks it: httpx, bare sockets, event streams."""

import json
import signal
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, Self

import httpx

from cli.runner import TIMEOUT_S, Cli, launch

Json = dict[str, Any]

MODULES = ("flightlog.cli.verbs.web", "flightlog.web.site")
"""What the server reads at every start."""


class Web:
    """One `flightlog web`; a context manager that ends what is left of it.

    Args:
        runtime_dir: Where its daemon's sockets are.
        arguments: More arguments for the command line.
    """

    def __init__(self, runtime_dir: Path, *arguments: str) -> None:
        self.process = launch(
            ["web", "--port", "0", *arguments],
            modules=MODULES,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=Cli(runtime_dir).environment(),
            cwd="/",
        )
        assert self.process.stdout is not None
        self.url = self.process.stdout.readline().decode().strip().rstrip("/")
        """Where it listens, without a slash at the end."""
        if not self.url:
            _, err = self.process.communicate()
            raise AssertionError(f"flightlog web did not start: {err.decode()}")
        self.client = httpx.Client(base_url=self.url, timeout=TIMEOUT_S)

    @property
    def port(self) -> int:
        """The port that it listens on."""
        return int(self.url.rpartition(":")[2])

    def get(self, path: str, **options: Any) -> httpx.Response:
        """Ask."""
        return self.client.get(path, **options)

    def json(self, path: str, /, **params: Any) -> Json:
        """Ask what must have an answer, and return it."""
        response = self.get(path, params=params or None)
        assert response.status_code == 200, response.text
        answer = response.json()
        assert isinstance(answer, dict)
        return answer

    def error(self, path: str, status: int, /, **params: Any) -> Json:
        """Ask what must have none, with this status code, and return the error."""
        response = self.get(path, params=params or None)
        assert response.status_code == status, response.text
        error = response.json()["error"]
        assert set(error) == {"code", "reason", "hint"}
        assert isinstance(error, dict)
        return error

    def socket(self, timeout_s: float = TIMEOUT_S) -> socket.socket:
        """Return a bare connection to it."""
        return socket.create_connection(("127.0.0.1", self.port), timeout_s)

    @contextmanager
    def stream(self, *, last_event_id: int | None = None, **params: Any) -> Iterator["Stream"]:
        """Follow the log as a browser does."""
        headers = {} if last_event_id is None else {"last-event-id": str(last_event_id)}
        with self.client.stream("GET", "/api/stream", params=params, headers=headers) as response:
            assert response.status_code == 200, response.read()
            yield Stream(response)

    def end(self, number: signal.Signals = signal.SIGTERM) -> tuple[int, str]:
        """Ask it to end, and return its exit code and what it wrote to stderr."""
        self.process.send_signal(number)
        _, err = self.process.communicate(timeout=TIMEOUT_S)
        return self.process.returncode, err.decode()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.client.close()
        self.process.kill()
        self.process.communicate()


class Event(NamedTuple):
    """One server-sent event."""

    event: str
    id: int | None
    data: Json


class Stream:
    """Server-sent events as they come."""

    def __init__(self, response: httpx.Response) -> None:
        self.response = response
        self._lines = response.iter_lines()

    def __iter__(self) -> Iterator[Event]:
        fields: dict[str, str] = {}
        for line in self._lines:
            if line:
                name, _, value = line.partition(":")
                fields[name] = value.removeprefix(" ")
            elif "event" in fields:
                number = fields.get("id")
                yield Event(
                    fields["event"], None if number is None else int(number), json.loads(fields["data"])
                )
                fields = {}

    def until(self, event: str) -> list[Event]:
        """Return the events that come, up to the first of a kind."""
        found = []
        for one in self:
            found.append(one)
            if one.event == event:
                return found
        raise AssertionError(f"the stream ended without {event}: {found[-3:]}")

    def seqs(self, count: int) -> list[int]:
        """Return the positions of the next so many recorded events."""
        found: list[int] = []
        while len(found) < count:
            [*_, tail] = self.until("tail")
            assert tail.id == tail.data["seq"]
            found.append(tail.data["seq"])
        return found
