"""`log`: one line that somebody wrote."""

from typing import Any

from flightlog_schemas.events.envelope import Event
from flightlog_schemas.limits import Id


class Log(Event, kw_only=True, tag="log"):
    """A log entry.

    Attributes:
        message: The text; may hold newlines.
        level: A name in any case or an OpenTelemetry number 1..24. Anything else is read as INFO and never
            refused, for a strange level must not cost the line (so the type is Any).
        source: What wrote it, such as `exec:make` or a logger's name.
        fields: Structured data beside the text.
    """

    execution_id: Id
    message: str
    level: Any = "INFO"
    source: str | None = None
    fields: dict[str, Any] | None = None
