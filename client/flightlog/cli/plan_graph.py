"""A plan as a picture: a box for each batch, from the first to the last, or Mermaid. Pure."""

from collections.abc import Iterator, Mapping
from itertools import pairwise
from typing import Final

from flightlog.cli.plans import seconds_text
from flightlog.cli.text import cells, fit, one_line
from flightlog_schemas.plans import Plan, PlanBatch

_ROWS_LIMIT: Final = 10
"""Rows of tasks in one box; what is more is counted."""

_BOXES_LIMIT: Final = 40
"""Batches that are drawn; what is more is counted."""

_LEAST_CHARS: Final = 24
"""Of a box, however narrow the terminal."""

_COLUMN_LEAST_CHARS: Final = 12
_COLUMN_MOST_CHARS: Final = 40

_MARKS: Final = {"same_file": "!", "same_directory": "~", "potential": "?"}
"""The gravest that a task has is shown; they are in this order."""

MERMAID_EDGES_LIMIT: Final = 400
"""Mermaid draws at most 500 arrows unless its page allows more."""

MERMAID_TASKS_LIMIT: Final = 400

Marks = Mapping[str, str]


def graph(plan: Plan, width: int, *, whole: bool) -> Iterator[str]:
    """Yield the lines of a picture of a plan, none wider than so many columns.

    Args:
        plan: The plan.
        width: Columns of the terminal.
        whole: Draw every batch and every task.
    """
    marks = _marks(plan)
    batches = plan.batches if whole else plan.batches[:_BOXES_LIMIT]
    for place, batch in enumerate(batches):
        if place:
            yield "  │"
            yield "  ▼"
        yield from _box(batch, marks, max(width, _LEAST_CHARS), whole=whole)
    if len(batches) < len(plan.batches):
        yield f"  … {len(plan.batches) - len(batches)} more batches"
    shown = set(marks.values())
    legend = [
        text
        for mark, text in (("!", "! same file"), ("~", "~ same directory"), ("?", "? perhaps"))
        if mark in shown
    ]
    if legend:
        yield f"conflicts: {'  '.join(legend)}"


def _marks(plan: Plan) -> dict[str, str]:
    found: dict[str, str] = {}
    for kind, mark in _MARKS.items():
        for conflict in plan.predicted_conflicts:
            if conflict.kind == kind:
                for task_id in conflict.task_ids:
                    found.setdefault(task_id, mark)
    return found


def _box(batch: PlanBatch, marks: Marks, width: int, *, whole: bool) -> Iterator[str]:
    inside = width - 4
    names = [(one_line(name), f" {marks[name]}" if name in marks else "") for name in batch.task_ids]
    widest = max((cells(name) + len(mark) for name, mark in names), default=0)
    column = min(max(widest, _COLUMN_LEAST_CHARS), _COLUMN_MOST_CHARS, inside)
    across = max(1, (inside + 2) // (column + 2))
    rows = [names[at : at + across] for at in range(0, len(names), across)]
    title = fit(_title(batch), min(cells(_title(batch)), width - 6))
    yield f"┌─ {title} {'─' * (width - cells(title) - 5)}┐"
    for row in rows if whole else rows[:_ROWS_LIMIT]:
        yield f"│ {fit('  '.join(_marked(*name, column) for name in row), inside)} │"
    if not whole and len(rows) > _ROWS_LIMIT:
        yield f"│ {fit(f'… {len(names) - _ROWS_LIMIT * across} more tasks', inside)} │"
    yield f"└{'─' * (width - 2)}┘"


def _marked(name: str, mark: str, width: int) -> str:
    """Return a name and its mark at a width; where it is cut, the mark stays."""
    if cells(name) + len(mark) <= width:
        return fit(name + mark, width)
    return fit(name, width - len(mark)) + mark


def _title(batch: PlanBatch) -> str:
    parts = [f"batch {batch.batch_id}", _count(batch)]
    if (about := seconds_text(batch.estimated_duration_s)) is not None:
        parts.append(f"about {about}")
    if batch.depends_on:
        some = batch.depends_on[-6:]
        parts.append(f"after {'…, ' if len(some) < len(batch.depends_on) else ''}{', '.join(map(str, some))}")
    return " · ".join(parts)


def _count(batch: PlanBatch) -> str:
    count = len(batch.task_ids)
    return "1 task" if count == 1 else f"{count} tasks {'at once' if batch.can_parallel else 'in turn'}"


def mermaid(plan: Plan) -> Iterator[str]:
    """Yield the lines of a Mermaid flowchart of a plan.

    A node for each task in a box for each batch, an arrow for each dependency, a dotted line for each file
    that two name one after the other. What is too large for Mermaid has a node for each batch.
    """
    ids = {task_id: f"t{number}" for number, task_id in enumerate(_tasks(plan), 1)}
    edges = [(task_id, task.task_id) for task in plan.tasks for task_id in task.depends_on]
    shared = [
        (first, second, conflict.path)
        for conflict in plan.predicted_conflicts
        if conflict.kind == "same_file" and conflict.path is not None
        for first, second in pairwise(conflict.task_ids)
    ]
    yield "flowchart LR"
    if len(edges) + len(shared) > MERMAID_EDGES_LIMIT or len(ids) > MERMAID_TASKS_LIMIT:
        yield from _mermaid_batches(plan)
        return
    for batch in plan.batches:
        yield f'  subgraph b{batch.batch_id}["batch {batch.batch_id}: {_count(batch)}"]'
        for task_id in batch.task_ids:
            yield f'    {ids[task_id]}["{_label(task_id)}"]'
        yield "  end"
    for before, after in edges:
        if before in ids and after in ids:
            yield f"  {ids[before]} --> {ids[after]}"
    for first, second, path in shared:
        if first in ids and second in ids:
            yield f'  {ids[first]} -. "{_label(path)}" .- {ids[second]}'


def _tasks(plan: Plan) -> Iterator[str]:
    for batch in plan.batches:
        yield from batch.task_ids


def _mermaid_batches(plan: Plan) -> Iterator[str]:
    batches = plan.batches[:MERMAID_EDGES_LIMIT]
    for batch in batches:
        yield f'  b{batch.batch_id}["batch {batch.batch_id}: {_count(batch)}"]'
    for before, after in pairwise(batches):
        yield f"  b{before.batch_id} --> b{after.batch_id}"
    if len(batches) < len(plan.batches):
        yield f'  more["{len(plan.batches) - len(batches)} more batches"]'


def _label(text: str) -> str:
    """Return text for a quoted label: what Mermaid or HTML would take for a sign is written by its number."""
    return "".join(char if char.isalnum() or char in " ._-/:,+=@()" else f"#{ord(char)};" for char in text)
