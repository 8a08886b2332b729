"""Events to lines, whatever a program puts into them."""

import json
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flightlog.encode import TOO_DEEP, encode_line, text
from flightlog_schemas.codec import decode_line
from flightlog_schemas.events import Log
from flightlog_schemas.limits import LINE_LIMIT_BYTES


class Broken:
    """An object that cannot even be printed."""

    def __str__(self) -> str:
        raise RuntimeError("no")


def fields_of(fields: dict[Any, Any]) -> Any:
    """Encode a log line with fields, check that the daemon would take it, return its fields."""
    line = encode_line(Log(execution_id="e", message="m", fields=fields))
    assert line is not None
    decode_line(line)
    return json.loads(line)["fields"]


def test_objects_become_their_text() -> None:
    """Paths, exceptions and other objects are written as `str` says."""
    assert fields_of({"path": Path("/a/b"), "error": ValueError("bad"), "kind": int}) == {
        "path": "/a/b",
        "error": "bad",
        "kind": "<class 'int'>",
    }


def test_broken_object_becomes_its_type_name() -> None:
    """An object whose `__str__` raises is named by its type."""
    assert fields_of({"it": Broken()}) == {"it": "<Broken>"}
    assert text(Broken()) == "<Broken>"


@pytest.mark.parametrize("number", [2**63, -(2**63) - 1, 10**30])
def test_numbers_past_64_bits_become_text(number: int) -> None:
    """A number that the log cannot hold costs neither its line nor its value, however deep it is."""
    assert fields_of({"n": number, "in": [{"n": number}], "ok": 2**63 - 1}) == {
        "n": str(number),
        "in": [{"n": str(number)}],
        "ok": 2**63 - 1,
    }


@pytest.mark.parametrize("character", ["x", "\0", "ü", "\U0001f600"])
def test_a_message_too_long_for_a_line_is_cut(character: str) -> None:
    """What fits of a long message is kept, with how much was cut, as text and as a field for --check."""
    line = encode_line(Log(execution_id="e", message=character * 3_000_000, fields={"kept": 1}))

    assert line is not None
    assert len(line) <= LINE_LIMIT_BYTES
    decoded = decode_line(line)
    assert isinstance(decoded, Log)
    kept, _, marker = decoded.message.partition("…")
    cut = int(marker.removeprefix(" [").removesuffix(" more characters cut]").replace(",", ""))
    assert kept == character * len(kept)
    assert len(kept) + cut == 3_000_000
    assert decoded.fields == {"kept": 1, "cut_chars": cut}


def test_file_name_that_is_not_utf8() -> None:
    """A file name with bytes that are not UTF-8 is kept readable, in message and fields."""
    name = os.fsdecode(b"caf\xe9")

    line = encode_line(Log(execution_id="e", message=name, fields={name: [name]}))

    assert line is not None
    decoded = decode_line(line)
    assert isinstance(decoded, Log)
    assert decoded.message == "caf\\udce9"
    assert decoded.fields == {"caf\\udce9": ["caf\\udce9"]}


def test_structure_that_holds_itself() -> None:
    """A structure that holds itself is cut where it comes round."""
    loop: dict[str, Any] = {"a": 1}
    loop["self"] = loop

    assert fields_of({"loop": loop}) == {"loop": {"a": 1, "self": TOO_DEEP}}


def test_keys_that_are_no_strings() -> None:
    """Keys that JSON cannot have become their text."""
    assert fields_of({("a", 1): {None: 2}}) == {"('a', 1)": {"None": 2}}


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats() | st.text(st.characters()),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.tuples(inner)
        | st.dictionaries(st.text(st.characters()) | st.integers() | st.booleans(), inner, max_size=4)
    ),
    max_leaves=20,
)


@pytest.mark.covers("D9")
@given(message=st.text(st.characters()), fields=st.dictionaries(st.text(st.characters()), VALUES))
def test_whatever_is_logged_is_a_line_that_the_daemon_takes(message: str, fields: dict[str, Any]) -> None:
    """Any text and any nesting of plain values, surrogates and infinities included, becomes a valid event."""
    line = encode_line(Log(execution_id="e", message=message, fields=fields))

    assert line is not None
    assert b"\n" not in line
    assert isinstance(decode_line(line), Log)
