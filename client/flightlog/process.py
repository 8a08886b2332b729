"""Who a process is, so that a reused process id or a reboot is not taken for it."""

import os
from functools import cache

from flightlog_schemas.events.execution import Owner


def process_identity(pid: int) -> Owner | None:
    """Return who has this process id now: with its start time and the boot it belongs to.

    What /proc does not tell is left out. None means that there is no such process.

    Args:
        pid: Process id, at least 1.
    """
    try:
        stat = _read(f"/proc/{pid}/stat")
    except (FileNotFoundError, ProcessLookupError):
        return None if os.access("/proc/self/stat", os.F_OK) else Owner(pid=pid)
    except OSError:
        return Owner(pid=pid, boot_id=_boot_id())
    # The command's name comes in parentheses and may hold any character; field 22 counts from 1.
    after_name = stat[stat.rindex(b")") + 2 :].split()
    return Owner(pid=pid, start_time=int(after_name[22 - 3]), boot_id=_boot_id())


def this_process() -> Owner:
    """Return who this process is."""
    pid = os.getpid()
    return process_identity(pid) or Owner(pid=pid)


@cache
def _boot_id() -> str | None:
    try:
        return _read("/proc/sys/kernel/random/boot_id").decode().strip()
    except OSError:
        return None


def _read(path: str) -> bytes:
    # By plain descriptors: pathlib is a fair part of the time that importing flightlog may take.
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        return os.read(descriptor, 4096)
    finally:
        os.close(descriptor)
