"""What OpenTelemetry tells, as events: one mapping, whichever door it comes in by.

- `model`: spans and log records, as they are here
- `requests`: requests of OTLP to these, encoded as `otlp_json` or `otlp_protobuf`
- `flightlog.otel`: the SDK's objects to these
- `ids`: of traces and spans
- `execution`: which execution something belongs to
- `spans`: spans to tasks, and a trace's first one to its execution; `genai`: agents, tools, tokens
- `logs`: log records to lines
- `outgoing`: events to requests of OTLP; `post` sends them, `relay` goes along the log

All but `otlp_protobuf` needs msgspec alone.
"""
