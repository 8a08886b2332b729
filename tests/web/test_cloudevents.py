"""CloudEvents over HTTP: what the real SDK sends in each mode, and what nobody should."""

import json
from typing import Any

import httpx
import pytest
from cloudevents.core.bindings.http import HTTPMessage, to_binary, to_structured
from cloudevents.core.formats.json import JSONFormat
from cloudevents.core.v1.event import CloudEvent

from support.daemon import Daemon
from support.programs import events
from support.web import Web

PATH = "/v1/cloudevents"
BATCH = "application/cloudevents-batch+json"
STRUCTURED = "application/cloudevents+json"


def made(number: int, data: Any = None, **attributes: Any) -> CloudEvent:
    """Return a CloudEvent of the SDK."""
    return CloudEvent({"id": f"i-{number}", "source": "/sdk", "type": "com.example.made", **attributes}, data)


def post(web: Web, message: HTTPMessage) -> httpx.Response:
    """Post what the SDK made."""
    return web.client.post(PATH, content=message.body, headers=message.headers)


def said(daemon: Daemon) -> list[dict[str, Any]]:
    """Return what was recorded, but for what the daemon says of itself."""
    return [one for one in events(daemon) if not one["type"].startswith("daemon.")]


@pytest.mark.covers("P9", "D4")
def test_each_mode_of_the_sdk(daemon: Daemon, web: Web) -> None:
    """Structured and binary mode and batches are stored when they are answered, each event once."""
    format_ = JSONFormat()
    odd = made(2, {"n": 1}, subject="a b €", datacontenttype="application/json", executionid="e-1")
    text = made(3, "plain", datacontenttype="text/plain")
    raw = made(4, b"\x00\x01\xff", datacontenttype="application/octet-stream")
    messages = [
        to_structured(made(1, {"n": 1}), format_),
        *(to_binary(one, format_) for one in (odd, text, raw)),
    ]
    answers = [post(web, message) for message in (*messages, *messages)]
    assert [answer.status_code for answer in answers] == [200] * 8
    assert [answer.json()["duplicates"] for answer in answers] == [0] * 4 + [1] * 4
    batch = [json.loads(format_.write(made(number, {"n": number}))) for number in (5, 6)]
    answer = web.client.post(PATH, json=batch, headers={"content-type": BATCH})
    assert answer.json()["events"] == 2

    found = said(daemon)
    assert [one["cloudevent"]["id"] for one in found] == [f"i-{number}" for number in range(1, 7)]
    assert found[0]["data"] == found[1]["data"] == {"n": 1}
    assert (found[1]["cloudevent"]["subject"], found[1]["execution_id"]) == ("a b €", "e-1")
    assert (found[2]["data"], found[3]["data_base64"]) == ("plain", "AAH/")
    assert "data" not in found[3]


@pytest.mark.covers("P9", "D5")
def test_what_is_not_stored_is_said(daemon: Daemon, web: Web) -> None:
    """Of a batch the good events are stored, and 422 says which are not and why."""
    good = json.loads(JSONFormat().write(made(1, {})))
    bad = [{**good, "source": ""}, 7, {**good, "id": "deep", "data": json.loads("[" * 70 + "]" * 70)}]

    answer = web.client.post(PATH, json=[good, *bad], headers={"content-type": BATCH})

    assert answer.status_code == 422
    reason = answer.json()["error"]["reason"]
    assert reason.startswith("3 of 4 are not stored")
    assert "[1] source" in reason
    assert "[2] no object" in reason
    assert "[3] too_deep" in reason
    assert len(said(daemon)) == 1


@pytest.mark.covers("P9", "D10")
@pytest.mark.parametrize(
    ("body", "headers", "status"),
    [
        (b"{", {"content-type": STRUCTURED}, 400),
        (b"{}", {"content-type": BATCH}, 400),
        (b"{}", {"content-type": "application/json"}, 415),
        (b"{}", {}, 415),
        (b"{", {"content-type": "application/json", "ce-specversion": "1.0"}, 400),
        (b"{}", {"content-type": "application/json", "ce-specversion": "1.0"}, 422),
        (b"{}", {"content-type": STRUCTURED, "origin": "http://evil.example"}, 403),
    ],
)
def test_bad_requests(shared_web: Web, body: bytes, headers: dict[str, str], status: int) -> None:
    """What is no CloudEvent, or comes from another site's page, is refused with a reason."""
    answer = shared_web.client.post(PATH, content=body, headers=headers)

    assert answer.status_code == status, answer.text
    assert set(answer.json()["error"]) == {"code", "reason", "hint"}
