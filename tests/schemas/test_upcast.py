"""Old payload versions become the current one when they are read."""

from typing import Any

import pytest

from flightlog_schemas import codec, upcast
from flightlog_schemas.codec import decode_line, decode_stored
from flightlog_schemas.events import BY_TAG, Log, UserEvent
from flightlog_schemas.upcast import Steps, current_version

pytestmark = pytest.mark.covers("P1")


def _text_becomes_message(payload: dict[str, Any]) -> dict[str, Any]:
    payload["message"] = payload.pop("text")
    return payload


def _level_gets_a_name(payload: dict[str, Any]) -> dict[str, Any]:
    return payload | {"level": "WARN" if payload.pop("loud", False) else "INFO"}


STEPS: Steps = {("log", 1): _text_becomes_message, ("log", 2): _level_gets_a_name}


def test_the_chain_runs_from_any_version_to_the_current_one() -> None:
    """Each step is applied in turn, the version moves with them, and what came in is left as it was."""
    first = {"type": "log", "text": "m", "loud": True}

    assert upcast.upcast(first, STEPS) == {"type": "log", "message": "m", "level": "WARN", "v": 3}
    assert upcast.upcast({"type": "log", "v": 2, "message": "m"}, STEPS) == {
        "type": "log",
        "message": "m",
        "level": "INFO",
        "v": 3,
    }
    assert first == {"type": "log", "text": "m", "loud": True}


def test_the_current_version_is_left_alone() -> None:
    """An event of the current version, or of a type without steps, stays as it is."""
    newest = {"type": "log", "v": 3, "message": "m"}

    assert upcast.upcast(newest, STEPS) == newest
    assert upcast.upcast({"type": "my.own", "v": 9}, STEPS) == {"type": "my.own", "v": 9}


def test_current_version_is_one_more_than_the_last_step() -> None:
    """A type's version is known from its steps alone."""
    assert current_version("log", STEPS) == 3
    assert current_version("task.ended", STEPS) == 1


def test_stored_lines_are_read_as_the_current_version(monkeypatch: pytest.MonkeyPatch) -> None:
    """A stored line of an old version, which fits its type no more, is read as the current version."""
    monkeypatch.setattr(codec, "upcast", lambda payload: upcast.upcast(payload, STEPS))
    monkeypatch.setattr(codec, "current_version", lambda event_type: current_version(event_type, STEPS))

    event = decode_stored(b'{"type":"log","execution_id":"e","text":"m","loud":true}')

    assert event == Log(execution_id="e", message="m", level="WARN", v=3)
    assert decode_line(b'{"type":"log","execution_id":"e","message":"m","v":3}') == Log(
        execution_id="e", message="m", v=3
    )


def test_a_users_own_type_is_read_as_it_is() -> None:
    """The versions of a user's own type are the user's own business."""
    assert decode_stored(b'{"type":"my.own","v":4}') == UserEvent(type="my.own", v=4)


def test_every_step_leads_on_from_the_one_before() -> None:
    """The real chain has no hole: each step's version is reached from version 1, and its type exists."""
    for event_type, version in upcast.STEPS:
        assert event_type in BY_TAG
        assert version < current_version(event_type)
