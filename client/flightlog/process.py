"""Who a process is, so that a reused process id or a reboot is not taken for it."""

import os
import time
from functools import cache

from flightlog_schemas.events.execution import BootClock, Owner


def process_identity(pid: int) -> Owner | None:
    """Return who has this process id now: with its start time, the boot and the pid namespace it belongs to.

    What /proc does not tell is left out. None means that there is no such process.

    Args:
        pid: Process id, at least 1.
    """
    try:
        stat = _read(f"/proc/{pid}/stat")
    except (FileNotFoundError, ProcessLookupError):
        return None if os.access("/proc/self/stat", os.F_OK) else Owner(pid=pid)
    except OSError:
        return Owner(pid=pid, boot_id=_boot_id(), pid_namespace=_pid_namespace(pid))
    # The command's name comes in parentheses and may hold any character; field 22 counts from 1.
    after_name = stat[stat.rindex(b")") + 2 :].split()
    # One whose first thread has ended looks like a zombie as long as the others go on.
    if after_name[0] in (b"Z", b"X") and int(after_name[20 - 3]) <= 1:
        return None  # it has ended and only waits to be reaped
    return Owner(
        pid=pid,
        start_time=int(after_name[22 - 3]),
        boot_id=_boot_id(),
        pid_namespace=_pid_namespace(pid),
    )


def this_process() -> Owner:
    """Return who this process is."""
    pid = os.getpid()
    return process_identity(pid) or Owner(pid=pid)


def boot_clock() -> BootClock | None:
    """Return what the clock says that nobody sets, None where it is not known which boot it belongs to.

    Two readings of one boot are as far apart as it was in truth, also in two processes, and also when the
    time of day was set in between or the machine slept.
    """
    boot_id = _boot_id()
    if boot_id is None:
        return None
    return BootClock(boot_id=boot_id, uptime_us=time.clock_gettime_ns(time.CLOCK_BOOTTIME) // 1000)


def _pid_namespace(pid: int) -> int | None:
    """Return the inode that names the namespace in which the process id counts; None where it is not told."""
    try:
        return os.stat(f"/proc/{pid}/ns/pid").st_ino  # noqa: PTH116  # pathlib is slow to import
    except OSError:
        return None


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
