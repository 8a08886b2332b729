"""`flightlog relay` and `collect` over one server: what is recorded there is here, once and in order."""

import asyncio
import re
import signal
import subprocess
import sys
from contextlib import ExitStack

import pytest
from nats.aio.client import Client
from nats.js.api import StreamConfig

from cli.runner import Cli
from support.daemon import Daemon, clean_environment
from support.fleet import collected, held, say, told
from support.govern import govern, is_whole, record
from support.lines import event, log, logs
from support.nats import NatsServer, until


@pytest.mark.covers("P12", "D3", "D4")
def test_there_and_here(origin: Daemon, centre: Daemon, there: Cli, here: Cli, nats: NatsServer) -> None:
    """The centre has each event byte for byte, with its producer, line, user, process, position and time."""
    record(origin, "build", *logs("build", 500))
    say(origin, "p", *logs("e", 50), b'{"hello":1, "type":"my.own"}', log("e", "ü" * 1000))
    say(origin, "q", *logs("e", 3))
    out = there.ok("relay", "--to", nats.url, "--once", "--json").json
    assert out["events"] == len(told([origin])) == out["seq"] - 1
    done = here.ok("collect", "--from", nats.url, "--once", "--json").json
    assert (done["events"], done["known"], done["refused"]) == (out["events"], 0, 0)
    assert collected(centre) == told([origin])
    assert "succeeded" in [row["status"] for row in here.ok("list", "--json").json]
    assert is_whole(centre)


@pytest.mark.covers("P12", "P18")
def test_an_execution_of_many_producers(
    origin: Daemon, centre: Daemon, there: Cli, here: Cli, nats: NatsServer
) -> None:
    """What one process began, others went on with and another one ended is at the centre as it was there."""
    names = [f"build-{number}" for number in range(6)]
    for name in names:
        say(origin, f"{name}-began", event("execution.started", name))
        say(origin, f"{name}-went-on", event("execution.advanced", name, phase="strategized"))
        say(origin, f"{name}-ended", event("execution.ended", name, outcome="succeeded"))
    there.ok("relay", "--to", nats.url, "--once")
    here.ok("collect", "--from", nats.url, "--once")
    assert collected(centre) == told([origin])
    for name in names:
        ours, theirs = (cli.ok("inspect", name, "--json").json for cli in (here, there))
        assert (ours["status"], ours["phase"]) == (theirs["status"], theirs["phase"])
        trails = (
            [(row["event_type"], row["to_state"]) for row in found["audit"]] for found in (ours, theirs)
        )
        assert next(trails) == next(trails)


@pytest.mark.covers("P12", "D4")
def test_it_goes_on_where_it_was(
    origin: Daemon, centre: Daemon, there: Cli, here: Cli, nats: NatsServer
) -> None:
    """A second relay tells what is new; one that is set back tells all again, and it is stored once."""
    relay = ("relay", "--to", nats.url, "--once", "--json")
    collect = ("collect", "--from", nats.url, "--once", "--json")
    say(origin, "p", *logs("e", 10))
    there.ok(*relay)
    assert there.ok(*relay).json["events"] == 0
    say(origin, "q", *logs("e", 7))
    assert there.ok(*relay).json["events"] == 7
    assert here.ok(*collect).json["events"] == 17
    (cursor,) = there.ok("cursor", "list").rows
    assert cursor[0] == f"relay:127.0.0.1:{nats.port}/flightlog"
    again = there.ok(*relay, "--after", "0").json
    done = here.ok(*collect).json
    assert again["events"] == 17
    assert done["events"] == done["known"] <= 17
    assert collected(centre) == told([origin])


@pytest.mark.covers("P12", "D7")
def test_both_follow_and_outlive_the_server(
    origin: Daemon, centre: Daemon, there: Cli, here: Cli, nats: NatsServer
) -> None:
    """What comes is passed on while both run; a server and daemons that go away are waited for."""
    with ExitStack() as stack:
        relay = stack.enter_context(there.running("relay", "--to", nats.url))
        collect = stack.enter_context(here.running("collect", "--from", nats.url))
        say(origin, "a", *logs("e", 100))
        until(lambda: held(centre) == 100, "the first events did not come")
        nats.kill()
        say(origin, "b", *logs("e", 100))
        nats.start()
        until(lambda: held(centre) == 200, "nothing came after the server was back")
        centre.terminate()
        say(origin, "c", *logs("e", 100))
        collect.until_said("waiting for it")
        centre.start()
        until(lambda: held(centre) == 300, "nothing came after the centre was back")
        origin.restart()
        say(origin, "d", *logs("e", 100))
        until(lambda: held(centre) == 400, "nothing came after the origin was back")
        origin.kill()
        origin.start()
        say(origin, "f", *logs("e", 100))
        until(lambda: held(centre) == 500, "nothing came after the origin was killed")
        for running in (relay, collect):
            running.process.send_signal(signal.SIGTERM)
        ended, stopped = relay.end(), collect.end()
    assert (ended.code, stopped.code) == (0, 0), (ended, stopped)
    assert "broke, trying again" in ended.err
    assert "flightlogd is back" in ended.err
    assert "flightlogd is back" in stopped.err
    assert collected(centre) == told([origin])
    assert there.ok("cursor", "list").rows[0][2] == "0"  # nothing was said after what is acked


@pytest.mark.covers("P12", "D1")
def test_it_ends_while_nobody_is_there(
    origin: Daemon, centre: Daemon, there: Cli, here: Cli, nats: NatsServer
) -> None:
    """Both end in good order while no server is there; what was not acked is told the next time."""
    with (
        there.running("relay", "--to", nats.url) as relay,
        here.running("collect", "--from", nats.url) as collect,
    ):
        say(origin, "a", *logs("e", 10))
        until(lambda: held(centre) == 10, "the first events did not come")
        nats.kill()
        say(origin, "b", *logs("e", 10))
        for running in (relay, collect):
            running.process.send_signal(signal.SIGTERM)
            assert running.end().code == 0
    nats.start()
    there.ok("relay", "--to", nats.url, "--once")
    here.ok("collect", "--from", nats.url, "--once")
    assert collected(centre) == told([origin])


@pytest.mark.covers("D5")
def test_holes_are_told(origin: Daemon, centre: Daemon, there: Cli, here: Cli, nats: NatsServer) -> None:
    """What governance took before it was relayed is counted and said, and the rest comes."""
    record(origin, "old", *logs("old", 100))
    record(origin, "new", *logs("new", 5))
    pruned = govern(origin, "retention", "--older-than", "0s", "--status", "succeeded")
    assert pruned["lines"] > 0
    done = there.ok("relay", "--to", nats.url, "--once", "--json")
    assert done.json["pruned"] > 0
    assert "left the log before" in done.err
    here.ok("collect", "--from", nats.url, "--once")
    assert collected(centre) == told([origin])


@pytest.mark.covers("D5")
def test_what_is_of_no_relay_is_taken_out(
    origin: Daemon, centre: Daemon, there: Cli, here: Cli, nats: NatsServer
) -> None:
    """A message that somebody else published is named and taken out; those behind it come."""
    say(origin, "p", *logs("e", 3))
    there.ok("relay", "--to", nats.url, "--once")

    async def publish() -> None:
        client = Client()
        await client.connect(nats.url)
        for partition in range(16):
            await client.jetstream().publish(f"flightlog.other.{partition}", b"garbage\n")
        await client.close()

    asyncio.run(publish())
    say(origin, "q", *logs("e", 3))
    there.ok("relay", "--to", nats.url, "--once")
    done = here("collect", "--from", nats.url, "--once", "--json")
    assert (done.code, done.json["rejected"], done.json["events"]) == (2, 16, 6)
    reason = "is none of a relay, and was taken out of the stream: it does not begin with a hello"
    assert f"on flightlog.other.3 {reason}" in done.err
    assert collected(centre) == told([origin])


@pytest.mark.covers("P12")
def test_a_stream_that_differs_is_named(there: Cli, nats: NatsServer) -> None:
    """What differs from what was asked for is said; nothing is changed."""
    there.ok("relay", "--to", nats.url, "--once", "--partitions", "4")
    there.ok("relay", "--to", nats.url, "--once")
    done = there("relay", "--to", nats.url, "--once", "--partitions", "8", "--replicas", "3")
    assert done.code == 2
    assert "stream flightlog is there and differs: partitions are 4, not 8; replicas are 1, not 3" in done.err
    done = there("relay", "--to", nats.url, "--once", "--stream", "other", "--replicas", "3")
    assert done.code == 2
    assert "hint: a server alone keeps one replica" in done.err

    async def make() -> None:
        client = Client()
        await client.connect(nats.url)
        await client.jetstream().add_stream(StreamConfig(name="foreign", subjects=["foreign.>"]))
        await client.close()

    asyncio.run(make())
    done = there("relay", "--to", nats.url, "--once", "--stream", "foreign")
    assert done.code == 2
    assert "was not made by a relay" in done.err


@pytest.mark.covers("D10")
def test_a_full_stream_is_waited_for(
    origin: Daemon, centre: Daemon, there: Cli, here: Cli, nats: NatsServer
) -> None:
    """A stream that may hold no more takes no more; the relay says so, and goes on when there is room."""
    say(origin, "p", *(log("e", f"{number} " + "x" * 4000) for number in range(300)))
    with there.running("relay", "--to", nats.url, "--limit-bytes", "600000") as relay:
        assert relay.process.stderr is not None
        said = b""
        while b"is full, waiting for collectors" not in said:
            said = relay.process.stderr.readline()
        with here.running("collect", "--from", nats.url) as collect:
            until(lambda: held(centre) == 300, "the rest did not come")
            for running in (relay, collect):
                running.process.send_signal(signal.SIGTERM)
                assert running.end().code == 0
    assert collected(centre) == told([origin])


@pytest.mark.covers("P12")
def test_bad_calls(there: Cli, nats: NatsServer) -> None:
    """What makes no sense is a usage error; no credentials and no such position are failures."""
    for arguments in (
        ("--to", "ftp://127.0.0.1:1"),
        ("--to", "nats://127.0.0.1:99999"),
        ("--to", "nats://127.0.0.1:x"),
        ("--to", ","),
        ("--to", nats.url, "--stream", "a.b"),
        ("--to", nats.url, "--tls-ca", "/nonexistent"),
        ("--to", nats.url, "--tls-key", "/nonexistent"),
    ):
        assert there("relay", *arguments, "--once").code == 3, arguments
    assert there("relay", "--to", nats.url, "--creds", "/nonexistent", "--once").code == 2
    beyond = there("relay", "--to", nats.url, "--after", "999999", "--once")
    assert beyond.code == 2
    assert "beyond the head of the log" in beyond.err


@pytest.mark.covers("D10")
def test_long_lines(origin: Daemon, there: Cli, nats: NatsServer) -> None:
    """A long line goes through whole; one that the servers do not take is named, with what to do."""
    say(origin, "p", log("e", "x" * 900_000))
    assert there.ok("relay", "--to", nats.url, "--once", "--json").json["events"] == 1
    say(origin, "q", log("e", "x" * 1_048_400))
    done = there("relay", "--to", nats.url, "--once")
    assert done.code == 2
    assert re.search(r"the line at \d+ takes [\d,]+ bytes, the servers 1,048,576", done.err)
    assert "raise max_payload" in done.err


WITHOUT_EXTRA = """
import sys

class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == "nats":
            raise ModuleNotFoundError("No module named " + repr(name), name=name)

sys.meta_path.insert(0, Blocker())
from flightlog.cli.run import run
sys.exit(run(sys.argv[1:]))
"""


@pytest.mark.covers("P12")
@pytest.mark.parametrize("call", [("relay", "--to"), ("collect", "--from")])
def test_without_the_extra(call: tuple[str, str]) -> None:
    """Where the extra is not installed the verb says how to get it in one line, exit code 2; --help works."""
    command = [sys.executable, "-P", "-c", WITHOUT_EXTRA]
    done, helped = (
        subprocess.run(
            [*command, *arguments], capture_output=True, text=True, check=False, env=clean_environment()
        )
        for arguments in ((*call, "nats://x"), (call[0], "--help"))
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert "is not installed: pip install 'flightlog[fleet]'" in done.stderr
    assert helped.returncode == 0
