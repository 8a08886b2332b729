"""The server: hypercorn on trio. Nothing else here knows which one it is."""

import signal
from collections.abc import Callable
from functools import partial
from typing import Any

import hypercorn.trio
import trio
from hypercorn.config import Config


def serve(app: Any, host: str, port: int, started: Callable[[str], None]) -> int:
    """Serve an application until SIGTERM or SIGINT, and return which signal it was.

    Args:
        app: An ASGI application.
        host: The address to listen on.
        port: The port; 0 takes a free one.
        started: Called with the URL once it listens.
    """
    return trio.run(_serve, app, host, port, started)


async def _serve(app: Any, host: str, port: int, started: Callable[[str], None]) -> int:
    config = Config()
    config.bind = [f"[{host}]:{port}" if ":" in host else f"{host}:{port}"]
    config.errorlog = None
    config.graceful_timeout = 1.0
    stop = trio.Event()
    with trio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as signals:
        async with trio.open_nursery() as nursery:
            serving = partial(hypercorn.trio.serve, app, config, shutdown_trigger=stop.wait, mode="asgi")
            [url] = await nursery.start(serving)
            started(url)
            number = await anext(aiter(signals))
            stop.set()
    return int(number)
