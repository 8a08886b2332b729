"""The picture of when tasks ran. Pure."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flightlog.cli.text import cells
from flightlog.cli.timeline import LEAST_WIDTH_CHARS, summary, timeline
from flightlog_schemas.answers import TaskAttempt
from flightlog_schemas.statuses import TERMINAL

T = 1_790_000_000_000_000
S = 1_000_000


def attempt(
    task_id: str, status: Any, start_us: int, end_us: int | None, number: int = 1, **known: Any
) -> TaskAttempt:
    """Return an attempt; times count from T."""
    facts: dict[str, Any] = dict.fromkeys(TaskAttempt.__struct_fields__) | {
        "execution_id": "e",
        "task_id": task_id,
        "status": status,
        "inferred": False,
        "attempt": number,
        "created_at": T + start_us,
        "started_at": T + start_us,
        "finished_at": None if end_us is None else T + end_us,
        "duration_us": None if end_us is None else end_us - start_us,
        "provenance": "live",
        "seq": number,
    }
    return TaskAttempt(**facts | known)


ATTEMPTS = [
    attempt("load", "running", 2_200_000, None),
    attempt("extract", "failed", 0, 750_000),
    attempt("extract", "succeeded", 800_000, 2_100_000, 2),
    attempt("report", "pending", 2_300_000, None, started_at=None),
    attempt("blip", "succeeded", 1_000_000, 1_000_100),
    attempt("a-task-with-a-name-that-is-far-too-long-for-its-place", "cancelled", 2_150_000, 3_900_000),
    attempt("slow", "timed_out", 100_000, 4_000_000),
    attempt("gone", "lost", 3_990_000, 4_300_000),
]
AT_80 = """\
TASK                       0s                 2s                 4s
AT ONCE                    ▆▆▆▆▆▆▆▆▆█▆▆▆▆▆▆▆▆▆▆██████████████████▆▆▆       max 3
extract                    ███████▏           ┊                  ┊    ✗    750ms
  retry 2                  ┊      ▐███████████▉                  ┊    ✓     1.3s
slow                       ▐█████████████████████████████████████┊    ◷     3.9s
blip                       ┊        ▏         ┊                  ┊    ✓    100us
a-task-with-a…or-its-place ┊                  ┊█████████████████ ┊    ⊘     1.7s
load                       ┊                  ┊▐███████████████████▶  …     2.1s
report                     ┊                  ┊ ····················  ·
gone                       ┊                  ┊                 ▐██▉  ?    310ms"""


def picture(attempts: list[TaskAttempt], width_chars: int, now_us: int) -> list[str]:
    """Return the picture as text."""
    return [
        f"{line.label} {line.bar} {line.tail}".rstrip() for line in timeline(attempts, width_chars, now_us)
    ]


@pytest.mark.covers("S1.11")
def test_the_picture_at_80_columns() -> None:
    """Attempts stand together on one axis, overlap shows, what runs is open, every mark tells how it went."""
    assert picture(ATTEMPTS, 80, T + 4_310_000) == AT_80.split("\n")


def test_the_picture_of_many_tasks_at_200_columns() -> None:
    """Three hundred tasks are three hundred bars that step to the right, each as long as its time."""
    many = [attempt(f"t{n:03}", "succeeded", n * S, (n + 10) * S) for n in range(300)]
    axis, at_once, *lines = timeline(many, 200, T + 310 * S)

    assert (axis.label.strip(), at_once.label, at_once.tail.strip()) == ("TASK", "AT ONCE", "max 10")
    assert [line.label.strip() for line in lines] == [f"t{n:03}" for n in range(300)]
    starts = [len(line.bar.replace("┊", " ")) - len(line.bar.replace("┊", " ").lstrip()) for line in lines]
    assert starts == sorted(starts)
    lengths = {len(line.bar.replace("┊", " ").strip()) for line in lines}
    assert max(lengths) - min(lengths) <= 2
    assert axis.bar.startswith("0s")
    assert axis.bar.rstrip().endswith("5m")


def test_a_picture_higher_than_the_screen_repeats_its_axis() -> None:
    """Of a long picture every screenful has the axis, and so has its end, where the prompt is."""
    many = [attempt(f"t{n:03}", "succeeded", n * S, (n + 1) * S) for n in range(50)]
    heads = [
        place for place, line in enumerate(timeline(many, 80, T, screen_lines=24)) if "TASK" in line.label
    ]

    assert heads == [0, 23, 46, 53]
    assert len(timeline(many[:22], 80, T, screen_lines=24)) == 23


def test_waiting_to_start_is_dots() -> None:
    """A task known before it started has dots until then, but none from before anything started."""
    told = [
        attempt("first", "succeeded", 0, 4 * S, created_at=T - 100 * S),
        attempt("second", "succeeded", 2 * S, 4 * S, created_at=T),
        attempt("never", "cancelled", 0, 3 * S, started_at=None),
    ]
    first, never, second = (line.bar for line in timeline(told, 60, T)[-3:])

    assert set(first) == {"█"}
    assert second == "·" * (len(second) // 2) + "█" * (len(second) - len(second) // 2)
    assert set(never.replace("┊", "").strip()) == {"·"}


def test_columns_of_a_terminal_are_counted() -> None:
    """Wide characters take two columns: bars stand under each other whatever tasks are called."""
    told = [
        attempt("你好世界" * 10, "succeeded", 0, S),
        attempt("plain", "succeeded", 0, S),
        attempt("🚀🚀", "failed", S, 2 * S),
        attempt("e\u0301te\u0301", "failed", S, 2 * S),
    ]

    assert {cells(f"{line.label} ") for line in timeline(told, 100, T)} == {34}


@pytest.mark.parametrize(
    ("attempts", "text"),
    [
        (ATTEMPTS[:1], None),
        (
            ATTEMPTS,
            "4.3s for 10.1s of work, at most 3 at once, longest: slow 3.9s, longest alone: extract 100ms",
        ),
        (
            [attempt("a", "succeeded", 0, S), attempt("b", "succeeded", 3 * S, 5 * S)],
            "5s for 3s of work, at most 1 at once, nothing ran for 2s, longest: b 2s",
        ),
    ],
)
def test_the_picture_in_words(attempts: list[TaskAttempt], text: str | None) -> None:
    """How long in all, how much work, how much at once, when nothing ran, and what to make shorter first."""
    assert summary(attempts, T + 4_310_000) == text


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["a", "b", "c\x1b[31m", "世界" * 40, "🚀 e\u0301"]),
            st.sampled_from(["pending", "running", "waiting", *TERMINAL]).filter(lambda s: s != "partial"),
            st.integers(0, 10**12),
            st.none() | st.integers(0, 10**12),
        ),
        min_size=1,
        max_size=12,
    ),
    st.integers(20, 220),
    st.integers(0, 10**12),
)
@settings(max_examples=300, deadline=None)
def test_no_picture_breaks(drawn: list[tuple[str, str, int, int | None]], width: int, now: int) -> None:
    """Whatever ran whenever: a line for each attempt, all of one width, none wider than the terminal."""
    attempts = [
        attempt(task, status, start, None if took is None else start + took, number)
        for number, (task, status, start, took) in enumerate(drawn, 1)
    ]
    lines = timeline(attempts, width, T + now)

    assert len(lines) in (len(attempts) + 1, len(attempts) + 2)
    bars = lines[-len(attempts) :]
    [bar_chars] = {len(line.bar) for line in lines}
    [label_chars] = {cells(line.label) for line in lines}
    widest = max(cells(f"{line.label} {line.bar} {line.tail}") for line in lines)
    assert widest <= max(width, LEAST_WIDTH_CHARS)
    assert bar_chars > 0
    assert label_chars > 0
    assert "\x1b" not in "".join(line.label for line in lines)
    for line in bars:
        assert line.bar.replace("┊", "").strip(), "every attempt is seen"


def test_nothing_to_draw() -> None:
    """Without tasks there is no picture."""
    assert timeline([], 80, T) == []
