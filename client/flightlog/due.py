"""When waiting lines are sent, and whether the thread that sends looks for them by itself or is woken.

    nothing came lately            the first line wakes it, and is sent when it has waited for the interval
    lines come                     it looks again an interval after it sent: the first one need not wake it
    enough came at once            it looks every `LOOK_S` for a while, so that no line need wake it
    a buffer fills up, an event    is told at once, always
    of how an execution fares

To wake a thread costs a call of the program more than all the rest of it, and may cost it the interpreter.
"""

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from flightlog.producer import Producer

LOOK_S: Final = 0.01
"""A thread that is woken does not get the interpreter much sooner: a busy program keeps it for 5 ms."""

SOON_S: Final = 0.1
"""How long that goes on after enough lines came at once."""


class Due:
    """When one producer's lines are due. Only its sending thread uses this, with the producer's lock held.

    Args:
        producer: Whose lines; it is told whether to wake the thread.
    """

    def __init__(self, producer: "Producer") -> None:
        self._producer = producer
        self._at: float | None = None
        """When the oldest waiting line has waited long enough, or could have; None while none is expected."""
        self._soon_until = float("-inf")

    def in_s(self, now: float, *, linked: bool) -> float | None:
        """Return how long what waits may still wait, or when to look for more; None if that will wake us.

        Args:
            now: The monotonic clock.
            linked: Whether there is a connection.
        """
        producer, outbox = self._producer, self._producer.outbox
        waits = outbox.pending > 0 or bool(producer.counts)
        if not outbox.in_flight and outbox.undeclared:
            waits = True
        if not (outbox.held_lines or producer.counts or outbox.undeclared):
            producer.urgent = False
        if outbox.next_is_spooled or (outbox.in_flight and not linked):
            # It has waited before. What was sent on a live link is acked by itself.
            return 0.0
        if producer.looks_soon and now >= self._soon_until:
            producer.looks_soon = False
        if not waits:
            producer.urgent = False
            return 0.0 if producer.close_by is not None else self._look_in_s(now)
        hurry = producer.urgent or producer.close_by is not None
        if hurry or outbox.pending >= producer.settings.flush_lines:
            return 0.0
        if self._at is None:
            self._at = now + producer.settings.flush_interval_s
        wait_s = max(self._at - now, 0.0)
        return min(wait_s, LOOK_S) if producer.looks_soon else wait_s

    def expect(self, now: float, sent: int) -> float | None:
        """Look for the lines that will follow so many that were sent; return in how many seconds."""
        producer, interval_s = self._producer, self._producer.settings.flush_interval_s
        if sent >= producer.settings.flush_lines and interval_s > LOOK_S:
            self._soon_until = now + SOON_S
            producer.looks_soon = True
        producer.attentive = interval_s > 0
        self._at = now + interval_s
        return self._look_in_s(now)

    def rely_on_wakes(self) -> None:
        """Look for nothing without being woken."""
        self._producer.attentive = self._producer.looks_soon = False

    def _look_in_s(self, now: float) -> float | None:
        """Return when to look where nothing waits: what comes until then is not older than that."""
        producer = self._producer
        if producer.looks_soon:
            self._at = now + producer.settings.flush_interval_s
            return LOOK_S
        if not producer.attentive or self._at is None or now >= self._at:
            producer.attentive = False
            self._at = None
            return None
        return self._at - now
