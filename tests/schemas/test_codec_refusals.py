"""What the codec refuses, and with which code: how a line is written counts, not what it says."""

import json
import sys

import pytest

from flightlog_schemas.codec import RefusalError, decode_line
from flightlog_schemas.events import Log, UserEvent
from flightlog_schemas.limits import DEPTH_LIMIT, ID_LIMIT_CHARS, INT64_MAX, INT64_MIN
from support.lines import event, log


def refusal(line: bytes) -> tuple[str, str]:
    """Return the code and the reason with which a line is refused."""
    with pytest.raises(RefusalError) as caught:
        decode_line(line)
    return caught.value.code, caught.value.reason


def nested(depth: int) -> str:
    """Return JSON of lists inside lists, that many levels."""
    return "[" * depth + "]" * depth


@pytest.mark.parametrize(
    "line",
    [
        b"{",
        b"nonsense",
        b"[]",
        b"null",
        b'"log"',
        b"17",
        b'{"type":"log","execution_id":"e","message":"m"} trailing',
        b"{'type':'log'}",
        b'\xef\xbb\xbf{"type":"log","execution_id":"e","message":"m"}',
        b'{"type":"log","execution_id":"e","message":"m","fields":{"x":NaN}}',
        b'{"type":"log","execution_id":"e","message":"raw \x01 control"}',
        b'{"type":"log","execution_id":"e","message":"raw \x00 NUL"}',
        b'{"type":"my.own","x":"raw \x00 NUL"}',
        b'{"type":"log","execution_id":"e","message":"\\ud800"}',
        b'{"message":"no type"}',
        b'{"type":7}',
        b'{"type":null}',
        b'{"type":""}',
    ],
)
def test_what_is_no_json_event_is_invalid(line: bytes) -> None:
    """A line that is no JSON object with a type is refused as invalid."""
    code, reason = refusal(line)

    assert code == "invalid"
    assert reason


@pytest.mark.parametrize(
    ("line", "place"),
    [
        (event("log", "e", message=7), "message: expected `str`, got `int`"),
        (event("log", "e"), "message"),
        (event("log", message="m"), "execution_id"),
        (event("log", "", message="m"), "execution_id"),
        (event("execution.ended", "e", outcome="great"), "outcome"),
        (event("execution.counted", "e", counts={"files": "3"}), "counts"),
        (event("execution.started", "e", owner={"pid": 0}), "owner.pid"),
        (event("log", "e", message="m", time=-1), "time"),
        (event("log", "e", message="m", time="now"), "time"),
        (event("log", "e", message="m", trace_id="XYZ"), "trace_id"),
        (event("log", "e", message="m", span_id="0" * 15), "span_id"),
        (event("my.own", time="now"), "time"),
        (b'{"type":"my.own","execution_id":7}', "execution_id"),
    ],
)
def test_wrong_payload_is_invalid_and_the_reason_names_the_place(line: bytes, place: str) -> None:
    """A payload that is not its type's is refused as invalid, and the reason says where."""
    code, reason = refusal(line)

    assert code == "invalid"
    assert place in reason


@pytest.mark.parametrize("field", ["execution_id", "task_id", "agent_id", "id", "causation_id"])
@pytest.mark.parametrize(
    "bad", ["two words", "tab\there", "nul\x00", "line\n", "\u200b", "\u00a0", "x" * 129]
)
def test_ids_are_printable_without_white_space(field: str, bad: str) -> None:
    """An id with white space, unprintable characters or more than 128 characters is refused as invalid."""
    line = json.dumps({"type": "log", "execution_id": "e", "message": "m", field: bad}).encode()

    code, reason = refusal(line)

    assert code == "invalid"
    assert field in reason


def test_longest_id_is_taken() -> None:
    """An id of 128 characters, also of many bytes each, is stored."""
    name = "ü" * ID_LIMIT_CHARS

    assert decode_line(log(name, "m")).execution_id == name


@pytest.mark.parametrize(
    "name", ["log.more", "execution.exploded", "task.", "daemon.x", "plan", "producer.gone"]
)
def test_unknown_type_under_a_reserved_prefix(name: str) -> None:
    """A type under a reserved prefix that this version does not know is refused as unknown."""
    code, reason = refusal(event(name, "e"))

    assert code == "unknown_type"
    assert name in reason


def test_any_other_prefix_is_the_users_own() -> None:
    """An event of a user's own type is taken, whatever its payload."""
    taken = decode_line(b'{"type":"mine.at_last","anything":[1,{"deep":null}],"v":7}')

    assert isinstance(taken, UserEvent)
    assert (taken.type, taken.v) == ("mine.at_last", 7)


@pytest.mark.parametrize("version", [0, 2, 99])
def test_payload_version_that_nobody_knows(version: int) -> None:
    """A payload version other than the known ones is refused as unsupported."""
    assert refusal(log("e", "m", v=version))[0] == "unsupported_version"


INVALID_UTF8 = [
    b'{"type":"log","execution_id":"e","message":"\xff"}',
    b'{"type":"log","execution_id":"e","message":"m","fields":{"\xc3\x28":1}}',
    b'{"type":"log","execution_id":"e","message":"m","unread":"\xff"}',
    b'{"type":"log","execution_id":"e","message":"m","\xff":1}',
    b'{"type":"log","execution_id":"e","message":"m","unread":{"deep":["\xed\xa0\x80"]}}',
    b'{"type":"my.own","unread":"\xc0\x80"}',
    b'{"type":"my.own\xff"}',
]


@pytest.mark.parametrize("line", INVALID_UTF8)
def test_invalid_utf8_anywhere(line: bytes) -> None:
    """Bytes that are not UTF-8 are refused as invalid, also in fields and keys that nobody reads."""
    assert refusal(line)[0] == "invalid"


@pytest.mark.parametrize("depth", [DEPTH_LIMIT, 200, 1_000, 10_000])
@pytest.mark.parametrize(
    "frame",
    [
        '{"type":"log","execution_id":"e","message":"m","fields":{"x":%s}}',
        '{"type":"log","execution_id":"e","message":"m","unread":%s}',
        '{"type":"log","execution_id":"e","message":"m","level":%s}',
        '{"type":"my.own","unread":%s}',
        '{"type":"execution.advanced","execution_id":"e","to_phase":"p","gates":[{"x":%s}]}',
        '{"type":"task.started","execution_id":"e","task_id":"t","inputs":{"x":%s}}',
    ],
)
def test_too_deep(depth: int, frame: str) -> None:
    """A line nested deeper than the limit is refused as too deep, wherever it is so, and never crashes."""
    code, reason = refusal((frame % nested(depth)).encode())

    assert code == "too_deep"
    assert str(DEPTH_LIMIT) in reason


def test_ten_thousand_objects_deep() -> None:
    """Objects nested 10,000 deep are refused as too deep, too."""
    deep = '{"a":' * 10_000 + "1" + "}" * 10_000

    assert refusal(b'{"type":"my.own","x":%s}' % deep.encode())[0] == "too_deep"


@pytest.mark.parametrize("field", ["fields", "unread"])
def test_deepest_allowed(field: str) -> None:
    """A line nested exactly as deep as the limit is taken."""
    around = 2 if field == "fields" else 1
    value = nested(DEPTH_LIMIT - around)
    inner = f'{{"x":{value}}}' if field == "fields" else value

    line = f'{{"type":"log","execution_id":"e","message":"m","{field}":{inner}}}'

    assert isinstance(decode_line(line.encode()), Log)


BIG = [str(INT64_MAX + 1), str(INT64_MIN - 1), "1" + "0" * 30, "9" * 5_000, "1e999", "-1e999"]


@pytest.mark.parametrize("number", BIG)
@pytest.mark.parametrize(
    "frame",
    [
        '{"type":"log","execution_id":"e","message":"m","fields":{"x":%s}}',
        '{"type":"log","execution_id":"e","message":"m","fields":{"x":[{"y":%s}]}}',
        '{"type":"log","execution_id":"e","message":"m","unread":[%s]}',
        '{"type":"log","execution_id":"e","message":"m","level":%s}',
        '{"type":"log","execution_id":"e","message":"m","time":%s}',
        '{"type":"my.own","x":{"y":%s}}',
        '{"type":"execution.counted","execution_id":"e","counts":{"x":%s}}',
        '{"type":"execution.advanced","execution_id":"e","to_phase":"p","gates":[{"x":%s}]}',
        '{"type":"audit.recorded","action":"a","detail":{"x":%s}}',
        '{"type":"agent.usage","execution_id":"e","agent_id":"a","cost_usd":0.5,"unread":%s}',
    ],
)
def test_number_past_64_bits(number: str, frame: str) -> None:
    """A number that no 64-bit field can hold is refused as invalid, wherever it is."""
    assert refusal((frame % number).encode())[0] == "invalid"


@pytest.mark.parametrize("number", [INT64_MAX, INT64_MIN, 0, -1])
def test_numbers_within_64_bits(number: int) -> None:
    """Whole numbers up to 64 bits are taken, in fields that are read and in those that are not."""
    taken = decode_line(log("e", "m", fields={"x": [number]}, unread=number))

    assert isinstance(taken, Log)
    assert taken.fields == {"x": [number]}


@pytest.mark.parametrize(
    "line",
    [
        b'{"type":"log","execution_id":"e","message":"m","message":"n"}',
        b'{"type":"log","type":"log","execution_id":"e","message":"m"}',
        b'{"type":"log","execution_id":"e","message":"m","x":1,"x":2}',
        b'{"type":"log","execution_id":"e","message":"m","v":1,"v":1}',
        b'{"type":"log","execution_id":"e","message":"m","x":1,"\\u0078":2}',
        b'{"type":"my.own","type":"my.own"}',
        b'{"type":"my.own","x":1,"x":1}',
    ],
)
def test_no_key_twice_at_the_top(line: bytes) -> None:
    """A line with a top-level key twice is refused as invalid: nobody can say which value is meant."""
    code, reason = refusal(line)

    assert code == "invalid"
    assert "twice" in reason


def test_key_twice_further_down_is_taken() -> None:
    """A key twice below the top level is kept as it came."""
    assert isinstance(decode_line(b'{"type":"my.own","x":{"a":1,"a":2}}'), UserEvent)


@pytest.mark.parametrize("level", ["warn", "WARNING", 13, "13", "loud", None, 99, -1, 1.5, True, [], {}])
def test_strange_level_is_never_refused(level: object) -> None:
    """A log line is taken whatever its level is: a strange level must not cost the line."""
    taken = decode_line(log("e", "m", level=level))

    assert isinstance(taken, Log)
    assert taken.level == level


def test_unknown_fields_and_escapes_are_taken() -> None:
    """Unknown fields, spaces, escapes and any order of keys are ways to write an event."""
    line = b' { "message" : "\\u00fc\\u0000\\/" , "new":{"in":[1.5,-0.0]}, "execution_id":"e","type":"log" } '

    taken = decode_line(line)

    assert isinstance(taken, Log)
    assert taken.message == "ü\x00/"


def test_reasons_are_short() -> None:
    """A reason does not repeat the line: it goes back over the socket and into a table."""
    long = json.dumps({"type": "log", "execution_id": "e" * 5_000, "message": "m" * 500_000}).encode()

    assert len(refusal(long)[1]) < 500
    assert sys.getrecursionlimit() <= 1_000
