"""Many log lines at once: whatever they hold, the outcome is that of one line after the other."""

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flightlog_schemas.bulk import PlainLog, decode_logs
from flightlog_schemas.codec import RefusalError, decode_line
from flightlog_schemas.events import Log
from flightlogd.decode import Mixed, Plain, decode_lines
from flightlogd.facts import facts_of
from flightlogd.lines import join_lines
from flightlogd.masking import Masker
from schemas.builders import json_values, text

PLAIN = b'{"type":"log","execution_id":"e","time":5,"message":"m"}'

field_values = st.none() | st.booleans() | st.integers() | st.floats() | text | json_values
log_objects = st.fixed_dictionaries(
    {
        "type": st.just("log"),
        "execution_id": st.sampled_from(["a", "b", "a b", "\x7f", ""]) | text,
        "message": text,
    },
    optional={
        "time": st.integers(-1, 2**63),
        "level": st.sampled_from(["INFO", "warn", "loud", 9, None]),
        "task_id": st.sampled_from(["t", "t t"]),
        "agent_id": st.sampled_from(["g", "g\t"]),
        "source": text,
        "fields": st.dictionaries(text, field_values, max_size=2),
        "unknown": json_values,
        "id": st.just("key"),
        "v": st.sampled_from([1, 2]),
    },
)


def written(value: Any) -> bytes:
    """Return an object as a line, without spaces."""
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode("utf-8", "surrogatepass")


lines = log_objects.map(written) | log_objects.map(lambda value: json.dumps(value).encode())


@given(st.lists(lines, min_size=1, max_size=6), st.data())
@settings(max_examples=400, deadline=None)
def test_many_lines_are_what_each_is(several: list[bytes], data: st.DataObject) -> None:
    """Lines that are taken at once say what they say one by one; no other line slips through."""
    damaged = [bytearray(line) for line in several]
    for line in damaged:
        if data.draw(st.booleans()):
            start = data.draw(st.integers(0, len(line)))
            line[start : start + data.draw(st.integers(0, 2))] = data.draw(
                st.binary(max_size=2).filter(lambda cut: b"\n" not in cut)
            )
    several = [bytes(line) for line in damaged if line.strip() and b"\n" not in line]
    if not several:
        return
    (part,) = decode_lines(several, 1 << 20, Masker(builtin=True, patterns=()))
    try:
        events = [decode_line(line) for line in several]
    except RefusalError:
        assert isinstance(part, Mixed)
        return
    if any(event.id is not None for event in events):
        assert isinstance(part, Mixed)
    else:
        assert isinstance(part, Plain)
        assert part.facts == facts_of(events)


@pytest.mark.parametrize(
    "several",
    [
        pytest.param(
            [b'{"type":"log","x":[{}', b'{}],"execution_id":"e","time":5,"message":"m"}'], id="halves"
        ),
        pytest.param([PLAIN + b"," + PLAIN], id="two-in-one"),
        pytest.param(
            [
                b'{"type":"log","execution_id":"e","time":5,"fields":{"a":"b"}',
                b'"message":"m"}',
                PLAIN + b"," + PLAIN,
            ],
            id="halves-and-two-in-one",
        ),
        pytest.param([PLAIN[:-1] + b',"message":"m"}'], id="a-key-twice"),
        pytest.param([PLAIN[:-1] + b',"x":"\xff"}'], id="unread-bytes-that-are-no-utf-8"),
        pytest.param([PLAIN[:-1] + b',"fields":{"f":1e2}}', PLAIN[:-2] + b' "}'], id="a-float-grows"),
    ],
)
def test_what_is_not_plain_is_left_to_the_codec(several: list[bytes]) -> None:
    """Lines that only together look like plain ones are not taken for them."""
    assert decode_logs(join_lines([PLAIN, *several]), [PLAIN, *several]) is None


def test_a_plain_line_says_what_the_event_says() -> None:
    """What is left out of the plain form is what a log event has by default; the rest has the same names."""
    line = msgspec.json.encode({name: EXAMPLE[name] for name in ("type", *PlainLog.__struct_fields__)})
    [plain] = decode_logs(b"[" + line + b"]", [line]) or []
    event = decode_line(line)

    assert isinstance(event, Log)
    for name in PlainLog.__struct_fields__:
        assert getattr(plain, name) == getattr(event, name)


EXAMPLE = {
    "type": "log",
    "execution_id": "e",
    "time": 7,
    "message": "m",
    "level": "WARN",
    "source": "s",
    "task_id": "t",
    "agent_id": "g",
    "trace_id": "4bf92f3577b34da6a3ce929d0e0e4736",
    "span_id": "00f067aa0ba902b7",
    "scrubbed": True,
    "fields": {"a": "b", "n": 1, "t": True, "z": None},
}
