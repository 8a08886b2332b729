"""JSON Schema (draft 2020-12) of every event type, for people and for other languages."""

from typing import Any

import msgspec

from flightlog_schemas.events import BY_TAG


def event_schema(event_type: str) -> dict[str, Any]:
    """Return the JSON Schema of one event type, such as `execution.started`.

    Raises:
        KeyError: no such type.
    """
    schema = msgspec.json.schema(BY_TAG[event_type])
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": event_type, **schema}


def event_schemas() -> dict[str, dict[str, Any]]:
    """Return the schemas of all types, by type."""
    return {event_type: event_schema(event_type) for event_type in BY_TAG}
