"""Doors: paths to which other systems post what they tell, in their own words.

- `door`: what a door is; `intake`: what all have in common, from the request to the daemon's ack
- `otlp`: OpenTelemetry; `cloudevents`: CloudEvents
"""

from typing import Final

from flightlog.web.doors import cloudevents, otlp
from flightlog.web.doors.door import Door

DOORS: Final[tuple[Door, ...]] = (*otlp.DOORS, *cloudevents.DOORS)
"""All, as /docs lists them."""
