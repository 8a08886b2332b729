"""A flightlogd whose wall clock is wrong: clock.py is the only place that reads it."""

import sys

from flightlogd import clock

_real = clock.system_clock
_shift_us = 0
clock.system_clock = lambda: _real() + _shift_us  # before any other module takes it


def main() -> None:
    """Run flightlogd with a clock that is wrong by the first argument, in microseconds."""
    global _shift_us
    _shift_us = int(sys.argv.pop(1))
    from flightlogd.__main__ import main as run

    run()
