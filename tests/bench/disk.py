"""The bare disk: append to a file, fdatasync, nothing else."""

import os
import time
from pathlib import Path


class Disk:
    """Appends lines to a new file in a directory."""

    name = "plain write + fdatasync"

    def __init__(self, directory: Path) -> None:
        self._file = directory / "plain"

    def bulk(self, batches: list[list[bytes]]) -> float:
        """Write each batch and sync; return lines a second."""
        blocks = [b"".join(batch) for batch in batches]
        fd = os.open(self._file, os.O_CREAT | os.O_TRUNC | os.O_WRONLY | os.O_APPEND, 0o600)
        try:
            began = time.perf_counter()
            for block in blocks:
                os.write(fd, block)
                os.fdatasync(fd)
            took = time.perf_counter() - began
        finally:
            os.close(fd)
        return sum(map(len, batches)) / took

    def single(self, lines: list[bytes], connections: int) -> tuple[float, list[float]]:
        """Write each line and sync; return the rate and each line's time in seconds."""
        fd = os.open(self._file, os.O_CREAT | os.O_TRUNC | os.O_WRONLY | os.O_APPEND, 0o600)
        waits = []
        try:
            began = last = time.perf_counter()
            for line in lines:
                os.write(fd, line)
                os.fdatasync(fd)
                now = time.perf_counter()
                waits.append(now - last)
                last = now
        finally:
            os.close(fd)
        return len(lines) / (last - began), waits

    def close(self) -> None:
        """Remove the file."""
        self._file.unlink(missing_ok=True)
