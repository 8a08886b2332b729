"""What is true of the codec for any event and any bytes."""

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flightlog_schemas.codec import RefusalError, decode_line, decode_stored, encode_event
from flightlog_schemas.events import BY_TAG, Event
from flightlog_schemas.limits import DEPTH_LIMIT, INT64_MAX, INT64_MIN
from schemas.builders import EXAMPLES, events_of, example, json_values, known_events, text, user_events


@pytest.mark.parametrize("event_type", sorted(BY_TAG))
def test_every_type_survives_the_round_trip(event_type: str) -> None:
    """Any event of any type, written as a line and read again, is the same event."""

    @given(events_of(event_type))
    @settings(max_examples=15, deadline=None)
    def round_trip(event: Event) -> None:
        line = encode_event(event)
        assert b"\n" not in line
        assert decode_line(line) == event
        assert decode_stored(line) == event

    round_trip()


@given(user_events())
@settings(deadline=None)
def test_own_types_survive_the_round_trip(event: Event) -> None:
    """An event of a user's own type, written and read again, is the same event."""
    assert decode_line(encode_event(event)) == event


def test_examples_show_every_type() -> None:
    """The examples that the golden file freezes are all types, with every field of each."""
    assert EXAMPLES.keys() == BY_TAG.keys()
    for event_type, kind in BY_TAG.items():
        missing = set(kind.__struct_fields__) - example(event_type).keys()
        assert missing <= {"v", "execution_id", "task_id", "agent_id"}, event_type


def decoded(line: bytes) -> Event | RefusalError:
    """Return the event of a line or its refusal; whatever else is raised fails the test."""
    try:
        return decode_line(line)
    except RefusalError as refusal:
        return refusal


@given(
    st.binary(max_size=200) | text.map(str.encode) | json_values.map(lambda value: json.dumps(value).encode())
)
@settings(max_examples=400, deadline=None)
def test_any_bytes_are_an_event_or_a_refusal(line: bytes) -> None:
    """Whatever bytes come, they are an event or are refused with a code; nothing else is ever raised."""
    outcome = decoded(line)

    if isinstance(outcome, RefusalError):
        assert outcome.code in ("invalid", "unknown_type", "unsupported_version", "too_deep")
        assert outcome.reason


@given(st.data())
@settings(max_examples=400, deadline=None)
def test_a_damaged_line_is_an_event_or_a_refusal(data: st.DataObject) -> None:
    """A good line with bytes cut, put in or changed is an event or is refused; nothing else is raised."""
    line = bytearray(encode_event(data.draw(known_events())))
    for _ in range(data.draw(st.integers(1, 3))):
        start = data.draw(st.integers(0, len(line)))
        line[start : start + data.draw(st.integers(0, 3))] = data.draw(st.binary(max_size=3))
    outcome = decoded(bytes(line))

    assert not isinstance(outcome, RefusalError) or outcome.reason


class Pairs(list[tuple[str, Any]]):
    """A JSON object with its pairs as written."""


def forbidden(line: bytes) -> bool:
    """Say by the rule of the design, read slowly and plainly, whether a line holds what no line may hold."""
    pairs = json.loads(line.decode(), object_pairs_hook=Pairs)
    keys = [key for key, _ in pairs]
    return len(set(keys)) < len(keys) or _forbidden_inside(pairs, 1)


def _forbidden_inside(value: Any, depth: int) -> bool:
    if isinstance(value, Pairs):
        return depth > DEPTH_LIMIT or any(_forbidden_inside(inner, depth + 1) for _, inner in value)
    if isinstance(value, list):
        return depth > DEPTH_LIMIT or any(_forbidden_inside(inner, depth + 1) for inner in value)
    if isinstance(value, float):
        return value in (float("inf"), float("-inf"))
    return isinstance(value, int) and not isinstance(value, bool) and not INT64_MIN <= value <= INT64_MAX


ODD = st.sampled_from(
    [
        "1e5",
        "1E400",
        "-0.0",
        str(2**63),
        str(-(2**63)),
        "[" * 62 + "]" * 62,
        "[" * 63 + "]" * 63,
        "9" * 20,
        '"\\u0041"',
    ]
)


@given(st.data())
@settings(max_examples=600, deadline=None)
def test_the_fast_path_takes_nothing_that_the_rule_forbids(data: st.DataObject) -> None:
    """An accepted line holds nothing forbidden, and exactly its event, whatever shortcut it took.

    Values of real events are replaced, keys doubled and added, so that the written length says little.
    """
    event_type = data.draw(st.sampled_from(sorted(EXAMPLES)))
    whole = example(event_type)
    optional = sorted(whole.keys() - {"type"})
    kept = data.draw(st.sets(st.sampled_from(optional))) | {
        field.name for field in msgspec.structs.fields(BY_TAG[event_type]) if field.required
    }
    pairs = [(key, json.dumps(value)) for key, value in whole.items() if key in kept or key == "type"]
    for _ in range(data.draw(st.integers(0, 2))):
        key, value = data.draw(st.sampled_from(pairs))
        odd = data.draw(ODD | json_values.map(json.dumps))
        change = data.draw(st.sampled_from(["double", "add", "inside", "replace"]))
        if change == "double":
            pairs.append((key, value))
        elif change == "add":
            pairs.append((data.draw(text), odd))
        elif change == "inside" and value.startswith("{") and value != "{}":
            pairs[pairs.index((key, value))] = (key, f'{{"odd":{odd},{value[1:]}')
        elif change == "replace":
            pairs[pairs.index((key, value))] = (key, odd)
    separator = data.draw(st.sampled_from([",", ", "]))
    line = ("{" + separator.join(f"{json.dumps(key)}:{value}" for key, value in pairs) + "}").encode()

    outcome = decoded(line)
    if not isinstance(outcome, RefusalError):
        assert not forbidden(line)
        assert outcome == msgspec.json.decode(line, type=type(outcome))
