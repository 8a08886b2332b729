"""`audit.*`: acts that somebody must be able to answer for, beside what other events show."""

from typing import Any

from flightlog_schemas.events.envelope import Event


class AuditRecorded(Event, kw_only=True, tag="audit.recorded"):
    """Somebody did something worth an entry in the audit trail. Who is known from the connection."""

    action: str
    target: str | None = None
    reason: str | None = None
    detail: dict[str, Any] | None = None
