"""The supervisor's watchdog, fed by the work itself: trio's loop asks, the writer's thread has to answer."""

import apsw
import trio

from flightlogd.hub import Hub
from flightlogd.notify import Notifier


async def feed_watchdog(hub: Hub, notifier: Notifier) -> None:
    """Tell the supervisor at intervals that work goes on; ends at once where nobody wants to know.

    A loop that hangs does not get here, a writer that hangs does not answer. One that waits for storage is
    alive: the daemon answers questions meanwhile, and goes on by itself.
    """
    every_s = notifier.feed_every_s
    if every_s is None:
        return
    while True:
        asked_at = trio.current_time()
        with trio.move_on_after(every_s) as patience:
            await hub.writer.do(_nothing)
        if hub.fault is not None or not patience.cancelled_caught:
            notifier.alive(summary(hub))
        await trio.sleep_until(asked_at + every_s)


def summary(hub: Hub) -> str:
    """Return how the daemon is, in one line."""
    if hub.fault is not None:
        return f"{hub.fault.state}: {hub.fault.reason}"
    return f"{hub.head.seq:,} events, {sum(hub.connections.values())} connections"


def _nothing(_db: apsw.Connection) -> None:
    """Be there."""
