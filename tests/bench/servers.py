"""Starting and ending the servers that we compare with."""

import socket
import subprocess
import time
from pathlib import Path

START_TIMEOUT_S = 20.0


def wait_for_socket(path: Path, process: subprocess.Popen[bytes]) -> None:
    """Return once a server accepts on its Unix socket.

    Raises:
        RuntimeError: it ended, or took too long.
    """
    deadline = time.monotonic() + START_TIMEOUT_S
    while process.poll() is None and time.monotonic() < deadline:
        with socket.socket(socket.AF_UNIX) as sock:
            if sock.connect_ex(str(path)) == 0:
                return
        time.sleep(0.01)
    raise RuntimeError(f"{process.args!r} did not start")


def wait_for_file(directory: Path, pattern: str, process: subprocess.Popen[bytes]) -> Path:
    """Return the file that a server writes once it is ready.

    Raises:
        RuntimeError: it ended, or took too long.
    """
    deadline = time.monotonic() + START_TIMEOUT_S
    while process.poll() is None and time.monotonic() < deadline:
        for file in directory.glob(pattern):
            if file.stat().st_size:
                return file
        time.sleep(0.01)
    raise RuntimeError(f"{process.args!r} did not start")


def end(process: subprocess.Popen[bytes]) -> None:
    """Stop a server and wait for it."""
    process.terminate()
    try:
        process.wait(START_TIMEOUT_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
