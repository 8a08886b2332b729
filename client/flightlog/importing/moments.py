"""Times as files have them: RFC 3339 with any offset, or a number since the epoch."""

from typing import Final

from flightlog_schemas.times import parse_rfc3339

_SECONDS_BELOW: Final = 10**11
"""In the year 5138; a greater number is in milliseconds."""
_MILLISECONDS_BELOW: Final = 10**14
_MICROSECONDS_BELOW: Final = 10**17


def moment_us(value: str | float) -> int:
    """Return microseconds since the epoch.

    Args:
        value: RFC 3339 (without an offset: UTC); or a number of seconds, milliseconds or microseconds since
            the epoch, told apart by their size.

    Raises:
        ValueError: it is none, or before 1970.
    """
    if isinstance(value, str):
        try:
            micros = parse_rfc3339(value)
        except ValueError:
            raise ValueError(f"no time: {value[:60]!r}") from None
    elif abs(value) < _SECONDS_BELOW:
        micros = round(value * 1_000_000)
    elif abs(value) < _MILLISECONDS_BELOW:
        micros = round(value * 1_000)
    elif abs(value) < _MICROSECONDS_BELOW:
        micros = round(value)
    else:
        raise ValueError(f"no time: {value}")
    if micros < 0:
        raise ValueError(f"before 1970: {value}")
    return micros
