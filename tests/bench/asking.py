"""Questions over query.sock, and how long each took until its whole answer was there."""

import socket
import time
from typing import Self

from bench.ours import Flightlog


class Asker:
    """One connection to the query socket; a context manager that closes it.

    Args:
        daemon: Who is asked.
    """

    def __init__(self, daemon: Flightlog) -> None:
        self._socket: socket.socket = daemon.reader()
        self._answers = self._socket.makefile("rb")

    def ask(self, request: bytes) -> tuple[float, int, bytes]:
        """Send one request line; return the seconds to its last answer line, how many came before, and it."""
        began = time.perf_counter()
        answer = self.ask_all(request)
        return time.perf_counter() - began, len(answer) - 1, answer[-1]

    def ask_all(self, request: bytes) -> list[bytes]:
        """Send one request line; return all lines of its answer."""
        self._socket.sendall(request)
        answer = [self._answers.readline()]
        while not answer[-1].startswith((b'{"end"', b'{"error"')):
            answer.append(self._answers.readline())
        return answer

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exc: object) -> None:
        self._answers.close()
        self._socket.close()
