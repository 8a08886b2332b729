"""One line on stderr, once for each kind of trouble; a program's own output must not drown in ours."""

import os
import sys
from contextlib import suppress


class Notices:
    """What was told already, so that it is told once."""

    def __init__(self) -> None:
        self._told: set[str] = set()

    def tell_once(self, kind: str, sentence: str) -> None:
        """Write `flightlog: SENTENCE` to stderr, unless this kind of trouble was told before."""
        if kind not in self._told:
            self._told.add(kind)
            tell(sentence)


def tell(sentence: str) -> None:
    """Write one line to stderr; where that is closed or broken, nothing happens."""
    line = f"flightlog: {sentence}\n"
    # No stderr, a closed one, or one that breaks: a warning is not worth a failure.
    with suppress(Exception):
        stream = sys.stderr
        try:
            descriptor = stream.fileno()
        except (OSError, ValueError):
            stream.write(line)
        else:
            # Past the stream's lock: a thread that dies with it at exit would abort the interpreter.
            os.write(descriptor, line.encode())
