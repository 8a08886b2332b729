"""`flightlog import`: sessions of agents as executions, once each, however often and in whatever state."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cli.runner import Cli
from flightlog_schemas.times import rfc3339
from support.daemon import Daemon
from support.golden import check_golden
from support.programs import events, messages
from support.source import TESTS

Json = dict[str, Any]

DATA = TESTS / "data"
SESSION = "3f0c8a52-7d1e-4b7a-9c53-0a8f6d2e4b11"
CODEX_SESSION = "019c2440-1f2e-7000-8000-5b1f7a2c9d10"


@pytest.fixture
def projects(home: Path) -> Path:
    """Give a copy of the transcripts that may be changed."""
    copy = home / "projects"
    shutil.copytree(DATA / "claude-code", copy)
    return copy


def session_file(projects: Path) -> Path:
    """Return the main file of the session."""
    return projects / "-srv-shop" / f"{SESSION}.jsonl"


def record(kind: str, uuid: str, time: str, content: Any, **fields: Any) -> Json:
    """Return a record as Claude Code writes it."""
    role = {"role": kind, "content": content} | fields.pop("message", {})
    return {
        "type": kind,
        "uuid": uuid,
        "timestamp": time,
        "sessionId": "s-1",
        "cwd": "/srv/shop",
        "message": role,
    } | fields


def write(path: Path, *records: Json) -> Path:
    """Write records as lines."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(entry) + "\n" for entry in records))
    return path


@pytest.mark.covers("P12")
@pytest.mark.parametrize(
    ("name", "session"), [("claude-code", SESSION), ("codex", CODEX_SESSION)], ids=["claude-code", "codex"]
)
def test_a_session_becomes_these_events(
    flightlog: Cli, daemon: Daemon, request: pytest.FixtureRequest, name: str, session: str
) -> None:
    """A session with a sub-agent, failures, retries, edits and unknown records becomes these events."""
    flightlog.ok("import", name, str(DATA / name))

    check_golden(
        f"transcript_{name}",
        events(daemon, execution_id=session),
        update=request.config.getoption("--update-golden"),
    )
    assert flightlog.ok("audit", "--type", "ANOMALY").out == ""
    assert flightlog.ok("logs", session, "--check").out.startswith("all ")


@pytest.mark.covers("P12")
def test_a_session_can_be_looked_at(flightlog: Cli) -> None:
    """A session shows its prompt, its tools with retries, its agents with tokens, and its files."""
    flightlog.ok("import", "claude-code", str(DATA / "claude-code"))
    found = flightlog.ok("inspect", SESSION, "--agents", "--artifacts", "--json").json

    assert (found["name"], found["tool"], found["tool_version"], found["project"]) == (
        "Make the cart tests pass.",
        "claude-code",
        "2.1.12",
        "/srv/shop",
    )
    assert (found["status"], found["labels"]) == ("succeeded", {"git_branch": "main"})
    tests = [task for task in found["tasks"] if task["task_id"] == "toolu_01"]
    assert [(task["attempt"], task["status"], task["slug"]) for task in tests] == [
        (1, "failed", "Bash"),
        (2, "succeeded", "Bash"),
    ]
    assert tests[1]["retry_of"] == tests[0]["span_id"]
    agents = {agent["agent_id"]: agent for agent in found["agents"]}
    assert agents["a1b2c3d"]["agent_type"] == "Explore"
    assert (agents["a1b2c3d"]["parent_agent_id"], agents["a1b2c3d"]["status"]) == ("main", "completed")
    # msg_01 stands in three records, and tokens read from a cache are tokens in.
    assert (agents["main"]["input_tokens"], agents["main"]["output_tokens"]) == (7 * 1_212, 320)
    assert (agents["a1b2c3d"]["input_tokens"], agents["a1b2c3d"]["output_tokens"]) == (24, 24)
    assert [artifact["path"] for artifact in found["artifacts"]] == [
        "/srv/shop/cart.py",
        "/srv/shop/CHANGES.md",
    ]


@pytest.mark.covers("P12", "D4")
def test_a_second_import_adds_nothing(flightlog: Cli, daemon: Daemon, projects: Path) -> None:
    """The same session again, by its directory or by its file, adds nothing and says so."""
    first = flightlog.ok("import", "claude-code", str(projects))
    before = events(daemon)
    again = flightlog.ok("import", "claude-code", str(session_file(projects)))

    count = len(before)
    assert first.out == f"1 session: 1 added, 0 grown, 0 skipped; events: {count} added, 0 skipped\n"
    assert again.out == f"1 session: 0 added, 0 grown, 1 skipped; events: 0 added, {count} skipped\n"
    assert events(daemon) == before


@pytest.mark.covers("P12")
def test_a_grown_session_adds_what_is_new(flightlog: Cli, daemon: Daemon, projects: Path) -> None:
    """A file imported up to the middle of a line, and again when it is whole, is as one imported whole."""
    path = session_file(projects)
    whole = path.read_bytes()
    agents = projects / "-srv-shop" / SESSION
    agents.rename(projects / "later")
    path.write_bytes(whole[: len(whole) // 3])
    flightlog.ok("import", "claude-code", str(path))
    path.write_bytes(whole)
    (projects / "later").rename(agents)
    grown = flightlog.ok("import", "claude-code", str(projects), "--json").json

    assert grown["sessions"] == {"total": 1, "added": 0, "grown": 1, "skipped": 0}
    golden = json.loads((TESTS / "golden" / "transcript_claude-code.json").read_text())
    stored = {event["id"]: event for event in events(daemon)}
    assert len(stored) == len(events(daemon))
    # Of the end alone it says another time: that of the last record of then.
    assert stored.keys() == {event["id"] for event in golden}
    ends = ("execution.ended", "agent.updated")
    assert [e for e in stored.values() if e["type"] not in ends] == sorted(
        (e for e in golden if e["type"] not in ends), key=lambda e: list(stored).index(e["id"])
    )


@pytest.mark.covers("P12")
def test_a_session_that_goes_on_is_left_open(flightlog: Cli, home: Path, at: Callable[[float], str]) -> None:
    """A session with a record of the last hour runs; one that was silent for an hour has ended."""
    path = write(
        home / "s-1.jsonl", record("user", "u1", at(-7_200), "hello"), record("user", "u2", at(-60), "on")
    )
    flightlog.ok("import", "claude-code", str(path))
    assert flightlog.ok("inspect", "s-1", "--json").json["status"] == "running"
    write(path, record("user", "u1", at(-7_200), "hello"))
    flightlog.ok("import", "claude-code", str(path))

    assert flightlog.ok("inspect", "s-1", "--json").json["status"] == "succeeded"


@pytest.fixture
def at() -> Callable[[float], str]:
    """Give the time so many seconds from now, as transcripts write it."""
    from flightlog.clock import now_us

    now = now_us()
    return lambda seconds: rfc3339(now + int(seconds * 1_000_000))


T = "2026-01-01T00:00:{:02d}Z"


def test_agents_in_the_same_file_are_told_apart(flightlog: Cli, daemon: Daemon, home: Path) -> None:
    """Sidechains of older versions, without an id, are agents by the records that they follow."""
    side = {"isSidechain": True}
    sends: Json = {"type": "tool_use", "id": "t1", "name": "Task"}
    sends["input"] = {"prompt": "look", "subagent_type": "scout", "description": "A look"}
    write(
        home / "s-1.jsonl",
        record("user", "u1", T.format(0), "hello"),
        record("assistant", "u2", T.format(1), [sends], parentUuid="u1"),
        record("user", "c1", T.format(2), "look", parentUuid=None, **side),
        record("assistant", "c2", T.format(3), [{"type": "text", "text": "seen"}], parentUuid="c1", **side),
        record(
            "user",
            "u3",
            T.format(4),
            [{"type": "tool_result", "tool_use_id": "t1", "content": "no", "is_error": True}],
        ),
    )
    flightlog.ok("import", "claude-code", str(home))

    [_, scout] = flightlog.ok("agent", "list", "s-1", "--json").json
    assert (scout["agent_id"], scout["agent_type"], scout["name"]) == ("c1", "scout", "A look")
    assert (scout["status"], scout["dispatch_id"]) == ("failed", "t1")
    assert [event["message"] for event in events(daemon, agent_id="c1", type=["log"])] == ["look", "seen"]


def test_a_fork_counts_its_tokens_once(flightlog: Cli, home: Path) -> None:
    """A session that repeats another's messages has lines of its own, and the tokens that it used itself."""
    usage = {"input_tokens": 10, "output_tokens": 5}
    said = [{"type": "text", "text": "x"}]
    old = record("assistant", "u1", T.format(0), said, message={"id": "m1", "usage": usage})
    new = record("assistant", "u2", T.format(1), said, message={"id": "m2", "usage": usage})
    write(home / "s-1.jsonl", old)
    write(home / "s-2.jsonl", old | {"sessionId": "s-2"}, new | {"sessionId": "s-2"})
    flightlog.ok("import", "claude-code", str(home / "s-1.jsonl"), str(home / "s-2.jsonl"))

    first, second = (flightlog.ok("inspect", name, "--json").json for name in ("s-1", "s-2"))
    assert (first["input_tokens"], second["input_tokens"]) == (10, 10)
    assert (first["log_count"], second["log_count"]) == (1, 2)


STRANGE: tuple[Json, ...] = (
    {"type": "user", "message": None},
    {"type": "user", "message": {"content": 7}},
    {"type": "assistant", "message": {"content": [3, {"type": "tool_use"}, {"type": "new-kind", "x": 1}]}},
    {"type": "assistant", "message": {"id": "m", "content": [], "usage": {"input_tokens": "many"}}},
    {"type": 5, "timestamp": "never"},
    {"type": "a type\twith space"},
    {"type": "x" * 500},
    {"no": "type"},
    {"type": "deep", "in": json.loads("[" * 60 + "]" * 60)},
    {"type": "large", "text": "ü" * 1_000_000},
    {"type": "longer than is read", "text": "x" * 17_000_000},
    {"type": "number", "value": 2**70},
)


@pytest.mark.covers("P12")
def test_nothing_strange_is_fatal(flightlog: Cli, daemon: Daemon, home: Path) -> None:
    """Records of unknown types and shapes are kept as events of their own, cut where they are too large."""
    path = write(home / "s-1.jsonl", record("user", "u1", T.format(0), "hello"), *STRANGE)
    done = flightlog("import", "claude-code", str(path))

    assert (done.code, done.err) == (0, "")
    kept = [event for event in events(daemon) if event["type"].startswith("claude_code.")]
    assert len(kept) >= len(STRANGE) - 2
    types = {event["type"].removeprefix("claude_code.") for event in kept}
    assert {"deep", "large", "unreadable", "block.new-kind", "a_type_with_space"} <= types
    assert messages(daemon) == ["hello"]


@pytest.mark.covers("P12")
def test_a_file_that_is_no_transcript_is_named(flightlog: Cli, projects: Path) -> None:
    """What is no transcript is reported and passed over, with exit code 2; the others are imported."""
    (projects / "notes.jsonl").write_text('{"a": 1}\n')
    (projects / "empty.jsonl").write_text("")
    done = flightlog("import", "claude-code", str(projects), str(projects / "nowhere.jsonl"))

    assert done.code == 2
    assert "notes.jsonl: no record of a session" in done.err
    assert "empty.jsonl: no record of a session" in done.err
    assert "nowhere.jsonl: No such file or directory" in done.err
    assert done.out.startswith("1 session: 1 added")
    assert "; 3 failed" in done.out


@pytest.mark.covers("S1.12")
def test_secrets_in_a_session_are_masked(flightlog: Cli, daemon: Daemon, home: Path) -> None:
    """What is secret in prompts, inputs and unknown records is masked."""
    call = {"type": "tool_use", "id": "t1", "name": "Bash", "input": {"command": "login --password hunter22"}}
    write(
        home / "s-1.jsonl",
        record("user", "u1", T.format(0), "the key is password=hunter22"),
        record("assistant", "u2", T.format(1), [call]),
        {"type": "odd", "secret": "hunter22"},
    )
    flightlog.ok("import", "claude-code", str(home / "s-1.jsonl"))

    assert "hunter22" not in json.dumps(events(daemon))


def test_the_formats_are_listed(alone: Cli) -> None:
    """`--list` names the formats; an unknown one, or none, is a usage error; a dry run needs no daemon."""
    formats = [line.split("\t")[0] for line in alone.ok("import", "--list").lines]
    assert formats == ["claude-code", "codex", "events", "journal", "cloudevents"]
    assert alone("import", "vi", "x").code == 3
    assert alone("import", "codex").code == 3
    done = alone.ok("import", "codex", str(DATA / "codex"), "--dry-run")
    assert done.out == "1 session: 15 events would be sent\n"
    away = alone("import", "codex", str(DATA / "codex"))
    assert (away.code, "hint: start flightlogd" in away.err) == (2, True)
