"""Numbers from measurements: medians, percentiles, spread, and how they are written."""

import statistics
from collections.abc import Sequence


def median(values: Sequence[float]) -> float:
    """Return the middle value."""
    return statistics.median(values)


def percentile(values: Sequence[float], share: float) -> float:
    """Return the smallest value that at least `share` (0..1) of all values do not exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]


def rate(value: float) -> str:
    """Return a rate per second as text."""
    return f"{value:,.0f}/s"


def spread(values: Sequence[float]) -> str:
    """Return the lowest and highest of some rates as text."""
    return f"{min(values):,.0f} .. {max(values):,.0f}"


def millis(seconds: float) -> str:
    """Return a time as milliseconds, with as many decimals as say something."""
    value = seconds * 1000
    return f"{value:.3f} ms" if value < 1 else f"{value:.2f} ms" if value < 100 else f"{value:.0f} ms"


def megabytes(size_bytes: float) -> str:
    """Return a size as text."""
    return f"{size_bytes / 1e6:.1f} MB"
