"""The daemon's own masking: what peers send unmasked is masked before it is stored or refused."""

import json
import signal
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flightlog_schemas.masking import MASK, mask_line, mask_text
from flightlogd.masking import Masker
from support.daemon import Daemon, DaemonFactory, run_flightlogd
from support.lines import block, log
from support.peers import IngestPeer, QueryPeer
from support.programs import events, messages
from support.secrets import leaks

BUILTIN = Masker(builtin=True, patterns=())

DIRTY = {
    "message": log("e", "login password=Zq-one-9182 done"),
    "option": log("e", "run --token Zq-two-9182"),
    "url": log("e", "postgres://ann:Zq-three-9182@db/x"),
    "header": log("e", "Authorization: Bearer Zq-four-9182"),
    "json in a message": log("e", '{"api_key": "Zq-five-9182"}'),
    "key of a field": log("e", "m", fields={"dbPassword": "Zq-six-9182", "n": [{"secret": "Zq-7-9182"}]}),
    "arguments": json.dumps(
        {"type": "execution.started", "execution_id": "e", "args": ["x", "--api-key", "Zq-eight-9182"]}
    ).encode(),
    "own type": b'{"type":"my.own","a":{"access_token":"Zq-nine-9182","n":1.50}}',
    "with a key": log("e", "token: Zq-ten-9182", id="once"),
    "refused": b'{"type":"log","execution_id":5,"message":"secret=Zq-eleven-9182"}',
    "no JSON": b'{"type":"log","password":"Zq-twelve-9182',
    "unknown type": b'{"type":"log.password=Zq-13-9182"}',
    "too long": log("e", "passwd=Zq-fourteen-9182 " + "x" * 1_100_000),
    "cut in a secret": b'{"message":"' + b"x" * 4_070 + b" AKIAZq91829182" + b"x" * 1_100_000,
}


def pieces() -> st.SearchStrategy[str]:
    """Give texts put together from what the patterns look for."""
    return st.lists(
        st.sampled_from(
            [
                *("password", "Api-Key", "tokenString", "access_tokens", "token", "tokens", "_count"),
                *(
                    "mysql_pwd",
                    "secret key",
                    "credential",
                    "=",
                    ": ",
                    " => ",
                    '"',
                    "'",
                    '\\"',
                    " ",
                    "\t",
                    "\n",
                ),
                *(
                    "hunter2",
                    "--token ",
                    "-secret x",
                    "Bearer abcdefghijklmnopq",
                    "://u:p@h",
                    ":",
                    "//a:b@",
                    "@",
                ),
                *("AKIAABCDEFGHIJKLMNOP", "sk-abcdefghij0123456789", "eyJhbGciOiJI.eyJzdWIi.c2ln", "xoxb-"),
                *("0123456789abcdefghij", "glpat-", "ghp_", "-----BEGIN PRIVATE KEY-----", "PGPASSWD"),
                *(
                    "DB_PASS=",
                    "smtp",
                    "Pass",
                    "Cookie: a=b; c",
                    "Uid=sa;",
                    "Pwd=",
                    "mysql -u ",
                    " -p",
                    "</password>",
                ),
                *(
                    "<password>",
                    "<a:secret b>",
                    "</",
                    ": str = '",
                    "set-cookie",
                    "user=ann ",
                    "mariadb-dump\t",
                ),
                *("authorization: digest ", "é", "/", "\\", "{", ",", "key", "ab", "max_"),
            ]
        ),
        max_size=8,
    ).map("".join)


@pytest.mark.covers("S1.12")
@settings(deadline=None)
@given(st.lists(st.tuples(pieces(), pieces(), pieces()), min_size=1, max_size=4), st.booleans())
def test_the_gate_lets_nothing_by(texts: list[tuple[str, str, str]], ascii_only: bool) -> None:
    """What a close look at every single line would mask, the one search over all of them finds."""
    lines = [
        json.dumps(
            {"type": "log", "message": message, "fields": {name: value, "a": ["--" + name, value]}},
            ensure_ascii=ascii_only,
        ).encode()
        for message, name, value in texts
    ]

    found, _ = BUILTIN.masked(lines)

    assert list(found) == [mask_line(line, mask_text) for line in lines]


@pytest.mark.covers("S1.12")
def test_nothing_secret_reaches_the_disk(daemon: Daemon) -> None:
    """What a peer did not mask is on no disk and in no answer: stored, refused, too long or cut off."""
    with IngestPeer(daemon.ingest_socket) as peer:
        peer.send(b'{"type":"log","execution_id":"e","message":"clean"}\n')
        peer.send(block(*DIRTY.values()) + b'{"type":"log","secret":"Zq-last-9182')
        peer.half_close()
        replies = peer.rest()
    wanted = [b"Zq-", b"9182"]

    assert not any(text in json.dumps(replies).encode() for text in wanted)
    assert [text for text in wanted if text in json.dumps(events(daemon)).encode()] == []
    assert leaks(daemon.state_dir, wanted) == []
    daemon.kill()
    assert leaks(daemon.state_dir, wanted) == []
    daemon.start()
    daemon.terminate()
    assert leaks(daemon.state_dir, wanted) == []


@pytest.mark.covers("S1.12")
def test_only_secrets_change(daemon: Daemon) -> None:
    """Of a masked line only the secrets change, spelling and unknown fields stay; others keep their bytes."""
    line = b'{"type": "log","execution_id":"e","message":"a\\u0020b","later":1.50,"fields":{%s}}'
    sent = [line % b'"input_tokens":1E2', line % b'"token":"x"']
    with IngestPeer(daemon.ingest_socket) as peer:
        peer.send(block(*sent))
        peer.until_ack(2)
    with QueryPeer(daemon.query_socket) as reader:
        reader.send(b'{"tail":{"after":0,"follow":false,"type":["log"]}}\n')
        found = [reader.next_line() or b"" for _ in sent]

    assert found[0].endswith(b'"event":' + sent[0] + b"}")
    assert found[1].endswith(b'"event":' + sent[1].replace(b'"x"', b'"********"') + b"}")


def test_a_resend_is_the_same(daemon: Daemon) -> None:
    """A keyed line that was masked is known when it comes again unmasked."""
    line = log("e", "password=hunter2", id="k")
    replies = []
    for _ in range(2):
        with IngestPeer(daemon.ingest_socket) as peer:
            settled = peer.settle(line)
            replies += [reply["duplicate"]["same"] for reply in settled if "duplicate" in reply]

    assert replies == [True]


@pytest.mark.covers("S1.12", "P14")
def test_patterns_of_the_operator(home: Path, daemon_factory: DaemonFactory) -> None:
    """The operator's patterns are masked, come into force by a reload, and masked lines are counted."""
    file = home / "flightlog.toml"
    file.write_text("mask_builtin = false\n")
    daemon = daemon_factory(argv=("--config", str(file)))
    lines = [log("e", f"card 4000-1234 of {name}, password=x", fields={"card": "4000-9"}) for name in "ab"]

    with IngestPeer(daemon.ingest_socket) as peer:
        peer.send(block(lines[0]))
        peer.until_ack(1)
        file.write_text('mask_patterns = ["4000-[0-9]+", "(?i)ACME-\\\\w+"]\n')
        daemon.signal(signal.SIGHUP)
        daemon.wait_for_entry("configuration reloaded")
        peer.send(block(lines[1]))
        peer.until_ack(2)
    with QueryPeer(daemon.query_socket) as reader:
        status = reader.ask("status").one("status")

    assert messages(daemon) == ["card 4000-1234 of a, password=x", f"card {MASK} of b, password={MASK}"]
    assert [event["fields"]["card"] for event in events(daemon, type=["log"])] == ["4000-9", MASK]
    assert status["masked_lines"] == 1


@pytest.mark.covers("P14")
@pytest.mark.parametrize(
    ("pattern", "reason"),
    [
        ("a(b", "missing )"),
        ("(?=a)b", "no look-around"),
        ("x*", "it matches the empty text"),
        ("^secret", "are found nowhere"),
    ],
)
def test_a_pattern_that_cannot_work(home: Path, pattern: str, reason: str) -> None:
    """A pattern that RE2 cannot read, or that would mask everything or nothing, is refused at the start."""
    done = run_flightlogd("check-config", FLIGHTLOG_MASK_PATTERNS=pattern)

    assert done.returncode == 3
    assert "mask_patterns" in done.stderr
    assert reason in done.stderr
