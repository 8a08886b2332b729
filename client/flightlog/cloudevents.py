"""CloudEvents 1.0 (JSON format), both ways. Pure.

| attribute | of an event of ours |
|---|---|
| `id` | `LOG_ID/SEQ`, of the log that had it first |
| `source` | `//HOST/flightlog` |
| `type` | `flightlog.` and the type; a user's own type as it is |
| `subject` | the execution |
| `time` | the event's, else when it was received |
| `dataschema` | `urn:flightlog:event:TYPE:V` |
| `traceparent` | trace and span, where it has both |
| `data` | the event, as it is stored |

A CloudEvent of somebody else becomes an event of a user's own type, with its attributes in `cloudevent`, and
goes out again as it came in. Written here: the format is one JSON object, and msgspec checks it.
"""

from base64 import b64encode
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import quote, unquote

import msgspec
from msgspec import UNSET

from flightlog.importing.keys import as_id, digest
from flightlog.trace import Trace, span_within
from flightlog_schemas.events import is_reserved
from flightlog_schemas.times import parse_rfc3339, rfc3339
from flightlog_schemas.wire.reply import Pruned, Recorded

MEDIA_TYPE: Final = "application/cloudevents+json"
BATCH_MEDIA_TYPE: Final = "application/cloudevents-batch+json"
HEADER_PREFIX: Final = "ce-"

_VERSION: Final = "1.0"
_PREFIX: Final = "flightlog."
_SCHEMA: Final = "urn:flightlog:event:"
_FOREIGN_PREFIX: Final = "cloudevents."
_REQUIRED: Final = ("id", "source", "type")
_SAMPLED: Final = "01"
_IDS: Final = {"executionid": "execution_id", "taskid": "task_id", "agentid": "agent_id"}
"""Extension attributes by which somebody else may say what an event belongs to."""

CloudEvent = dict[str, Any]


class Outgoing:
    """Events of one log as CloudEvents.

    Args:
        log_id: The log.
        host: The machine that it is kept on.
    """

    def __init__(self, log_id: str, host: str) -> None:
        self._log_id = log_id
        self._host = host

    def event(self, recorded: Recorded) -> CloudEvent:
        """Return an event as a CloudEvent; one that was a CloudEvent before as it was."""
        event = msgspec.json.decode(recorded.event)
        if _was_foreign(event):
            return {**event["cloudevent"], **{name: event[name] for name in _DATA if name in event}}
        first = recorded.origin
        log_id, host, seq = (
            (self._log_id, self._host, recorded.seq)
            if first is UNSET
            else (first.log_id, first.host, first.seq)
        )
        told: CloudEvent = {
            **self._head(log_id, host, str(seq)),
            "type": f"{_PREFIX}{event['type']}" if is_reserved(event["type"]) else event["type"],
        }
        if "execution_id" in event:
            told["subject"] = event["execution_id"]
        told["time"] = rfc3339(event.get("time") or recorded.received)
        if event.get("trace_id") and event.get("span_id"):
            told["traceparent"] = Trace(event["trace_id"], event["span_id"], _SAMPLED).parent
        told["datacontenttype"] = "application/json"
        told["dataschema"] = f"{_SCHEMA}{quote(event['type'])}:{event.get('v', 1)}"
        return told | {"data": event}

    def hole(self, pruned: Pruned) -> CloudEvent:
        """Return what tells that events are gone."""
        told = self._head(self._log_id, self._host, f"{pruned.first_seq}-{pruned.last_seq}")
        return told | {"type": f"{_PREFIX}pruned", "data": msgspec.to_builtins(pruned)}

    def _head(self, log_id: str, host: str, place: str) -> CloudEvent:
        return {"specversion": _VERSION, "id": f"{log_id}/{place}", "source": f"//{quote(host)}/flightlog"}


_DATA: Final = ("data", "data_base64")


def event_of(value: object) -> dict[str, Any] | None:
    """Return a CloudEvent as an event, with a key made of its source and id.

    One that came from a flightlog is the event that it was. None is what a daemon said of itself there.

    Args:
        value: As JSON says it.

    Raises:
        ValueError: it is no CloudEvent of version 1.0.
    """
    if not isinstance(value, dict):
        raise ValueError("no object")  # noqa: TRY004  # it is somebody's data that is wrong
    if value.get("specversion") != _VERSION:
        raise ValueError(f"specversion: {value.get('specversion')!r} is not {_VERSION!r}")
    for name in _REQUIRED:
        if not isinstance(value.get(name), str) or not value[name]:
            raise ValueError(f"{name}: a text is required")
    key = f"cloudevents:{digest(value['source'], value['id'])}"
    data = value.get("data")
    if str(value.get("dataschema")).startswith(_SCHEMA) and isinstance(data, dict) and "type" in data:
        return _ours(value, data, key)
    return _foreign(value, key)


def _ours(value: CloudEvent, data: dict[str, Any], key: str) -> dict[str, Any] | None:
    if str(data["type"]).startswith("daemon."):
        return None
    event = {"id": key, "provenance": "import", **data}
    # What its producer expected then is nothing to go by now.
    event.pop("expect_seq", None)
    if "time" not in event and (time := _time_us(value)) is not None:
        event["time"] = time
    return event


def _foreign(value: CloudEvent, key: str) -> dict[str, Any]:
    event: dict[str, Any] = {"type": _own_type(value["type"]), "id": key, "provenance": "import"}
    if (time := _time_us(value)) is not None:
        event["time"] = time
    for attribute, name in _IDS.items():
        if isinstance(value.get(attribute), str) and value[attribute]:
            event[name] = as_id(value[attribute])
    traceparent = value.get("traceparent")
    within = span_within(traceparent) if isinstance(traceparent, str) else None
    if within is not None and isinstance(traceparent, str):
        event["trace_id"], event["span_id"] = within.trace_id, traceparent.split("-")[2]
    event["cloudevent"] = {name: part for name, part in value.items() if name not in _DATA}
    return event | {name: value[name] for name in _DATA if name in value}


def _own_type(name: str) -> str:
    """Return a type that a user may have: its own, unless that is one of ours, or no word."""
    if is_reserved(name) or as_id(name) != name:
        return _FOREIGN_PREFIX + as_id(name)[: 128 - len(_FOREIGN_PREFIX)]
    return name


def _was_foreign(event: dict[str, Any]) -> bool:
    attributes = event.get("cloudevent")
    return (
        not is_reserved(event["type"])
        and isinstance(attributes, dict)
        and attributes.get("specversion") == _VERSION
        and all(isinstance(attributes.get(name), str) for name in _REQUIRED)
    )


def _time_us(value: CloudEvent) -> int | None:
    given = value.get("time")
    try:
        micros = parse_rfc3339(given) if isinstance(given, str) else -1
    except ValueError:
        return None
    return micros if micros >= 0 else None


def from_headers(headers: Mapping[str, str], kind: str, body: bytes) -> CloudEvent:
    """Return a CloudEvent that was sent in binary mode.

    Args:
        headers: By lower-case name.
        kind: The media type of the body, without parameters; empty where there is none.
        body: Its data.

    Raises:
        ValueError: the body is not what its type says.
    """
    value: CloudEvent = {
        name.removeprefix(HEADER_PREFIX): unquote(text.strip('"'))
        for name, text in headers.items()
        if name.startswith(HEADER_PREFIX)
    }
    if "content-type" in headers:
        value["datacontenttype"] = headers["content-type"]
    if not body:
        return value
    if kind in ("", "application/json") or kind.endswith("+json"):
        value["data"] = msgspec.json.decode(body)
    elif kind.startswith("text/"):
        value["data"] = body.decode()
    else:
        value["data_base64"] = b64encode(body).decode()
    return value
