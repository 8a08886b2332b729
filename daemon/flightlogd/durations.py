"""Durations as a histogram on a logarithmic scale: counted in buckets, read back within 2 %. Pure.

Below 64 microseconds each has a bucket of its own. Above, each doubling is cut into 32 of equal width, so a
bucket is at most 1/32 as wide as the values in it and its middle is at most 1/64, that is 1.6 %, away from
any of them. Whole numbers alone: the same on every machine.
"""

from collections.abc import Mapping
from typing import Final

_PER_DOUBLING: Final = 32


def bucket_of(duration_us: int) -> int:
    """Return the bucket of a duration in microseconds."""
    shift = max(0, duration_us.bit_length() - _PER_DOUBLING.bit_length())
    return _PER_DOUBLING * shift + (duration_us >> shift)


def middle_of(bucket: int) -> int:
    """Return the middle of a bucket, in microseconds."""
    shift = max(0, bucket // _PER_DOUBLING - 1)
    return ((bucket - _PER_DOUBLING * shift) << shift) + (1 << shift >> 1)


def share_of(histogram: Mapping[int, int], share: float) -> int | None:
    """Return the duration that at least a share of all do not exceed, in microseconds; None if there is none.

    Args:
        histogram: How many there are, by bucket.
        share: Above 0 (the shortest) to 1 (the longest).
    """
    wanted = share * sum(histogram.values())
    counted = 0
    for bucket in sorted(histogram):
        counted += histogram[bucket]
        if counted >= wanted:
            return middle_of(bucket)
    return None
