"""How much one server, one client and one request may take; units come last in each name."""

from typing import Final

CONNECTION_LIMIT: Final = 256
"""Connections at once; one more is told so and closed."""

CLIENT_CONNECTION_LIMIT: Final = 128
"""Connections at once from one address, which all users of a machine have in common. A browser makes six for
a page, and those that it has closed count until the server has come to them."""

HEADER_LIMIT_BYTES: Final = 16 * 1024
"""Longest request line with its headers."""

HEADER_LIMIT_S: Final = 10
"""Longest from the start of a connection, or the end of the answer before, to the end of the headers."""

BODY_LIMIT_BYTES: Final = 256 * 1024
"""Largest body of a request; the changes to a plan are far smaller."""

BODY_LIMIT_S: Final = 10.0
"""Longest that a body may take to come."""

INTAKE_LIMIT_BYTES: Final = 4 * 1024 * 1024
"""Largest body that other systems may post; an exporter of OpenTelemetry sends 512 spans at a time."""

UNPACKED_LIMIT_BYTES: Final = 16 * 1024 * 1024
"""The same without its compression."""

INTAKES_AT_ONCE: Final = 4
"""Such bodies that are held and told to the daemon at the same time; others wait."""

QUERY_LIMIT_BYTES: Final = 4096
"""Longest query string."""

PARAMETER_LIMIT: Final = 64
"""Most parameters of a query string."""

WRITE_LIMIT_BYTES: Final = 64 * 1024
"""A piece of an answer: so much has to be taken in `WRITE_LIMIT_S`."""

WRITE_LIMIT_S: Final = 20.0
"""How long a reader may take for a piece before its connection is closed."""

IDLE_LIMIT_S: Final = 90.0
"""How long nothing may go either way on a connection. A question takes less, a stream gives signs of life."""

STREAM_LIMIT: Final = 64
"""Streams at once, each a connection to query.sock."""

CLIENT_STREAM_LIMIT: Final = 16
"""Streams at once to one address."""

MESSAGE_LIMIT_BYTES: Final = 4096
"""Largest message that a WebSocket's client may send; there is none that it need send."""

COMMANDS_AT_ONCE: Final = 4
"""Commands under way at the same time, each in a thread of its own; others wait."""

KEEP_ALIVE_S: Final = 15.0
"""How often a stream that has nothing to say says so."""

GRACE_S: Final = 1.0
"""How long answers under way may take when the server is to end."""
