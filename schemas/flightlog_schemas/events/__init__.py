"""All event types, by family. What finds one by its `type` is `registry`, loaded when first asked for here.

A program that emits needs few types, from the modules of their families: making all of them takes a while.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from flightlog_schemas.events.registry import *  # noqa: F403  # all that it names


def __getattr__(name: str) -> Any:
    return getattr(import_module("flightlog_schemas.events.registry"), name)
