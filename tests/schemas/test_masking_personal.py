"""Personal data in texts and in events, by rules that are switched on by name. Pure."""

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flightlog_schemas.codec import decode_line, encode_event
from flightlog_schemas.events import Event
from flightlog_schemas.masking import Scrubber, mask_line, mask_text
from flightlog_schemas.masking.lines import NAMES
from flightlog_schemas.masking.personal import IDS
from flightlog_schemas.masking.personal import NAMES as RULES
from schemas.builders import EXAMPLES, SHA, TRACE, example, known_events, user_events

ALL = Scrubber(["all"])

UUID = "550e8400-e29b-41d4-a716-446655440000"
ADDRESS = "ann@example.com"
FOUND = {
    "email": [
        ADDRESS,
        "bob.o'hara+list@mail.sub-1.example.co.uk",
        "a@163.com",
        "jörg@müller.de",
        "x%40example.com",
    ],
    "ipv4": ["10.1.2.3", "8.8.8.8", "192.168.0.17"],
    "ipv6": ["2001:db8::1", "fe80::a00:27ff:fe4e:66a1", "fd12:3456:789a::1", "::ffff:10.1.2.3", "64:ff9b::1"],
    "uuid": [UUID, UUID.upper()],
    "hex": [TRACE, SHA, "DEADBEEF01" * 4, f"0x{TRACE}"],
}
AROUND = ["{}", "<{}>", "from {}.", "a={},", '"{}"', "({})", "{}: no", "é {} ü", "at\t{}\nthen"]

NEAR_MISSES = [
    *(
        "a@b",
        "git@github.com:org/repo.git",
        "root@localhost",
        "@app.route",
        "icon@2x.png",
        "@babel/core@7.0.0",
    ),
    *("getty@tty1.service", "pkg@1.2.3-rc.beta", "java.lang.Object@1b2c3d4", "user@1000.service"),
    *(
        "1.2.3.4-rc1",
        "v10.0.0.1",
        "1.2.3.4+git",
        "1.2.3.4.5",
        "version 1.2.3.4",
        'version="10.0.0.1"',
        "1.2.3",
    ),
    *(
        "libfoo-1.2.3.4",
        "libfoo-1.2.3.4.tar.gz",
        "Chrome/120.0.0.0",
        "127.0.0.1:8080",
        "0.0.0.0",
        "255.255.0.0",
    ),
    *("256.1.2.3", "01.02.03.04", "1.3.6.1.4.1.311", "3.14", "2026.11.21", "§ 4.2.1"),
    *("12:34:56", "2026-11-21T05:31:31.403587Z", "aa:bb:cc:dd:ee:ff", "00:11:22:33:44:55:66:77", "::1", "::"),
    *("std::vector", "ab::cd", "fdab::add", "2026:11:21 05:31:31", "a:b:c", "#ff00ff", "host:8080"),
    *(
        f"/objects/e3/{SHA}",
        f"objects/{TRACE}/x",
        f"main.{TRACE}.js",
        f"{TRACE}.log",
        "deadbeef",
        "0xDEADBEEF",
    ),
    *(f"00-{TRACE}-b7ad6b7169203331-01", "1" * 40, "f" * 40, "b991fbb", f"g{TRACE}", "550e8400-e29b-41d4"),
    *("http://localhost:8080/a?b=c", "10 %40 20", "4 @ 5.com", "x@[1]", "a-b-c-d-e"),
]


def events() -> st.SearchStrategy[Event]:
    """Give events of any type."""
    return known_events() | user_events()


def pieces() -> st.SearchStrategy[str]:
    """Give texts put together from what the rules look for and what stands beside it."""
    whole = [text for texts in FOUND.values() for text in texts]
    parts = [
        "@",
        "%40",
        ".",
        "-",
        "+",
        ":",
        "::",
        "/",
        "\\",
        "]",
        "[",
        " ",
        "_",
        "~",
        "'",
        "\n",
        "0x",
        "git@",
    ]
    words = [
        "a",
        "x-",
        "1",
        "1.2.3.4",
        "fe80",
        "2001:",
        "com",
        ".com",
        "version ",
        "Ab/",
        "service",
        "é",
        "v",
    ]
    marks = ["[scrubbed:", "[scrubbed:email]", "[scrubbed:ipv4]-", "]-", "a" * 64, TRACE[:16], UUID[:14]]
    return st.lists(st.sampled_from([*whole, *parts, *words, *marks, *NEAR_MISSES]), max_size=10).map("".join)


def scrubbed(event: dict[str, Any], scrubber: Scrubber = ALL) -> dict[str, Any]:
    """Return an event as it is after masking and scrubbing."""
    found: dict[str, Any] = json.loads(mask_line(json.dumps(event).encode(), mask_text, scrub=scrubber.scrub))
    return found


@pytest.mark.covers("S2.5")
@pytest.mark.parametrize(("rule", "text"), [(rule, text) for rule in RULES for text in FOUND[rule]])
def test_what_is_personal(rule: str, text: str) -> None:
    """Each rule replaces what it is for by its own name, whatever is around it, and no other rule does."""
    for around in AROUND:
        for scrubber in (Scrubber([rule]), ALL):
            assert scrubber.may_hold(around.format(text))
            assert scrubber.scrub(around.format(text)) == around.format(f"[scrubbed:{rule}]")


@pytest.mark.covers("S2.5")
@pytest.mark.parametrize("text", NEAR_MISSES)
def test_near_misses(text: str) -> None:
    """Versions, times, hashes in paths and what else only looks alike stays as it is."""
    for around in ("{}", "<{}>", "from {}", "a={},", "({})", "{}: no"):
        assert ALL.scrub(around.format(text)) == around.format(text)


@pytest.mark.parametrize(
    ("text", "after"),
    [
        ("http://10.1.2.3:80/x", "http://[scrubbed:ipv4]:80/x"),
        ("10.1.2.3-10.1.2.9 10.0.0.0/8", "[scrubbed:ipv4]-[scrubbed:ipv4] [scrubbed:ipv4]/8"),
        ("[2001:db8::1]:443 fe80::1%eth0", "[[scrubbed:ipv6]]:443 [scrubbed:ipv6]%eth0"),
        ("[INFO]10.1.2.3", "[INFO][scrubbed:ipv4]"),
        (f"req-{UUID}.json sha256:{SHA}", "req-[scrubbed:uuid].json sha256:[scrubbed:hex]"),
        ("https://ann@example.com/x", "https://[scrubbed:email]/x"),
        ("联系ann@example.com谢谢", "联系[scrubbed:email]谢谢"),
    ],
)
def test_what_is_beside_stays(text: str, after: str) -> None:
    """Only the address itself is replaced: ports, networks, brackets, zones and schemes stay."""
    assert ALL.scrub(text) == after


@pytest.mark.covers("S2.5")
def test_rules_are_switched_by_name() -> None:
    """Only what is named is in force; a name that is none is an error that says which there are."""
    text = f"{ADDRESS} 10.1.2.3"

    assert Scrubber(["ipv4"]).scrub(text) == f"{ADDRESS} [scrubbed:ipv4]"
    assert Scrubber([]).scrub(text) == text
    assert not Scrubber([]).may_hold(text)
    assert Scrubber(["All"]).rules == RULES
    with pytest.raises(ValueError, match="no rule 'mail' for personal data: there are all, email, ipv4"):
        Scrubber(["mail"])


def test_ids_cost_no_close_look() -> None:
    """A line in which only ids look personal is let by at the first look; what is beside them is not."""
    line = f'{{"type":"log","execution_id":"{TRACE}","task_id":"{UUID}","trace_id":"{TRACE}","message":"m"}}'

    assert not ALL.may_hold(line)
    assert ALL.may_hold(line.replace('"m"', f'"{TRACE}"'))
    assert ALL.may_hold(line.replace('"m"', f'"m","\\"task_id":"{UUID}"'))


@pytest.mark.covers("S2.5")
@settings(deadline=None, max_examples=300)
@given(pieces() | st.text(), st.sets(st.sampled_from(RULES)))
def test_scrubbing_is_idempotent(text: str, rules: set[str]) -> None:
    """Scrubbing a text twice is scrubbing it once, and what the first look lets by holds nothing."""
    scrubber = Scrubber(rules)
    once = scrubber.scrub(text)

    assert scrubber.scrub(once) == once
    if not scrubber.may_hold(text):
        assert once == text


@pytest.mark.covers("S2.5")
@settings(deadline=None)
@given(events(), pieces(), pieces())
def test_ids_stay_in_any_event(event: Event, text: str, name: str) -> None:
    """In an event of any type no id is changed, the rest is scrubbed once, and it can be stored as before."""
    before = msgspec.json.decode(encode_event(event)) | {"more": {f"k{name}": text, "task_id": ADDRESS}}
    before = {**before, **dict.fromkeys(("causation_id", "id"), ADDRESS), "trace_id": TRACE}

    after = scrubbed(before)

    ids = {"type", "id", "execution_id", "producer", "time", *IDS}
    assert {key: value for key, value in after.items() if key in ids} == {
        key: value for key, value in before.items() if key in ids
    }
    assert after["more"]["task_id"] == ADDRESS
    assert scrubbed(after) == after


@pytest.mark.covers("S2.5")
@pytest.mark.parametrize("event_type", EXAMPLES)
def test_free_text_of_every_type(event_type: str) -> None:
    """In every event type what is free text is scrubbed, ids and names one asks by are not."""
    before = {key: value for key, value in example(event_type).items() if key != "scrubbed"}
    told = before | {"id": ADDRESS, "execution_id": ADDRESS, "task_id": ADDRESS, "unknown": f"by {ADDRESS}"}
    told |= {key: ADDRESS for key in NAMES & told.keys() if isinstance(told[key], str)}

    after = scrubbed(told)

    assert after == told | {"unknown": "by [scrubbed:email]", "scrubbed": True}
    decode_line(json.dumps(after).encode())


@pytest.mark.covers("S2.5")
@pytest.mark.parametrize(
    ("before", "after"),
    [
        ({"message": ADDRESS}, {"message": "[scrubbed:email]", "scrubbed": True}),
        ({"message": "m", "source": ADDRESS}, {}),
        ({"message": "m", "fields": {"trace_id": TRACE, "app_version": "1.2.3.4", "path": "/a"}}, {}),
        (
            {"message": "m", "fields": {ADDRESS: 1, "b@example.com": [{"path": f"/u/{ADDRESS}"}]}},
            {
                "fields": {
                    "[scrubbed:email]": 1,
                    "[scrubbed:email]~2": [{"path": "/u/[scrubbed:email]"}],
                },
                "scrubbed": True,
            },
        ),
        ({"scrubbed": False, "message": ADDRESS}, {"message": "[scrubbed:email]", "scrubbed": True}),
        ({"message": f"password={ADDRESS}"}, {"message": "password=********"}),
        ({"message": "m", "fields": {"scrubbed": False}}, {}),
    ],
)
def test_an_event_says_that_it_was_scrubbed(before: dict[str, Any], after: dict[str, Any]) -> None:
    """Exactly an event out of which personal data was taken says so; secrets alone are none."""
    event = {"type": "log", "execution_id": "e"} | before

    assert scrubbed(event) == event | after


@pytest.mark.parametrize("value", [False, "no", {"a": ADDRESS}, None])
def test_a_field_of_ones_own_stays(value: object) -> None:
    """In an event of a user's own type a field called `scrubbed` is theirs."""
    event = {"type": "my.own", "scrubbed": value, "a": ADDRESS}
    line = json.dumps(scrubbed(event)).encode()

    theirs = {"a": "[scrubbed:email]"} if isinstance(value, dict) else value
    assert json.loads(line) == {"type": "my.own", "scrubbed": theirs, "a": "[scrubbed:email]"}
    decode_line(line)


@pytest.mark.parametrize(
    "text", ["a", "a.", "a@", "a@a.", "%40", "1.", "1.1.1.1-a", ":", "2001:", "f", "ab-"]
)
def test_long_lines_are_scrubbed(text: str) -> None:
    """A line of 100,000 characters that looks like the beginning of something all along changes nothing."""
    line = text * (100_000 // len(text)) + " @ . . . : : - - - -"

    assert ALL.scrub(line) == line
    assert ALL.scrub(line + f" {ADDRESS}").endswith(" [scrubbed:email]")
