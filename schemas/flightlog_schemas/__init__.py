"""What flightlog says: events, their envelope, the lines on the wire, and the limits of all three.

This package imports msgspec and nothing else of flightlog. The client speaks it, the daemon keeps it.

- `events`: one module for each family of events, the envelope that they share, the registry
- `wire`: the lines of the ingest, query and control sockets
- `answers`, `plans`: the objects that queries answer with
- `codec`: bytes to event and back, with every check that a line must pass
- `upcast`: old payload versions to the current one
- `levels`, `times`, `limits`: log levels, microseconds and RFC 3339, the numbers that bound everything
"""

SCHEMA_VERSION = 1
"""Version of the answers (`schema_version` in `--json`, HTTP and MCP output)."""

PROTOCOL_VERSION = 1
"""Version of the lines on the sockets, said in hello and ready."""
