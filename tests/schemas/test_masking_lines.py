"""An event's line, masked in place. Pure."""

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flightlog_schemas.codec import RefusalError, decode_line, encode_event
from flightlog_schemas.events import KNOWN_TYPES, Event, tag_of
from flightlog_schemas.masking import MASK, Values, mask_line, mask_text
from flightlog_schemas.masking.lines import ENVELOPE, FREE, KEPT, KEPT_INSIDE
from schemas.builders import EXAMPLES, SHA, events_of, example, json_values, known_events, user_events
from schemas.test_masking_values import SECRETS
from support.secrets import base64_spellings, spellings

UNTOUCHED = ENVELOPE | KEPT | KEPT_INSIDE

IDS = ("type", "execution_id", "task_id", "agent_id", "trace_id", "span_id", "id", "causation_id")


def masked(event: dict[str, Any], *secrets: str) -> dict[str, Any]:
    """Return an event as it is after masking, with some values registered."""
    values = Values()
    for secret in secrets:
        values.add(secret)
    line = mask_line(json.dumps(event).encode(), lambda text: mask_text(values.mask(text)))
    found: dict[str, Any] = json.loads(line)
    return found


def with_text(value: Any, hidden: str) -> Any:
    """Return a value with a text put into each string, but for strings of a closed form."""
    if isinstance(value, str):
        return f"{value} {hidden}"
    if isinstance(value, list):
        return [with_text(inner, hidden) for inner in value]
    if isinstance(value, dict):
        return {
            key: inner
            if key in ENVELOPE | KEPT | {"stack_hash", "artifact_ids"}
            else with_text(inner, hidden)
            for key, inner in value.items()
        }
    return value


@pytest.mark.covers("S1.12")
@pytest.mark.parametrize("event_type", EXAMPLES)
def test_every_text_of_every_type(event_type: str) -> None:
    """In every event type all texts are masked, nothing else changes, and what comes out can be stored."""
    before = with_text(example(event_type), "hunter2-secret")

    after = masked(before, "hunter2-secret")

    assert after == json.loads(json.dumps(before).replace("hunter2-secret", MASK))
    assert "hunter2" not in json.dumps(after)
    decode_line(json.dumps(after).encode())


@pytest.mark.covers("S1.12")
@settings(deadline=None)
@given(user_events() | known_events(), SECRETS, st.data())
def test_a_secret_vanishes_from_any_event(event: Event, secret: str, data: st.DataObject) -> None:
    """Any spelling of a registered value vanishes from any free place of any event, and the ids stay."""
    forms = [*spellings(secret), *(text for text, _ in base64_spellings(secret))]
    spelt = data.draw(st.sampled_from(forms))
    before = msgspec.json.decode(encode_event(event)) | {"unknown": {"a": [spelt, {spelt: f"<{spelt}>"}]}}

    after = masked(before, secret)

    assert secret not in json.dumps(after["unknown"], ensure_ascii=False)
    assert MASK in json.dumps(after["unknown"])
    assert {name: after.get(name) for name in IDS} == {name: before.get(name) for name in IDS}
    assert masked(after, secret) == after


@settings(deadline=None)
@given(st.sampled_from(KNOWN_TYPES).flatmap(lambda kind: events_of(tag_of(kind))))
def test_what_was_valid_stays_valid(event: Event) -> None:
    """A line that could be stored can be stored after masking, whatever it holds."""
    line = encode_event(event)
    try:
        decode_line(line)
    except RefusalError:
        return
    decode_line(mask_line(line, lambda text: mask_text(text.replace("0", MASK))))


@settings(deadline=None)
@given(json_values)
def test_clean_lines_keep_their_bytes(value: Any) -> None:
    """A line that holds nothing secret is the same bytes, however it is spelt."""
    line = json.dumps({"type": "my.own", "a": value}, indent=1).encode()

    assert mask_line(line, lambda text: text, lambda _name: False) == line


@pytest.mark.covers("S1.12")
@pytest.mark.parametrize(
    ("before", "after"),
    [
        ({"password": "x", "n": 1}, {"password": MASK, "n": 1}),
        ({"apiKey": 12345, "token": None, "secret": True, "passwd": ""}, {"apiKey": MASK, "token": None}),
        ({"credentials": {"user": "a", "pass": ["b"]}}, {"credentials": MASK}),
        ({"deep": [{"db-password": "x"}]}, {"deep": [{"db-password": MASK}]}),
        ({"input_tokens": 5, "keyboard": "x"}, {"input_tokens": 5, "keyboard": "x"}),
        ({"a": '{"password":"x"}'}, {"a": f'{{"password":"{MASK}"}}'}),
        ({"pin": 483920}, {"pin": MASK}),
        ({"AKIAABCDEFGHIJKLMNOP": 1, "AKIAABCDEFGHIJKLMNOQ": 2}, {MASK: 1, f"{MASK}~2": 2}),
    ],
)
def test_nested_values(before: dict[str, Any], after: dict[str, Any]) -> None:
    """In nested values a secret key masks all below it, and texts, keys and numbers are looked at."""
    event = {"type": "log", "execution_id": "e", "message": "m", "fields": before}

    fields = masked(event, "483920")["fields"]

    assert fields == {**fields, **after}
    assert masked({"type": "my.own", "a": before}, "483920")["a"] == fields


@pytest.mark.covers("S1.12")
def test_command_lines() -> None:
    """In a list of arguments the value of an option is masked, in one argument or in two."""
    args = ["db", "--password", "x", "--token=y", "--api-key", "--verbose", "-H", "Authorization: Bearer z"]

    after = masked({"type": "execution.started", "execution_id": "e", "args": args})["args"]

    assert after == [
        *("db", "--password", MASK, f"--token={MASK}", "--api-key", "--verbose", "-H"),
        f"Authorization: {MASK}",
    ]


def test_ids_are_never_changed() -> None:
    """Ids, hashes, counters and words of a closed list stay, also where they look secret."""
    event = {
        "type": "execution.ended",
        "execution_id": "password=hunter2-secret",
        "id": "token:hunter2-secret",
        "outcome": "failed",
        "counts": {"token": 5},
        "error": {"message": "x", "stack_hash": SHA},
    }

    assert masked(event, "hunter2-secret", SHA, "failed") == event


@pytest.mark.parametrize(
    ("line", "after"),
    [
        (b'{"type":"log","password":"x', b'{"type":"log","password":"********"'),
        (b"password=x \xff", b"password=******** \xff"),
        (b'["password","--token","x"]', b'["password","--token","x"]'),
    ],
)
def test_what_is_no_event(line: bytes, after: bytes) -> None:
    """A line that is no JSON object is masked as a text, byte for byte."""
    assert mask_line(line, mask_text) == after


def test_every_field_has_one_kind() -> None:
    """What has a closed form is kept: no field of that kind is masked by mistake, and none is free."""
    for kind in KNOWN_TYPES:
        for field in msgspec.inspect.type_info(kind).fields:  # type: ignore[attr-defined]
            closed = _is_closed(field.type)
            assert not (closed and field.encode_name in FREE), (kind, field.name)
            if closed and _has_text(field.type):
                assert field.encode_name in ENVELOPE | KEPT, (kind, field.name)


def _options(kind: msgspec.inspect.Type) -> tuple[msgspec.inspect.Type, ...]:
    return kind.types if isinstance(kind, msgspec.inspect.UnionType) else (kind,)


def _has_text(kind: msgspec.inspect.Type) -> bool:
    return any(
        isinstance(option, msgspec.inspect.StrType | msgspec.inspect.LiteralType) for option in _options(kind)
    )


def _is_closed(kind: msgspec.inspect.Type) -> bool:
    """Say whether masking some text of this type could make it invalid."""
    return any(
        isinstance(option, msgspec.inspect.LiteralType | msgspec.inspect.IntType)
        or (isinstance(option, msgspec.inspect.StrType) and (option.pattern or option.max_length))
        for option in _options(kind)
    )
