"""`artifact`: the files that executions produced, told and asked by a script."""

import hashlib
import os
from pathlib import Path

import pytest

from cli.runner import Cli
from support.daemon import Daemon


@pytest.fixture
def flightlog(shared: Daemon) -> Cli:
    """Give the command line of the module's daemon."""
    return Cli(shared.runtime_dir)


def head_seq(flightlog: Cli) -> int:
    """Return the position of the last event of the log."""
    return int(flightlog.ok("status", "--json").json["head_seq"])


@pytest.mark.covers("S3.6")
def test_artifacts_are_added_and_listed(flightlog: Cli, home: Path) -> None:
    """`artifact add` prints an id; size, digest and phase come by themselves; lists are narrowed."""
    (home / "idea.md").write_text("an idea\n")
    execution = flightlog.ok("start", "--phases", "think,build").out.strip()
    inside = {"FLIGHTLOG_EXECUTION_ID": execution}
    first = flightlog.ok("artifact", "add", "sub/../idea.md", cwd=home, **inside).out.strip()
    told = flightlog.ok(
        "artifact", "add", execution, "missing", "--id", "m", "--type", "plan", "--phase", "build",
        "--agent", "a1", "--task", "t1", "--json", cwd=home,
    ).json  # fmt: skip

    idea = str(home / "idea.md")
    assert flightlog.ok("artifact", "list", execution).rows == [
        [first, "think", "file", idea],
        ["m", "build", "plan", str(home / "missing")],
    ]
    for narrow in (["--phase", "build"], ["--type", "plan"], ["--agent", "a1"]):
        assert [row[0] for row in flightlog.ok("artifact", "list", *narrow, **inside).rows] == ["m"]
    assert flightlog.ok("artifact", "list", "--phase", "none", "--json", **inside).json == []
    [one, two] = flightlog.ok("artifact", "list", execution, "--json").json
    assert (one["size_bytes"], one["sha256"]) == (8, hashlib.sha256(b"an idea\n").hexdigest())
    assert (two["size_bytes"], two["sha256"]) == (None, None)
    assert (two["agent_id"], two["task_id"]) == ("a1", "t1")
    assert told == {name: value for name, value in two.items() if name not in ("seq", "host")}
    assert idea in flightlog.on_terminal("artifact", "list", execution, columns=160)


@pytest.mark.covers("S3.6")
def test_the_phase_is_the_one_of_the_moment(flightlog: Cli) -> None:
    """An artifact belongs to the phase that its execution is in when it is added, to none without a chain."""
    execution = flightlog.ok("start", "--complexity", "1").out.strip()
    flightlog.ok("artifact", "add", execution, "/a")
    flightlog.ok("advance", execution)
    flightlog.ok("artifact", "add", execution, "/b")

    rows = flightlog.ok("artifact", "list", execution).rows
    assert [row[1:] for row in rows] == [["brainstorm", "file", "/a"], ["planned", "file", "/b"]]
    assert flightlog.ok("phase", execution, "--json").json["artifacts"] == 1


@pytest.mark.covers("S3.6")
def test_why_a_file_is_as_it_is(flightlog: Cli, home: Path) -> None:
    """`artifact why` says who wrote a file and what it held, over all executions; nobody is exit code 1."""
    file = home / "shared.txt"
    writers = []
    for text in ("one", "two!"):
        file.write_text(text)
        execution = flightlog.ok("start").out.strip()
        flightlog.ok("artifact", "add", execution, str(file), "--agent", f"a{text}", "--task", f"t{text}")
        writers.append(execution)

    rows = flightlog.ok("artifact", "why", "./shared.txt", cwd=home).rows
    assert [row[1:] for row in rows] == [
        [writers[0], "aone", "tone", "3", hashlib.sha256(b"one").hexdigest()],
        [writers[1], "atwo!", "ttwo!", "4", hashlib.sha256(b"two!").hexdigest()],
    ]
    assert rows[0][0] < rows[1][0]
    as_json = flightlog.ok("artifact", "why", str(file), "--json").json
    assert [each["execution_id"] for each in as_json] == writers
    assert [each["created_at"] for each in as_json] == [row[0] for row in rows]
    nobody = flightlog("artifact", "why", "other.txt", cwd=home)
    assert (nobody.code, nobody.out) == (1, "")
    assert nobody.err == f"flightlog artifact why: nobody has told of writing {home}/other.txt\n"
    assert flightlog("artifact", "why", "other.txt", "--json", cwd=home).code == 1


@pytest.mark.covers("S3.6")
def test_what_is_no_file_is_taken_as_it_is(flightlog: Cli, home: Path) -> None:
    """A pipe, a directory, a name that is no UTF-8: recorded, without size and digest."""
    os.mkfifo(home / "pipe")
    execution = flightlog.ok("start").out.strip()
    for path in (str(home / "pipe"), str(home), os.fsdecode(b"/x/\xff")):
        flightlog.ok("artifact", "add", execution, path)

    told = flightlog.ok("artifact", "list", execution, "--json").json
    assert [each["path"] for each in told] == [str(home / "pipe"), str(home), "/x/\\udcff"]
    assert {(each["size_bytes"], each["sha256"]) for each in told} == {(None, None)}


@pytest.mark.covers("S3.6", "S3.7")
def test_artifacts_of_nobody_are_refused(flightlog: Cli, alone: Cli) -> None:
    """An unknown execution is exit code 1 with nothing written; no daemon is exit code 2."""
    before = head_seq(flightlog)

    for arguments in (["add", "nobody", "/x"], ["list", "nobody"]):
        done = flightlog("artifact", *arguments)
        assert (done.code, done.out) == (1, ""), arguments
        assert done.err.startswith(f"flightlog artifact {arguments[0]}: no such execution: nobody\n")
    assert head_seq(flightlog) == before
    for arguments in (["add", "nobody", "/x"], ["list", "nobody"], ["why", "/x"]):
        assert alone("artifact", *arguments).code == 2


@pytest.mark.covers("S3.6")
@pytest.mark.parametrize(
    "arguments",
    [("add",), ("add", "a", "b", "c"), ("add", "x", "--id", "a b"), ("why",), ("why", "a", "b"), ()],
)
def test_bad_values_are_usage_errors(flightlog: Cli, arguments: tuple[str, ...]) -> None:
    """Values that make no sense are exit code 3."""
    done = flightlog("artifact", *arguments, FLIGHTLOG_EXECUTION_ID="any")

    assert (done.code, done.out) == (3, "")
    assert "flightlog artifact" in done.err


@pytest.mark.parametrize("verb", ["artifact add", "artifact list", "artifact why"])
def test_each_verb_teaches(alone: Cli, verb: str) -> None:
    """The help of each shows an example."""
    done = alone(*verb.split(), "--help")

    assert done.code == 0
    assert f"flightlog {verb}" in done.out.split("Example", 1)[1]


def test_what_cannot_be_read_is_said(flightlog: Cli, home: Path) -> None:
    """A file that is not there is recorded, with a word about it; a path that is empty is refused."""
    execution = flightlog.ok("start").out.strip()
    done = flightlog("artifact", "add", execution, str(home / "missing"))

    assert done.code == 0
    assert done.err.endswith(
        f"{home / 'missing'} is no file that can be read: recorded without size and SHA-256\n"
    )
    assert flightlog("artifact", "add", execution, "").code == 3
    assert len(flightlog.ok("artifact", "list", execution).rows) == 1
