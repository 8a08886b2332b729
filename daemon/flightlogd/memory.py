"""Keeps memory management out of the way of every commit."""

import ctypes
import gc
from typing import Final

_M_TRIM_THRESHOLD: Final = -1
_M_MMAP_THRESHOLD: Final = -3
_M_ARENA_MAX: Final = -8
"""Parameters of mallopt(3), from malloc.h."""

_LARGEST_BLOCK_BYTES: Final = 32 * 1024 * 1024
_KEPT_FREE_BYTES: Final = 8 * 1024 * 1024
_ARENAS: Final = 2


def keep_large_blocks() -> None:
    """Let malloc reuse blocks of the size of a batch.

    Above 128 KiB glibc asks the kernel for each block and gives it back at once; the page faults cost more
    than filling the block (measured: 150 against 12 microseconds to join a batch of 1,000 lines). A C library
    without mallopt goes on as it is.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_M_MMAP_THRESHOLD, _LARGEST_BLOCK_BYTES)
        mallopt(_M_TRIM_THRESHOLD, _KEPT_FREE_BYTES)
        # Every thread with an arena of its own would keep free blocks of its own.
        mallopt(_M_ARENA_MAX, _ARENAS)


def collect_seldom() -> None:
    """Let the garbage collector look for cycles seldom: events and lines are in none.

    With the default threshold of 700 it runs many times in a commit, and every time for nothing.
    """
    gc.freeze()
    gc.set_threshold(50_000, 20, 100)
