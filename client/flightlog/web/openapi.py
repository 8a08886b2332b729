"""What there is, as OpenAPI 3.1: written from the endpoints and their msgspec types."""

import re
from importlib.metadata import version
from typing import Any, Final

import msgspec
from msgspec import Struct

from flightlog.cli.output import TIMES
from flightlog.web.doors import DOORS
from flightlog.web.doors.door import Door, plainly
from flightlog.web.endpoint import PREFIX, Endpoint
from flightlog.web.endpoints import ENDPOINTS
from flightlog.web.follow import StreamAsked
from flightlog.web.health import Health
from flightlog.web.params import severals
from flightlog.web.problem import Failure

Schema = dict[str, Any]

_REF: Final = "#/components/schemas/{name}"
_NAMED: Final = {
    "type": "object",
    "required": ["schema_version"],
    "properties": {"schema_version": {"type": "integer"}},
}
_PAGE: Final = {
    "next": {
        "type": ["string", "integer", "null"],
        "description": "Where the next page begins, null at the end.",
    },
    "truncated": {"type": "boolean", "description": "There is more."},
    "lag": {"type": "integer", "description": "Positions that could not be found yet."},
    "pruned": {"type": "integer", "description": "Lines that governance removed."},
}


def description() -> Schema:
    """Return the description of all that the server answers."""
    types: set[type[Struct]] = {
        Failure,
        Health,
        *(each.item for each in ENDPOINTS),
        *(each.body for each in ENDPOINTS if each.body),
    }
    ordered = sorted(types, key=lambda kind: kind.__name__)
    _, components = msgspec.json.schema_components(ordered, ref_template=_REF)
    paths: Schema = {}
    for endpoint in ENDPOINTS:
        paths.setdefault(PREFIX + endpoint.path, {})[endpoint.method.lower()] = _operation(endpoint)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "flightlog",
            "version": version("flightlog"),
            "description": "What executions on this machine did. Times are RFC 3339, UTC.",
        },
        "paths": {**paths, **_others()},
        "components": {
            "schemas": {name: _timed(schema) for name, schema in components.items()},
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
        # The token is asked for where the server has one.
        "security": [{}, {"token": []}],
    }


def _operation(endpoint: Endpoint) -> Schema:
    in_path = re.findall(r"{(\w+)}", endpoint.path)
    told: Schema = {
        "summary": endpoint.title,
        "description": endpoint.about,
        "operationId": _operation_id(endpoint),
        "parameters": parameters(endpoint.asked, in_path),
        "responses": {
            str(endpoint.status): _answer("The answer.", "application/json", _answered(endpoint)),
            "default": _answer("Why there is none.", "application/json", _ref(Failure)),
        },
    }
    if endpoint.body is not None:
        content = {"application/json": {"schema": _ref(endpoint.body)}}
        told["requestBody"] = {"required": True, "content": content}
    return told


def _operation_id(endpoint: Endpoint) -> str:
    words = re.findall(r"\w+", endpoint.path)
    return "_".join([endpoint.method.lower(), *(word.replace("-", "_") for word in words)])


def _answered(endpoint: Endpoint) -> Schema:
    """Return the schema of an endpoint's answer."""
    item = _ref(endpoint.item)
    if endpoint.noun is None:
        return {"allOf": [_NAMED, item]}
    properties: Schema = {
        "schema_version": {"type": "integer"},
        endpoint.noun: {"type": "array", "items": item},
        **_PAGE,
    }
    if endpoint.named:
        properties["execution_id"] = {"type": "string"}
    required = [name for name in properties if name not in ("lag", "pruned")]
    return {"type": "object", "required": required, "properties": properties}


def parameters(kind: type[Struct], in_path: list[str]) -> list[Schema]:
    """Return the parameters that a type says, those of the path first."""
    _, components = msgspec.json.schema_components([kind])
    schema = components[kind.__name__]
    several = severals(kind)
    told = []
    for name, field in schema["properties"].items():
        about = _about(field)
        parameter: Schema = {
            "name": name,
            "in": "path" if name in in_path else "query",
            "required": name in in_path or name in schema.get("required", ()),
            "schema": _optional(field),
        }
        if about is not None:
            parameter["description"] = about
        if name in several:
            # Repeated; words of a closed list may be separated by commas instead.
            parameter |= {"style": "form", "explode": True}
        told.append(parameter)
    return sorted(told, key=lambda parameter: parameter["in"] != "path")


def _about(field: Schema) -> str | None:
    for part in (field, *field.get("anyOf", ())):
        if "description" in part:
            return str(part["description"])
    return None


def _optional(field: Schema) -> Schema:
    """Return the schema of a parameter without null: one that is left out is not there."""
    parts = [part for part in field.get("anyOf", ()) if part != {"type": "null"}]
    schema = parts[0] if len(parts) == 1 else field
    return {key: value for key, value in schema.items() if not (key == "default" and value is None)}


def _timed(schema: Any) -> Any:
    """Return a schema with times as they are sent, rather than as microseconds."""
    if isinstance(schema, list):
        return [_timed(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    told = {key: _timed(value) for key, value in schema.items()}
    properties = told.get("properties")
    if isinstance(properties, dict):
        for name in TIMES.intersection(properties):
            nullable = {"type": "null"} in properties[name].get("anyOf", ())
            kind = ["string", "null"] if nullable else "string"
            properties[name] = {"type": kind, "format": "date-time"}
    return told


def _others() -> Schema:
    """Return what is no endpoint of the table: streams, health, numbers, this description, the page."""
    failure = _answer("Why there is none.", "application/json", _ref(Failure))
    stream = parameters(StreamAsked, [])
    resume = {
        "name": "Last-Event-ID",
        "in": "header",
        "description": "The `id` of the last event that came: goes on after it.",
        "schema": {"type": "integer", "minimum": 0},
    }

    def get(summary: str, about: str, kind: str, schema: Schema, given: list[Schema] | None = None) -> Schema:
        told = {"summary": summary, "description": about, "parameters": given or []}
        return {"get": {**told, "responses": {"200": _answer(summary, kind, schema), "default": failure}}}

    def post(door: Door) -> Schema:
        content: Schema = {kind: {"schema": {}} for kind in door.kinds}
        told = {"summary": door.title, "description": door.about, "requestBody": {"content": content}}
        own = {"description": "Why it is not: a google.rpc.Status.", "content": content}
        why = failure if door.problem is plainly else own
        return {"post": {**told, "responses": {"200": {"description": "It is stored."}, "default": why}}}

    text: Schema = {"type": "string"}
    return {
        **{door.path: post(door) for door in DOORS},
        f"{PREFIX}/stream": get("Follow the log", _STREAM, "text/event-stream", text, [*stream, resume]),
        f"{PREFIX}/ws": {
            "get": {
                "summary": "Follow the log over a WebSocket",
                "description": _SOCKET,
                "parameters": [*stream, resume],
                "responses": {"101": {"description": "A WebSocket."}, "default": failure},
            }
        },
        "/health/live": get("It runs", "Whatever the daemon does.", "application/json", _ref(Health)),
        "/health/ready": get(
            "It is of use", "503 while the daemon is away or degraded.", "application/json", _ref(Health)
        ),
        "/metrics": get("Numbers", "For Prometheus, in its text format.", "text/plain", text),
        "/openapi.json": get("This description", "OpenAPI 3.1.", "application/json", {"type": "object"}),
        "/docs": get("This description for people", "A page.", "text/html", text),
        "/": get("The page", "What people look at.", "text/html", text),
    }


_STREAM: Final = (
    "Server-sent events. `head` says where it begins; `tail` has a recorded event, with `logs` `log` has a"
    " line, `pruned` a hole that governance left, their `id` is the position; `daemon` says"
    " `{state: away|back}`, the stream resumes by itself; `reset` says that positions mean other events now;"
    " `error` and `end` are the last."
)
_SOCKET: Final = (
    "The same messages as JSON: `{event, seq, data}`; those about plans come as `execution_plan_progress`,"
    " `execution_plan_ready` and `execution_plan_error`."
)


def _answer(about: str, kind: str, schema: Schema) -> Schema:
    return {"description": about, "content": {kind: {"schema": schema}}}


def _ref(kind: type[Struct]) -> Schema:
    return {"$ref": _REF.format(name=kind.__name__)}
