"""What goes wrong for a while: said when it begins and when it is over, not each time that it is tried."""

import asyncio
from collections.abc import Callable
from typing import Final

_FIRST_PAUSE_S: Final = 0.1
_LONGEST_PAUSE_S: Final = 5.0


class Trouble:
    """One thing that may not work for a while, and how often it is tried.

    Args:
        say: Tells a person something.
        over: What is said when it works again.
    """

    def __init__(self, say: Callable[[str], None], over: str) -> None:
        self._say = say
        self._over = over
        self._said: str | None = None
        self._pause_s = _FIRST_PAUSE_S

    def note(self, text: str) -> None:
        """Say what is wrong, unless that was said last."""
        if text != self._said:
            self._said = text
            self._say(text)

    async def wait(self, text: str, least_s: float = 0.0) -> None:
        """Say what is wrong, and wait before it is tried again, longer each time and at least so long."""
        self.note(text)
        await asyncio.sleep(max(self._pause_s, least_s))
        self._pause_s = min(self._pause_s * 2, _LONGEST_PAUSE_S)

    def clear(self) -> None:
        """Note that it works."""
        if self._said is not None:
            self._say(self._over)
            self._said = None
        self._pause_s = _FIRST_PAUSE_S


def text_of(error: BaseException) -> str:
    """Return what an error says; some say nothing but what they are."""
    return str(error) or type(error).__name__
