"""Three sockets are three privileges: by mode and group, and by rules for users."""

import grp
import json
import os
import signal
import subprocess
import sys

import pytest

from support.daemon import Daemon, DaemonFactory, run_flightlogd
from support.lines import log
from support.peers import IngestPeer, Json, LinePeer, QueryPeer
from support.users import (
    SOMEBODY,
    SOMEBODY_ELSE,
    effective_user,
    needs_root,
    open_to_all,
    read_modules,
    run_as,
)

WRITERS, READERS = 1, 2
"""Groups that every machine has."""

TRY_EACH = """
import json, os, socket, sys
---
def tried(path):
    with socket.socket(socket.AF_UNIX) as sock:
        try:
            sock.connect(path)
        except PermissionError:
            return False
    return True
directory = os.environ["DIRECTORY"]
print(json.dumps([tried(f"{directory}/{name}.sock") for name in ("ingest", "query", "control")]))
"""

OPEN = {"ingest_mode": "0666", "query_mode": "0666", "control_mode": "0666"}


def refusal(peer: LinePeer) -> Json:
    """Return the error that a peer is told, after which it is hung up on."""
    with peer:
        [last] = peer.rest()
        error = last["error"]
        assert isinstance(error, dict)
        return error


@pytest.mark.covers("P16")
@needs_root
def test_each_group_has_its_socket(daemon_factory: DaemonFactory) -> None:
    """Who is in the writers' group may write, in the readers' read, in neither nothing; none may govern."""
    daemon = daemon_factory(
        ingest_group=grp.getgrgid(WRITERS).gr_name, query_group=grp.getgrgid(READERS).gr_name
    )
    open_to_all(daemon)

    def may(*groups: int) -> list[bool]:
        done = run_as(SOMEBODY, TRY_EACH, groups=groups, DIRECTORY=str(daemon.runtime_dir))
        found = json.loads(done.stdout)
        assert isinstance(found, list)
        return found

    assert may() == [False, False, False]
    assert may(WRITERS) == [True, False, False]
    assert may(READERS) == [False, True, False]
    assert may(WRITERS, READERS) == [True, True, False]


@pytest.mark.covers("P16")
@needs_root
def test_rules_say_who_may_what(daemon_factory: DaemonFactory) -> None:
    """A user whom the rules do not let write, read or govern is told so, with a hint, and hung up on."""
    rules = f"user={SOMEBODY} may=write;user={SOMEBODY_ELSE} may=read;user=* may=nothing"
    daemon = daemon_factory(user_rules=rules, **OPEN)
    open_to_all(daemon)
    with effective_user(SOMEBODY):
        with IngestPeer(daemon.ingest_socket) as peer:
            assert peer.settle(log("e", "mine"))[-1]["ack"]["lines"] == 1
        no_reader = refusal(QueryPeer(daemon.query_socket))
        no_governor = refusal(LinePeer(daemon.control_socket))
    with effective_user(SOMEBODY_ELSE):
        with QueryPeer(daemon.query_socket) as reader:
            assert reader.ask("logs", execution_id="e").all("log")[0]["message"] == "mine"
        no_writer = refusal(IngestPeer(daemon.ingest_socket))
    with effective_user(SOMEBODY_ELSE - 1):
        nobody = refusal(QueryPeer(daemon.query_socket))
    with QueryPeer(daemon.query_socket) as root:
        assert root.ask("status").error is None

    errors = [no_reader, no_governor, no_writer, nobody]
    assert {error["code"] for error in errors} == {"not_allowed"}
    assert [error["reason"] for error in errors] == [
        f"uid {SOMEBODY} may not read here",
        f"uid {SOMEBODY} may not govern here",
        f"uid {SOMEBODY_ELSE} may not write here",
        f"uid {SOMEBODY_ELSE - 1} may not read here",
    ]
    assert all("user_rules" in error["hint"] for error in errors)


@pytest.mark.covers("P16")
def test_a_socket_does_what_it_is_for(daemon: Daemon) -> None:
    """A question on ingest.sock is a refused line; a line or an order on query.sock is no question."""
    with IngestPeer(daemon.ingest_socket) as emitter:
        replies = emitter.settle(b'{"status":{}}', b'{"retention":{}}')
    with QueryPeer(daemon.query_socket) as reader:
        reader.send(log("e", "m") + b"\n")
        line = reader.answers().error
        orders = [reader.ask(verb).error for verb in ("retention", "rebuild", "scrub", "reload", "hold")]

    assert [reply["refused"]["code"] for reply in replies if "refused" in reply] == ["invalid", "invalid"]
    assert [error and error["code"] for error in (line, *orders)] == ["invalid"] * 6


COMMAND = f"""
{read_modules()}
---
import os, sys, flightlog.cli.run
sys.exit(flightlog.cli.run.run(os.environ["VERB"].split()))
"""


@pytest.mark.covers("P16")
@needs_root
@pytest.mark.parametrize(("verb", "right"), [("list", "read"), ("emit -", "write")])
def test_the_command_line_says_what_is_not_allowed(
    daemon_factory: DaemonFactory, verb: str, right: str
) -> None:
    """A verb of a user who may not is exit code 2, with the reason and whom to ask."""
    daemon = daemon_factory(user_rules="user=* may=nothing", **OPEN)
    open_to_all(daemon)

    done = run_as(
        SOMEBODY,
        COMMAND,
        stdin=log("e", "m").decode() + "\n",
        VERB=verb,
        FLIGHTLOG_RUNTIME_DIR=str(daemon.runtime_dir),
    )

    assert done.returncode == 2, done.stderr
    assert f"uid {SOMEBODY} may not {right} here" in done.stderr
    assert "hint: ask who runs flightlogd" in done.stderr


@pytest.mark.covers("P16", "P14")
@needs_root
def test_rules_are_taken_over_by_a_reload(daemon_factory: DaemonFactory) -> None:
    """After a reload other rules hold for who connects then; who is connected stays so."""
    daemon = daemon_factory(start=False, **OPEN)
    file = daemon.state_dir.parent / "flightlog.toml"
    file.write_text("")
    daemon.argv = ["--config", str(file)]
    daemon.start()
    open_to_all(daemon)
    with effective_user(SOMEBODY):
        early = IngestPeer(daemon.ingest_socket)
        early.send_lines(log("e", "one"))
        early.until_ack(1)
    file.write_text(f'user_rules = ["user={SOMEBODY} may=read"]\n')
    daemon.signal(signal.SIGHUP)
    daemon.wait_for_entry("configuration reloaded")
    with effective_user(SOMEBODY):
        late = refusal(IngestPeer(daemon.ingest_socket))
    with early:
        early.send_lines(log("e", "two"))
        early.until_ack(2)

    assert late["code"] == "not_allowed"


@pytest.mark.covers("D10", "P7")
@needs_root
def test_connections_of_one_user_are_limited(daemon_factory: DaemonFactory) -> None:
    """One user's connections have a limit of their own; others are let in, and a rule can say otherwise."""
    daemon = daemon_factory(user_connection_limit=2, user_rules=f"user={SOMEBODY} connections=3", **OPEN)
    open_to_all(daemon)
    peers = [QueryPeer(daemon.query_socket) for _ in range(2)]
    assert all(peer.ask("status").error is None for peer in peers)
    assert refusal(QueryPeer(daemon.query_socket))["code"] == "too_many_connections"
    with effective_user(SOMEBODY):
        peers += [QueryPeer(daemon.query_socket) for _ in range(3)]
        assert all(peer.ask("status").error is None for peer in peers)
        assert "uid 65534 has 3 connections" in refusal(QueryPeer(daemon.query_socket))["reason"]
    users = {user["uid"]: user for user in peers[0].ask("status").one("status")["users"]}
    for peer in peers:
        peer.close()

    assert [users[uid]["connections"]["query"] for uid in (0, SOMEBODY)] == [2, 3]


FEW = """
import resource
from flightlogd.listen import allow_descriptors
from flightlogd.logs import configure_logging
configure_logging("info")
resource.setrlimit(resource.RLIMIT_NOFILE, (300, 500))
allow_descriptors(100, 1000)
print(resource.getrlimit(resource.RLIMIT_NOFILE))
"""


@pytest.mark.covers("D10")
def test_too_few_descriptors_are_warned_of() -> None:
    """At start the soft limit is raised as far as it goes, and the log says when that is not enough."""
    done = subprocess.run([sys.executable, "-P", "-c", FEW], capture_output=True, text=True, check=True)
    entry = json.loads(done.stderr)

    assert done.stdout.strip() == "(500, 500)"
    assert (entry["level"], entry["allowed"], entry["wanted"]) == ("warning", 500, 300 + 1000 + 256)
    assert "LimitNOFILE" in entry["hint"]


@pytest.mark.covers("P14", "P16")
@pytest.mark.parametrize(
    ("rule", "said"),
    [
        ("user=99999999999999 may=read", "user=99999999999999: a number"),
        (f"user={2**32 - 1} may=read", "a number from 0 to 4294967294"),
        (f"user=1 connections={'9' * 5000}", "a number from 1"),
        ("may=read", "user="),
        ("user=1", "user="),
        ("user=1 may=fly", "may=fly"),
        ("user=1 lines_per_s=-1", "lines_per_s=-1"),
        ("user=1 connections=0", "connections=0"),
        ("user=1 shed=LOUD", "no such level 'LOUD'"),
        ("user=1 color=red", "'color=red' is not understood"),
        ("user=1 may='", "user_rules"),
    ],
)
def test_a_bad_rule_is_an_error_at_once(rule: str, said: str) -> None:
    """A rule that is not understood is exit code 3, with what is wrong in it."""
    done = run_flightlogd("check-config", FLIGHTLOG_USER_RULES=rule)

    assert (done.returncode, "user_rules" in done.stderr, said in done.stderr) == (3, True, True), done.stderr


@pytest.mark.covers("P14", "P16")
def test_a_rule_without_effect_is_warned_of(daemon_factory: DaemonFactory) -> None:
    """A user who is not known keeps nothing from starting: the check and the log name what has no effect."""
    unknown, idle = "user=no-such-user-here may=read", f"user=* shed=DEBUG;user={SOMEBODY} may=read"
    for rules, said in ((unknown, "no user 'no-such-user-here'"), (idle, "user=*: shed has no effect")):
        done = run_flightlogd("check-config", FLIGHTLOG_USER_RULES=rules)
        assert (done.returncode, done.stdout, said in done.stderr) == (0, "ok\n", True), done
    for rate in (f"{idle} lines_per_s=5", f"{idle};user=* bytes_per_s=5"):
        assert run_flightlogd("check-config", FLIGHTLOG_USER_RULES=rate).stderr == ""
    assert (
        run_flightlogd("check-config", FLIGHTLOG_USER_RULES=idle, FLIGHTLOG_USER_LINES_PER_S="5").stderr == ""
    )

    daemon = daemon_factory(user_rules=unknown)
    entry = daemon.wait_for_entry("a rule of user_rules has no effect")

    assert (entry["level"], "no-such-user-here" in entry["reason"]) == ("warning", True)
    with QueryPeer(daemon.query_socket) as reader:
        assert reader.ask("status").error is None


def test_rules_for_everybody_do_not_lock_out_who_could_lift_them(daemon_factory: DaemonFactory) -> None:
    """The daemon's own user keeps all rights under `user=*`, and loses them where a rule names that user."""
    daemon = daemon_factory(user_rules="user=* may=nothing")
    with QueryPeer(daemon.query_socket) as reader:
        assert reader.ask("status").error is None
    strict = daemon_factory(name="strict", user_rules=f"user={os.geteuid()} may=write")

    assert refusal(QueryPeer(strict.query_socket))["code"] == "not_allowed"
