"""Worktrees: where the tasks of a batch run, and names for them that git takes as names of branches. Pure."""

import hashlib
import heapq
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from flightlog_schemas.plans import PlannedTask, WorktreeAssignment

_NAME_LIMIT_CHARS: Final = 40
"""Longest name of an epic within that of a worktree."""

_UNSAFE: Final = re.compile(r"[^a-z0-9_]+")
_BRANCH: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,199}")

_NO_EPIC: Final = "none"
"""What tasks without an epic are called."""


def epic_names(epics: Iterable[str | None]) -> dict[str | None, str]:
    """Return a name for each epic that is safe within that of a branch, no two alike.

    Lower case, for some file systems know no other; what is shortened or would be like another has a digest
    of the whole behind it.
    """
    every = sorted(set(epics), key=lambda epic: (epic is not None, epic or ""))
    plain = {
        epic: _NO_EPIC if epic is None else _UNSAFE.sub("-", epic.casefold()).strip("-") for epic in every
    }
    alike = Counter(plain.values())
    names: dict[str | None, str] = {}
    taken: set[str] = set()
    # Those that keep their plain name take it first.
    for epic in sorted(every, key=lambda epic: _is_marked(plain[epic], alike)):
        name = plain[epic]
        if _is_marked(name, alike):
            digest = hashlib.sha256((epic or "").encode("utf-8", "surrogatepass")).hexdigest()
            short = name[:_NAME_LIMIT_CHARS].rstrip("-")
            chars = 8
            while (name := f"{short}-{digest[:chars]}".lstrip("-")) in taken and chars < len(digest):
                chars += 8
        names[epic] = name
        taken.add(name)
    return names


def _is_marked(name: str, alike: Mapping[str, int]) -> bool:
    return not name or len(name) > _NAME_LIMIT_CHARS or alike[name] > 1


def is_branch_name(name: str) -> bool:
    """Say whether git takes a name as that of a branch; of such names, those that a shell takes as well.

    No slash: a worktree is a directory, and a branch `a` forbids one called `a/b`.
    """
    return (
        _BRANCH.fullmatch(name) is not None
        and ".." not in name
        and not name.endswith((".", ".lock"))
        and name != "HEAD"
    )


def worktree_name(batch_id: int, epic_name: str) -> str:
    """Return the name of a worktree: of a batch, opened for an epic."""
    return f"worktree-batch{batch_id}-epic{epic_name}"


def assign_worktrees(
    batch_id: int,
    tasks: Sequence[PlannedTask],
    names: Mapping[str | None, str],
    max_worktrees: int,
) -> list[WorktreeAssignment]:
    """Return the worktrees of a batch: one for each epic, the largest first, smaller ones share.

    Where there are more epics than worktrees, each that is left over joins the worktree with the fewest tasks
    so far. A worktree is called after its first epic.
    """
    by_epic: dict[str | None, list[PlannedTask]] = defaultdict(list)
    for task in tasks:
        by_epic[task.epic].append(task)
    largest_first = sorted(by_epic, key=lambda epic: (-len(by_epic[epic]), epic is None, epic or ""))
    opened = largest_first[:max_worktrees]
    sharing = [[epic] for epic in opened]
    loads = [(len(by_epic[epic]), place) for place, epic in enumerate(opened)]
    heapq.heapify(loads)
    for epic in largest_first[max_worktrees:]:
        load, place = heapq.heappop(loads)
        sharing[place].append(epic)
        heapq.heappush(loads, (load + len(by_epic[epic]), place))
    position = {task.task_id: place for place, task in enumerate(tasks)}
    return [
        WorktreeAssignment(
            worktree=worktree_name(batch_id, names[first]),
            batch_id=batch_id,
            epics=sorted(epic for epic in held if epic is not None),
            task_ids=sorted(
                (task.task_id for epic in held for task in by_epic[epic]), key=position.__getitem__
            ),
        )
        for first, held in zip(opened, sharing, strict=True)
    ]
