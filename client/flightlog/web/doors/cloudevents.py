"""CloudEvents over HTTP, in the three modes of its binding: structured, batch and binary."""

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from flightlog.cloudevents import BATCH_MEDIA_TYPE, HEADER_PREFIX, MEDIA_TYPE, event_of, from_headers
from flightlog.web.doors.door import Batch, Door, Outcome, Posted, Reply
from flightlog.web.problem import Problem

_JSON: Final = "application/json"
_REASONS_LIMIT: Final = 3


def _values(posted: Posted) -> list[Any]:
    """Return the CloudEvents that were posted.

    Raises:
        Problem: it is of another type.
        ValueError: it is not what its type says.
    """
    if posted.kind == MEDIA_TYPE:
        return [msgspec.json.decode(posted.body)]
    if posted.kind == BATCH_MEDIA_TYPE:
        return msgspec.json.decode(posted.body, type=list[Any])
    if f"{HEADER_PREFIX}specversion" in posted.headers:
        return [from_headers(posted.headers, posted.kind, posted.body)]
    raise Problem(
        415,
        "unsupported_media_type",
        f"no CloudEvent: {posted.kind or 'no content type'}, and no header ce-specversion",
        f"{MEDIA_TYPE}, {BATCH_MEDIA_TYPE}, or headers ce-id, ce-source, ce-specversion, ce-type",
    )


def _read(posted: Posted) -> Batch:
    values = _values(posted)
    refused: dict[int, str] = {}
    events: list[tuple[int, Mapping[str, Any]]] = []
    for index, value in enumerate(values):
        try:
            event = event_of(value)
        except ValueError as error:
            refused[index] = str(error)
            continue
        if event is not None:
            events.append((index, event))
    return Batch(len(values), events, refused)


def _answer(_: Posted, outcome: Outcome) -> Reply:
    if outcome.refused:
        reasons = [f"[{item}] {reason}" for item, reason in list(outcome.refused.items())[:_REASONS_LIMIT]]
        told = f"{len(outcome.refused)} of {outcome.count} are not stored: {'; '.join(reasons)}"
        raise Problem(422, "refused", told, "the others are; all may be sent again")
    body = {"events": outcome.count, "duplicates": outcome.duplicates, "seq": outcome.seq}
    return Reply(_JSON, msgspec.json.encode(body))


DOORS: Final = (
    Door(
        path="/v1/cloudevents",
        title="CloudEvents",
        about="Structured, in batches, or with attributes in headers; docs/cloudevents.md says more.",
        kinds=(MEDIA_TYPE, BATCH_MEDIA_TYPE),
        read=_read,
        answer=_answer,
    ),
)
