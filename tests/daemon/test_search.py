"""Search: what a person types finds the lines that have those words."""

from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from support.daemon import Daemon
from support.lines import event, log
from support.peers import QueryPeer
from support.searching import messages, search, tell

T = 1_790_000_000_000_000
FULL = "disk full on /var/log/x.log"
BOOM = "boom"
USER = "no user_id=7 for Ünïcode Straße, code E1234"


@pytest.fixture(scope="module")
def told(shared_daemon: Daemon) -> Daemon:
    """Give a daemon that was told of two executions of different projects."""
    tell(
        shared_daemon,
        event("execution.started", "build-1", time=T, name="nightly", project="/p"),
        log("build-1", FULL, time=T + 1, level="error", source="exec:make", task_id="t/1"),
        log("build-1", USER, time=T + 2, level=13, source="app"),
        event("task.started", "build-1", task_id="t/1", name="compile", time=T + 3),
        event(
            "execution.ended", "build-1", outcome="failed", time=T + 4, error={"type": "E", "message": "boom"}
        ),
        event("execution.started", "web-1", time=T + 5, name="server", project="/q"),
        log("web-1", "Disk is fine, full speed", time=T + 6, level="loud", source="app"),
        log("web-1", "two\nlines \"quoted\" 'x' 100% (a) {b} full: disk", time=T + 7, level="warning"),
        event("x.own", message="disk of a type of my own"),
    )
    return shared_daemon


@pytest.mark.covers("S1.8")
@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("disk", ["two", "Disk", FULL]),
        ("DISK full", ["two", "Disk", FULL]),
        ('"disk full"', [FULL]),
        ("disk -fine", ["two", FULL]),
        ('disk -"disk full"', ["two", "Disk"]),
        ("disk -fine -two", [FULL]),
        ("dis*", ["two", "Disk", FULL]),
        ('"full sp"*', ["Disk"]),
        ("dis", []),
        ("user_id", [USER]),
        ("id", [USER]),
        ("/var/log/x.log", [FULL]),
        ("log", [FULL]),
        ("unicode STRASSE", []),
        ("unicode straße", [USER]),
        ("e1234", [USER]),
        ("nightly", ["execution started: nightly"]),
        ("boom", ["execution failed: boom"]),
        ("compile", ["task started: compile"]),
        ("quoted", ["two"]),
        ("100% (a)", ["two"]),
    ],
)
def test_words(told: Daemon, text: str, found: list[str]) -> None:
    """All words occur, quoted ones in a row, starred ones begin words, dashed ones do not; newest first."""
    starts = [message if message in (FULL, USER) else message.split()[0] for message in found]
    actual = messages(told, text)

    assert len(actual) == len(found)
    assert all(one.startswith(start) for one, start in zip(actual, starts, strict=True)), actual


@pytest.mark.covers("S1.8")
@pytest.mark.parametrize(
    ("request_", "count"),
    [
        ({"execution_id": "build-1"}, 1),
        ({"execution_id": "bui"}, 1),
        ({"level": [17]}, 1),
        ({"level": [9]}, 1),
        ({"level": [13, 17]}, 2),
        ({"level": [21]}, 0),
        ({"source": "exec:make"}, 1),
        ({"source": "exec"}, 0),
        ({"task_id": "t/1"}, 1),
        ({"project": "/q"}, 2),
        ({"project": "/none"}, 0),
        ({"since": T + 6}, 2),
        ({"until": T + 6}, 1),
        ({"since": T + 6, "until": T + 7}, 1),
        ({"since": T + 100}, 0),
        ({"level": [9], "source": "app", "project": "/q", "since": T}, 1),
    ],
)
def test_filters(told: Daemon, request_: dict[str, object], count: int) -> None:
    """Filters narrow a search, alone and together; a strange level is INFO."""
    assert len(messages(told, "disk", **request_)) == count


ODD = (
    '"', "NEAR(", "AND", "a AND OR", "message:disk", "facts:l4",
    "x^2", "^disk", "{a}:b", "(", "a + b",
    "a*b*", "'; drop table line; --", "\x00nul", "\U0001f600 x", "* disk", '"" disk', "- disk",
    "line MATCH 'x'",
    "disk) OR (facts : l2", "\u0301", "disk\u0000", "\u202e", "\\", "%", "a\nb", "\t",
)  # fmt: skip


@pytest.mark.parametrize("text", ODD)
def test_any_text_is_a_question(told: Daemon, text: str) -> None:
    """What means something to SQL or FTS5 is text; there is no syntax that can be wrong."""
    answer = search(told, text)

    assert answer.error is None or answer.error["code"] == "invalid"


@pytest.mark.parametrize("text", ["", " ", "***", '""', "-disk", "-", "!? ..."])
def test_no_words(told: Daemon, text: str) -> None:
    """A text in which there is no word to look for is refused with an example."""
    error = search(told, text).error

    assert error is not None
    assert error["code"] == "invalid"
    assert "disk full" in error["hint"]


@pytest.mark.parametrize("text", ["w " * 100, "disk " + "-w " * 99, '"' + "w " * 20_000 + '"'])
def test_long_texts(told: Daemon, text: str) -> None:
    """A hundred words are fine, and a long phrase is."""
    assert search(told, text).error is None


def test_too_many_words(told: Daemon) -> None:
    """More than a hundred words are refused."""
    error = search(told, "w " * 101).error

    assert error is not None
    assert "100 words" in error["reason"]


def test_unknown_execution(told: Daemon) -> None:
    """A search in an execution that is not there says so."""
    error = search(told, "disk", execution_id="nobody").error

    assert error is not None
    assert error["code"] == "not_found"


def test_a_hit_is_the_log_line(told: Daemon) -> None:
    """What a search finds are the lines of `logs`, with all that those have."""
    with QueryPeer(told.query_socket) as reader:
        log_lines = reader.ask("logs", execution_id="build-1").all("log")

    found = search(told, "disk", execution_id="build-1").all("log")
    assert found == [line for line in log_lines if line["message"] == FULL]


def pages(daemon: Daemon, text: str, **request: object) -> Iterator[list[int]]:
    """Yield the positions on each page of a search."""
    before = None
    while True:
        answer = search(daemon, text, before=before, **request)
        yield [line["seq"] for line in answer.all("log")]
        assert answer.end is not None
        if not answer.end.get("truncated"):
            return
        before = answer.end["next"]


@pytest.mark.covers("S1.8")
@pytest.mark.parametrize(
    ("limit", "sizes"), [(1000, [12]), (12, [12]), (5, [5, 5, 2]), (1, [1] * 12), (0, [0])]
)
def test_pages(daemon: Daemon, limit: int, sizes: list[int]) -> None:
    """Pages have no gap and no double, and say whether there is more."""
    tell(daemon, *(log(f"e{number % 3}", f"word {number}") for number in range(12)))

    found = [page for page, _ in zip(pages(daemon, "word", limit=limit), sizes, strict=False)]
    assert [len(page) for page in found] == sizes
    assert [seq for page in found for seq in page] == list(range(13, 1, -1))[: sum(sizes)]


def test_a_rare_project_among_common_words(daemon: Daemon) -> None:
    """A page may have no line although there is more; going on finds what is there."""
    tell(
        daemon,
        event("execution.started", "rare", project="/rare"),
        log("rare", "word"),
        event("execution.started", "other", project="/other"),
        *(log("other", "word") for _ in range(5200)),
    )

    found = list(pages(daemon, "word", project="/rare"))
    assert found == [[], [3]]


def test_times_out_of_order(daemon: Daemon) -> None:
    """Lines are found by their own times, also where those do not rise with positions."""
    for start in range(0, 12_000, 4000):
        tell(daemon, *(log("e", "word", time=T + (start + n) * 7919 % 12_000) for n in range(4000)))

    found = [seq for page in pages(daemon, "word", since=T + 100, until=T + 110) for seq in page]
    times = {seq: (seq - 2) * 7919 % 12_000 for seq in found}
    assert sorted(times.values()) == list(range(100, 110))


WORDS = st.sampled_from(["a", "b", "ab", "abc", "c", "Ä", "x1"])
MESSAGES = st.lists(st.lists(WORDS, min_size=1, max_size=6).map(" ".join), min_size=1, max_size=15)


def plain(text: str) -> list[str]:
    """Return the words of a message as they are compared."""
    return text.lower().replace("ä", "a").split()


def occurs(group: list[str], words: list[str], *, prefix: bool) -> bool:
    """Say whether words occur in a row among others, the last of them perhaps as a beginning."""
    for start in range(len(words) - len(group) + 1):
        row = words[start : start + len(group)]
        if prefix and row[-1].startswith(group[-1]):
            row[-1] = group[-1]
        if row == group:
            return True
    return False


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(lines=MESSAGES, wanted=st.lists(WORDS, min_size=1, max_size=3), unwanted=st.none() | WORDS,
       row=st.booleans(), prefix=st.booleans(), number=st.integers(0, 2**60))  # fmt: skip
def test_like_a_plain_list(
    shared_daemon: Daemon,
    lines: list[str],
    wanted: list[str],
    unwanted: str | None,
    row: bool,
    prefix: bool,
    number: int,
) -> None:
    """Any search finds exactly what going through all lines finds."""
    execution_id = f"list-{number}"
    first = tell(shared_daemon, *(log(execution_id, line) for line in lines)) - len(lines) + 1

    groups = [[plain(word)[0]] for word in wanted]
    if row:
        groups = [[word for group in groups for word in group]]

    def wants(words: list[str]) -> bool:
        *first_groups, last_group = groups
        return (
            all(occurs(group, words, prefix=False) for group in first_groups)
            and occurs(last_group, words, prefix=prefix)
            and (unwanted is None or plain(unwanted)[0] not in words)
        )

    text = f'"{" ".join(wanted)}"' if row else " ".join(wanted)
    text += ("*" if prefix else "") + ("" if unwanted is None else f" -{unwanted}")
    hits = search(shared_daemon, text, execution_id=execution_id, limit=1000).all("log")
    found = [line["seq"] for line in hits if line["seq"] >= first]
    assert found == [seq for seq, line in reversed(list(enumerate(lines, first))) if wants(plain(line))]
