"""Processes of this machine: which one an owner is, whether it is still there, how it ended.

A pid alone says little: it counts in its pid namespace only, and is given to another process after its own.
Together with the start time and the boot it names one process for ever. What /proc does not show (it may hide
the processes of other users) is not known, and nothing is concluded from it.
"""

import errno
import fcntl
import os
import signal
import struct
from functools import cache
from pathlib import Path
from typing import Any, Final

from msgspec import Struct

from flightlog_schemas.events import Owner

PIDFD_GET_INFO: Final = 0xC040FF0B
"""_IOWR(0xFF, 11, struct pidfd_info) of linux/pidfd.h, with the 64 bytes of its first version."""

PIDFD_INFO_EXIT: Final = 1 << 3
"""Bit of its mask: exit_code, which the kernel (from 6.15 on) knows once the process was reaped."""

_INFO_BYTES: Final = 64
_EXIT_CODE_AT: Final = 60

_SHORT_OF_DESCRIPTORS: Final = (errno.EMFILE, errno.ENFILE, errno.ENOMEM)
_IS_A_THREAD: Final = (errno.EINVAL, errno.ENOENT)


class Found(Struct, frozen=True):
    """The process that an owner is.

    Attributes:
        pid: Its id in our namespace.
        start_time: When it began, in clock ticks since boot; None where nobody says.
        pidfd: Descriptor that is readable once it has ended; None where there was none to be had.
    """

    pid: int
    start_time: int | None
    pidfd: int | None


class Gone(Struct, frozen=True):
    """There is no such process any more.

    Attributes:
        since: What is known of when it went, as the end of a sentence about it.
    """

    since: str


class Elsewhere(Struct, frozen=True):
    """It may be there and cannot be seen from here, as in another pid namespace."""


class Stat(Struct, frozen=True):
    """What /proc/PID/stat says.

    Attributes:
        start_time: Field 22: clock ticks from boot to its start.
        ended: It is over and only waits to be reaped.
        exit_code: Field 52: how it ended, as wait(2) has it. 0 also where we may not know.
    """

    start_time: int
    ended: bool
    exit_code: int


@cache
def boot_id() -> str | None:
    """Return which boot of this machine it is; None where /proc does not say."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text("ascii").strip()
    except OSError:
        return None


@cache
def own_namespace() -> int | None:
    """Return the inode that names our pid namespace; None where /proc does not say."""
    try:
        return Path("/proc/self/ns/pid").stat().st_ino
    except OSError:
        return None


def read_stat(pid: int) -> Stat | None:
    """Return what /proc says of a process; None where there is none, or it is hidden from us."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_bytes()
    except OSError:
        return None
    # The command's name comes in parentheses and may hold any character; what follows begins with field 3.
    fields = stat[stat.rindex(b")") + 2 :].split()
    # A process whose first thread has ended looks like a zombie as long as the others go on.
    ended = fields[0] in (b"Z", b"X") and int(fields[20 - 3]) <= 1
    return Stat(int(fields[22 - 3]), ended, int(fields[52 - 3]))


def find(owner: Owner, peer_pid: int | None, *, use_pidfd: bool = True) -> Found | Gone | Elsewhere:
    """Look for the process that an owner is.

    Args:
        owner: Who it says it is; its pid is as its own namespace has it.
        peer_pid: The process that named the owner, in our namespace, by the kernel: the owner itself, unless
            somebody else spoke for it.
        use_pidfd: Open a descriptor for it, if there is one to be had. The caller closes it.
    """
    # The kernel says 0 for a peer in a namespace that is not below ours: its pids mean nothing here.
    near = own_namespace() == owner.pid_namespace or (owner.pid_namespace is None and peer_pid != 0)
    here = boot_id()
    earlier = None not in (owner.boot_id, here) and owner.boot_id != here
    if near and not earlier:
        found = _look(owner.pid, owner.start_time, use_pidfd=use_pidfd)
        if found is not None:
            return found
    if peer_pid and owner.start_time is not None and owner.pid_namespace != own_namespace():
        # Only what shows that it is the owner counts: a command may have spoken for it, and ended. The boot
        # does not, for containers may be given a boot id of their own.
        stat = read_stat(peer_pid)
        if stat is not None and stat.start_time == owner.start_time:
            found = _look(peer_pid, owner.start_time, use_pidfd=use_pidfd)
            if isinstance(found, Found):
                return found
    if earlier:
        return Gone("ran before the machine was started again")
    return Gone("is there no longer") if near else Elsewhere()


def _look(pid: int, start_time: int | None, *, use_pidfd: bool) -> Found | Elsewhere | None:
    """Return the process of this id if it began at that time, or None: it is gone."""
    pidfd = None
    try:
        pidfd = os.pidfd_open(pid) if use_pidfd else None
    except ProcessLookupError:
        return None
    except OSError as error:
        if error.errno in _IS_A_THREAD:
            stat = read_stat(pid)
            named = stat is not None and stat.start_time == start_time
            return Elsewhere() if named else None
        if error.errno not in _SHORT_OF_DESCRIPTORS:
            raise
    # After the descriptor was opened: from then on nobody else can be behind it.
    if pidfd is None and not is_there(pid, start_time):
        return None
    stat = read_stat(pid)
    if stat is None:
        return Found(pid, start_time, pidfd)
    if start_time in (None, stat.start_time):
        return Found(pid, stat.start_time, pidfd)
    if pidfd is not None:
        os.close(pidfd)
    return None


def is_there(pid: int, start_time: int | None) -> bool:
    """Say whether a process runs, by looking; one that is hidden from us does as long as its pid is taken."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    stat = read_stat(pid)
    return stat is None or (not stat.ended and start_time in (None, stat.start_time))


def ending_of(pid: int, start_time: int | None, pidfd: int | None) -> dict[str, Any]:
    """Return how a process ended: `exit_status` or `signal`; nothing where nobody tells.

    Args:
        pid: Its id.
        start_time: When it began, if that is known.
        pidfd: Its descriptor, if there is one.
    """
    status = _status_when_reaped(pidfd)
    if status is None:
        stat = read_stat(pid)
        mine = stat is not None and stat.ended and start_time in (None, stat.start_time)
        # Without the right to know, the kernel says 0; root has it always.
        if stat is not None and mine and (stat.exit_code or os.geteuid() == 0):
            status = stat.exit_code
        else:
            status = _status_when_reaped(pidfd)  # its parent may have asked between the two looks
    if status is None:
        return {}
    code = os.waitstatus_to_exitcode(status)
    return {"exit_status": code} if code >= 0 else {"signal": _signal_name(-code)}


def _status_when_reaped(pidfd: int | None) -> int | None:
    if pidfd is None:
        return None
    info = bytearray(struct.pack("Q", PIDFD_INFO_EXIT).ljust(_INFO_BYTES, b"\0"))
    try:
        fcntl.ioctl(pidfd, PIDFD_GET_INFO, info)
    except OSError:
        return None  # an older kernel, or nobody has reaped it yet
    mask, status = *struct.unpack_from("Q", info), *struct.unpack_from("i", info, _EXIT_CODE_AT)
    return status if mask & PIDFD_INFO_EXIT else None


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"  # a real-time signal between its first and last
