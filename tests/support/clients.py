"""What tests of the client share."""

from collections.abc import Callable

from flightlog import Client

ClientFactory = Callable[..., Client]
"""Takes what `Client` takes."""
