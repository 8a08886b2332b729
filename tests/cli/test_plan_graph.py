"""A plan drawn: every width, every name, thousands of tasks. Pure."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flightlog.cli.plan_edit import Change, change_by_text, text_of, with_comments
from flightlog.cli.plan_graph import MERMAID_EDGES_LIMIT, graph, mermaid
from flightlog.cli.text import cells
from flightlog_schemas.events import Dependency
from flightlog_schemas.plans import Plan, PlanTask
from flightlogd.planning import build_plan
from schemas.builders import ids

NAMES = ["end", 'a"b', "x#1;", "subgraph", "<b>", "`tick`", "日本語", "[x]", "a-->b", "%%c", "\\n", "click"]

_LABEL = r'"(?:[\w ._\-/:,+=@()]|#\d+;)*"'
_MERMAID = re.compile(
    rf"flowchart LR|  subgraph b\d+\[{_LABEL}\]|    t\d+\[{_LABEL}\]|  end|  t\d+ --> t\d+"
    rf"|  t\d+ -\. {_LABEL} \.- t\d+|  b\d+\[{_LABEL}\]|  b\d+ --> b\d+|  more\[{_LABEL}\]"
)
"""Lines of kinds that Mermaid's own parser (11) takes: ids of ours, text in quotes with no sign of its."""


def plan(*tasks: PlanTask) -> Plan:
    """Return the plan of some tasks."""
    return build_plan("/p", tasks, plan_id="p", created_at=1)


def chained(names: list[str]) -> Plan:
    """Return the plan of tasks that wait for one another, the first few with one file."""
    return plan(
        *(
            PlanTask(
                task_id=name,
                description="edit `a-b/c.py` and `d.py`" if place < 3 else None,
                depends_on=(Dependency(task_id=names[place - 1]),) if place > 2 else (),
            )
            for place, name in enumerate(names)
        )
    )


def large() -> Plan:
    """Return a plan of thousands of tasks in a few batches."""
    return plan(
        *(
            PlanTask(
                task_id=f"t{number}", depends_on=(Dependency(task_id=f"t{number // 3}"),) if number else ()
            )
            for number in range(3000)
        )
    )


@pytest.mark.covers("S4.6")
@given(names=st.lists(ids, min_size=1, max_size=12, unique=True), width=st.integers(24, 220))
def test_a_picture_is_as_wide_as_the_terminal(names: list[str], width: int) -> None:
    """No line of a picture is wider than the terminal, whatever the tasks are called."""
    drawn = list(graph(chained(names), width, whole=False))

    assert {cells(line) for line in drawn if line[0] in "┌│└"} == {width}


@pytest.mark.covers("S4.6")
def test_a_mark_is_never_cut() -> None:
    """A conflict shows however long the names of its tasks are."""
    drawn = list(graph(chained([f"{number}{'x' * 80}" for number in range(3)]), 60, whole=False))

    assert [line.rstrip(" │")[-3:] for line in drawn if "x" in line] == ["… !"] * 3


@pytest.mark.covers("S4.6")
def test_thousands_of_tasks_are_folded() -> None:
    """Of a batch with many tasks some rows are drawn and the rest is counted, unless all are asked for."""
    folded = list(graph(large(), 80, whole=False))
    whole = list(graph(large(), 80, whole=True))

    assert len(folded) < 200
    assert any("… 763 more tasks" in line for line in folded)
    assert sum(line.count("t2") for line in whole) > sum(line.count("t2") for line in folded)
    long_chain = chained([f"t{number}" for number in range(100)])
    assert "more batches" in list(graph(long_chain, 80, whole=False))[-2]


@pytest.mark.covers("S4.6")
def test_mermaid_takes_any_name() -> None:
    """Names that mean something to Mermaid or HTML are text; a large plan has a node for each batch."""
    for drawn in (chained(NAMES), large(), plan()):
        lines = list(mermaid(drawn))
        assert [line for line in lines if not _MERMAID.fullmatch(line)] == []
        assert sum("-->" in line or "-." in line for line in lines) <= MERMAID_EDGES_LIMIT
    assert any('["#60;b#62;"]' in line for line in mermaid(chained(NAMES)))


@pytest.mark.covers("S4.6")
def test_what_is_not_edited_changes_nothing() -> None:
    """The text of a plan, also with comments above it, is no change; a value that differs is one."""
    found = plan(PlanTask(task_id="a"), PlanTask(task_id="b"), PlanTask(task_id='"#'))
    text = with_comments(text_of(found), ["all\nwrong"])

    assert change_by_text(found, text) == Change({}, {})
    assert change_by_text(found, "# nothing\n") == Change({}, {})
    changed = change_by_text(found, text.replace('"can_parallel": true', '"can_parallel": false'))
    assert changed == Change({"1": {"can_parallel": False}}, {})
