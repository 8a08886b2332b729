"""Questions over query.sock, and how long each took until its whole answer was there."""

import socket
import time
from typing import Self

from bench.contest import Contest


class Asker:
    """One connection to the query socket; a context manager that closes it.

    Args:
        contest: Whose daemon of ours is asked.
    """

    def __init__(self, contest: Contest) -> None:
        self._socket: socket.socket = contest.ours.reader()
        self._answers = self._socket.makefile("rb")

    def ask(self, request: bytes) -> tuple[float, int, bytes]:
        """Send one request line; return the seconds to its last answer line, how many came before, and it."""
        began = time.perf_counter()
        self._socket.sendall(request)
        count, line = 0, self._answers.readline()
        while not line.startswith((b'{"end"', b'{"error"')):
            count, line = count + 1, self._answers.readline()
        return time.perf_counter() - began, count, line

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exc: object) -> None:
        self._answers.close()
        self._socket.close()
