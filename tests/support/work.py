"""Work for child processes, in a module that they can import."""

import flightlog


def say(execution_id: str, message: str) -> None:
    """Log one line and return, without flushing."""
    flightlog.log(message, execution_id=execution_id)
