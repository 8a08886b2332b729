"""Changes to a plan by hand: from options, or from what somebody made of it in an editor. Pure.

An adjustment names only what changes: the tasks of a batch, whether they may run at once, the tasks of a
worktree. What makes sense is decided by the daemon.
"""

from collections.abc import Container, Iterable, Mapping, Sequence
from typing import Any, Final, NamedTuple

import msgspec
from msgspec import Struct

from flightlog.cli.plans import listed
from flightlog.cli.text import cut
from flightlog.errors import UsageError
from flightlog_schemas.plans import Plan

_NAMED_LIMIT: Final = 20
"""Tasks that are named in what is said of them."""

_TOLD_CHARS: Final = 200
"""Of what makes no sense, in what is said of it."""

_COMMENT: Final = "#"
_HEAD: Final = (
    "Move tasks between batches and worktrees, and save. A batch whose tasks may not run at once",
    "has can_parallel false; a worktree that is new is made. Lines that begin with # are passed over;",
    "a file that is empty or unchanged changes nothing.",
)


class Change(NamedTuple):
    """An adjustment: what it changes by batch, and by worktree."""

    batches: dict[str, Any]
    worktrees: dict[str, Any]


class _Batch(Struct, forbid_unknown_fields=True):
    task_ids: list[str]
    can_parallel: bool


class _Worktree(Struct, forbid_unknown_fields=True):
    task_ids: list[str]


class _Edited(Struct, forbid_unknown_fields=True):
    batches: dict[str, _Batch]
    worktrees: dict[str, _Worktree]


def change_by_options(
    plan: Plan,
    moves: Sequence[tuple[str, int]],
    worktrees: Sequence[tuple[str, str]],
    parallel: Mapping[int, bool],
) -> Change:
    """Return the change that options ask for.

    Args:
        plan: The plan as it is.
        moves: Tasks and the batches that they go to, to their ends.
        worktrees: Names of worktrees and the tasks that go there, separated by commas.
        parallel: Batches whose tasks may, or may not, run at once.

    Raises:
        UsageError: a task or a batch that the plan does not have, or one task moved twice.
    """
    batches = {batch.batch_id: list(batch.task_ids) for batch in plan.batches}
    where = {task_id: batch_id for batch_id, ids in batches.items() for task_id in ids}
    touched: set[int] = set()
    moved: set[str] = set()
    for task_id, batch_id in moves:
        _must_be_known(where, [task_id])
        _must_have(batches, batch_id)
        if task_id in moved:
            raise UsageError(f"{task_id} is moved twice: name one batch for it")
        moved.add(task_id)
        batches[where[task_id]].remove(task_id)
        batches[batch_id].append(task_id)
        touched |= {where[task_id], batch_id}
        where[task_id] = batch_id
    changed: dict[str, Any] = {str(batch_id): {"task_ids": batches[batch_id]} for batch_id in sorted(touched)}
    for batch_id, at_once in parallel.items():
        _must_have(batches, batch_id)
        changed.setdefault(str(batch_id), {})["can_parallel"] = at_once
    assigned: dict[str, Any] = {}
    for name, ids in worktrees:
        task_ids = [task_id for task_id in (part.strip() for part in ids.split(",")) if task_id]
        _must_be_known(where, task_ids)
        assigned.setdefault(name, {"task_ids": []})["task_ids"] += task_ids
    return Change(changed, assigned)


def _must_be_known(known: Container[str], task_ids: Iterable[str]) -> None:
    unknown = [task_id for task_id in task_ids if task_id not in known]
    if unknown:
        raise UsageError(f"no such task in this plan: {cut(listed(unknown, _NAMED_LIMIT), _TOLD_CHARS)}")


def _must_have(batches: Mapping[int, object], batch_id: int) -> None:
    if batch_id not in batches:
        raise UsageError(f"no such batch in this plan: {batch_id}; it has 1 to {len(batches)}")


def text_of(plan: Plan) -> str:
    """Return what of a plan may be changed, as JSON with a line for each batch and worktree."""
    batches = {
        str(batch.batch_id): {"task_ids": batch.task_ids, "can_parallel": batch.can_parallel}
        for batch in plan.batches
    }
    worktrees = {some.worktree: {"task_ids": some.task_ids} for some in plan.worktree_assignments}
    return f'{{"batches": {{{_lines(batches)}}},\n "worktrees": {{{_lines(worktrees)}}}}}\n'


def _lines(parts: Mapping[str, Any]) -> str:
    return ",".join(
        f"\n  {msgspec.json.encode(name).decode()}: "
        + msgspec.json.format(msgspec.json.encode(part), indent=0).decode()
        for name, part in parts.items()
    )


def with_comments(text: str, problems: Iterable[str] = ()) -> str:
    """Return a text to be edited, with what to do, and what is wrong with it, above it."""
    said = [f"{_COMMENT} {line}" for line in _HEAD]
    said += [f"{_COMMENT} WRONG: {line}" for problem in problems for line in problem.splitlines()]
    return "\n".join([*said, without_comments(text)])


def without_comments(text: str) -> str:
    """Return what of a text counts."""
    return "".join(line for line in text.splitlines(keepends=True) if not line.startswith(_COMMENT))


def change_by_text(plan: Plan, text: str) -> Change:
    """Return the change that an edited text asks for; empty where it changes nothing.

    Raises:
        UsageError: it is no JSON of that shape, a task is nowhere, or one is named that there is not.
    """
    body = without_comments(text)
    if not body.strip():
        return Change({}, {})
    try:
        edited = msgspec.json.decode(body, type=_Edited)
    except (msgspec.DecodeError, RecursionError) as error:
        raise UsageError(str(error)) from None
    batches: dict[str, Any] = {}
    for batch in plan.batches:
        found = edited.batches.get(str(batch.batch_id))
        if found is None:
            raise UsageError(f"batch {batch.batch_id} is gone; one that is to be empty has no task_ids")
        part: dict[str, Any] = {}
        if found.task_ids != batch.task_ids:
            part["task_ids"] = found.task_ids
        if found.can_parallel != batch.can_parallel:
            part["can_parallel"] = found.can_parallel
        if part:
            batches[str(batch.batch_id)] = part
    known = {str(batch.batch_id) for batch in plan.batches}
    batches |= {
        name: {"task_ids": some.task_ids} for name, some in edited.batches.items() if name not in known
    }
    before = {some.worktree: some.task_ids for some in plan.worktree_assignments}
    worktrees = {
        name: {"task_ids": some.task_ids}
        for name, some in edited.worktrees.items()
        if some.task_ids != before.get(name) and (some.task_ids or name not in before)
    }
    _must_be_somewhere(plan, [batch.task_ids for batch in edited.batches.values()], "batch")
    _must_be_somewhere(plan, [some.task_ids for some in edited.worktrees.values()], "worktree")
    return Change(batches, worktrees)


def _must_be_somewhere(plan: Plan, lists: Iterable[list[str]], where: str) -> None:
    placed = {task_id for ids in lists for task_id in ids}
    known = [task_id for batch in plan.batches for task_id in batch.task_ids]
    lost = [task_id for task_id in known if task_id not in placed]
    problems = [f"in no {where}: {listed(lost, _NAMED_LIMIT)}"] if lost else []
    if unknown := sorted(placed.difference(known)):
        problems.append(f"no such task in this plan: {listed(unknown, _NAMED_LIMIT)}")
    if problems:
        raise UsageError("\n".join(problems))
