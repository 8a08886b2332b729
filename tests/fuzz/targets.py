"""What is fuzzed: functions that take any bytes, and fail where a promise about them does not hold."""

import json
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Final, TypeVar

import apsw
import msgspec

from flightlog_schemas.bulk import decode_logs
from flightlog_schemas.codec import RefusalError, decode_line
from flightlog_schemas.events import type_of
from flightlog_schemas.wire.control import CONTROL_REQUESTS
from flightlog_schemas.wire.query import REQUESTS
from flightlogd.access import parse_rules
from flightlogd.decode import Mixed, decode_lines
from flightlogd.errors import PeerError, QuestionError
from flightlogd.framing import LineSplitter, Oversize, UnfinishedBudget
from flightlogd.governance.policy import parse_rule
from flightlogd.greeting import decode_hello, take_bye
from flightlogd.masking import Masker
from flightlogd.query import decode_request

T = TypeVar("T")

GOLDEN: Final = Path(__file__).parent.parent / "golden"
LIMIT_BYTES: Final = 300


@cache
def _json_of() -> apsw.Connection:
    return apsw.Connection(":memory:")


@cache
def _masker() -> Masker:
    return Masker(builtin=True, patterns=(), scrub_rules=("all",))


def line(data: bytes) -> None:
    """A line is an event or a refusal with a code; what is an event, SQLite can read, too."""
    try:
        event = decode_line(data)
    except RefusalError as refusal:
        assert refusal.code
        assert refusal.reason
        assert len(refusal.reason) < 2000
        return
    assert type_of(event)
    assert _json_of().execute("select json_valid(?)", (data.decode(),)).get == 1, data


def lines(data: bytes) -> None:
    """Each whole line is stored masked or refused; no line is lost, doubled, or left without an answer."""
    whole = [part for part in data.split(b"\n") if part.strip()]
    count = 0
    for part in decode_lines(whole, LIMIT_BYTES, _masker()):
        count += len(part.lines)
        if isinstance(part, Mixed):
            assert len(part.events) == len(part.lines)
            kept = [one for one, event in zip(part.lines, part.events, strict=True) if _is_event(event)]
        else:
            kept = part.lines
        for one in kept:
            decode_line(one)  # what masking leaves is an event still
    assert count == len(whole)


def _is_event(event: object) -> bool:
    return not isinstance(event, RefusalError)


def bulk(data: bytes) -> None:
    """The fast way to decode log lines says what the careful way says, or leaves it to that."""
    whole = [part for part in data.split(b"\n") if part.strip()]
    found = decode_logs(b",".join(whole), whole)
    if found is None:
        return
    assert len(found) == len(whole)
    for one in whole:
        decode_line(one)


def framing(data: bytes) -> None:
    """However bytes are cut into reads, the same lines come out; what is unfinished is accounted for."""
    budget = UnfinishedBudget(1_000_000)
    splitter = LineSplitter(LIMIT_BYTES, budget, keep_bytes=20)
    cut = data[:1] or b"\x01"
    step = 1 + cut[0] % 97
    found: list[bytes | Oversize] = []
    for start in range(0, len(data), step):
        found += splitter.feed(data[start : start + step])
        assert budget.used_bytes <= LIMIT_BYTES + step
    last = splitter.finish()
    if last is not None:
        found.append(last)
    assert budget.used_bytes == 0
    expected = [part for part in data.split(b"\n") if part.strip() or len(part) > LIMIT_BYTES]
    for got, wanted in zip(found, expected, strict=True):
        if isinstance(got, Oversize):
            assert (got.size_bytes, got.head) == (len(wanted), wanted[:20])
        else:
            assert got == wanted


def hello(data: bytes) -> None:
    """A first line is a hello, no hello, or the fault of the peer; a last one is a goodbye or none."""
    try:
        decode_hello(data)
    except PeerError as error:
        assert error.code == "protocol"
    given: list[bytes | Oversize] = [data]
    said = take_bye(given)
    assert (said is None) == bool(given)


def request(data: bytes) -> None:
    """A line on query.sock is a question, or is answered with `invalid`."""
    _request(data, REQUESTS)


def control(data: bytes) -> None:
    """A line on control.sock is an order, or is answered with `invalid`."""
    _request(data, CONTROL_REQUESTS)


def _request(data: bytes, requests: Mapping[str, type[T]]) -> None:
    try:
        verb, found = decode_request(data, requests)
    except QuestionError as error:
        assert error.code == "invalid"
        return
    # What was understood means the same when it is written again.
    again = msgspec.json.encode({verb: found})
    assert decode_request(again, requests) == (verb, found)


def rules(data: bytes) -> None:
    """A rule of the settings is understood, or a ValueError says what is wrong with it."""
    text = data.decode("utf-8", "replace")
    for parse in (parse_rule, lambda one: parse_rules([one])):
        try:
            parse(text)
        except ValueError as error:
            assert str(error)


TARGETS: Final[dict[str, Callable[[bytes], None]]] = {
    target.__name__: target for target in (line, lines, bulk, framing, hello, request, control, rules)
}


def seeds(target: str) -> list[bytes]:
    """Return good inputs of a target, to begin from."""
    if target == "request":
        return [text.encode() for text in json.loads((GOLDEN / "requests.json").read_text())]
    if target == "control":
        orders = ['{"rebuild":{"projections":["audit"],"check":true}}', '{"retention":{"older_than_us":7}}']
        return [
            text.encode() for text in [*orders, '{"scrub":{"value":"x"}}', '{"hold":{}}', '{"reload":{}}']
        ]
    if target == "hello":
        return [b'{"hello":{"protocol":1,"producer":"p","line":7}}', b'{"bye":{"lines":3}}']
    if target == "rules":
        return [b"user=* may=write,read lines_per_s=9 shed=DEBUG", b"level=DEBUG,TRACE status=failed keep=7d"]
    events = [text.encode() for text in _texts(json.loads((GOLDEN / "events.json").read_text()))]
    logs = [
        b'{"type":"log","execution_id":"e","message":"m","level":"WARN","time":1790000000000000}',
        b'{"type":"log","execution_id":"e","message":"password=hunter2 a@b.example","fields":{"token":"x"}}',
        b'{"type":"my.own","id":"k","expect_seq":0,"x":[1,2.5e3,null,"\\ud83d\\ude00"]}',
    ]
    if target == "line":
        return events + logs
    return [*events, b"\n".join(logs), b"\n".join([*logs, b"", *events[:5]])]


def _texts(found: object) -> list[str]:
    """Return the lines of events in a golden file, whatever they are listed by."""
    if isinstance(found, str):
        return [found] if found.startswith('{"') else []
    if isinstance(found, dict) and isinstance(found.get("type"), str) and "." in str(found["type"]):
        return [json.dumps(found)]
    values = found.values() if isinstance(found, dict) else found if isinstance(found, list) else ()
    return [text for value in values for text in _texts(value)]
