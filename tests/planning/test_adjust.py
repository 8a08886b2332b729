"""What somebody may change about a plan by hand, and what is refused."""

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from flightlog_schemas.plans import Plan
from flightlogd.planning import AdjustmentError, apply_adjustment
from support.plans import epic, ids_of, plan_of, task

Overrides = dict[str, Any]


def example() -> Plan:
    """Three batches: a b c, then d (after a), then e (after d; its epic after that of b)."""
    return plan_of(
        task("a", "edit src/x.py", epic="one", typical_duration_us=4_000_000),
        task("b", epic="two", typical_duration_us=2_000_000),
        task("c", epic="one"),
        task("d", "edit src/x.py", epic="one", after=["a"]),
        task("e", epic="three", after=["d"]),
        epics=[epic("three", "two")],
    )


def assigned(plan: Plan) -> dict[str, list[str]]:
    """Return the tasks of each worktree."""
    return {some.worktree: some.task_ids for some in plan.worktree_assignments}


def test_a_task_moves() -> None:
    """A task named in another batch leaves its own and joins its epic's worktree there; all else stays."""
    before = example()

    after = apply_adjustment(before, None, {"2": {"task_ids": ["d", "c"]}})

    assert ids_of(before.batches) == [["a", "b", "c"], ["d"], ["e"]]
    assert ids_of(after.batches) == [["a", "b"], ["d", "c"], ["e"]]
    assert [batch.can_parallel for batch in after.batches] == [True, True, False]
    assert assigned(after) == {
        "worktree-batch1-epicone": ["a"],
        "worktree-batch1-epictwo": ["b"],
        "worktree-batch2-epicone": ["d", "c"],
        "worktree-batch3-epicthree": ["e"],
    }
    assert after.metadata.manually_modified
    assert not before.metadata.manually_modified
    assert after.metadata.parallel_batches == 2
    assert (after.tasks, after.predicted_conflicts) == (before.tasks, before.predicted_conflicts)
    assert after.batches[2] == before.batches[2]


def test_a_batch_is_said_to_be_serial() -> None:
    """A batch may be made serial; that holds over later changes until its tasks are others."""
    serial = apply_adjustment(example(), None, {"1": {"can_parallel": False}})
    renamed = apply_adjustment(serial, {"mine": {"task_ids": ["e"]}}, None)
    moved = apply_adjustment(serial, None, {"2": {"task_ids": ["c", "d"]}})

    assert serial.batches[0].can_parallel is renamed.batches[0].can_parallel is False
    assert serial.batches[0].estimated_duration_s == 6.0
    assert moved.batches[0].can_parallel is True
    assert moved.batches[0].estimated_duration_s == 4.0


def test_a_worktree_of_ones_own() -> None:
    """Tasks move to a worktree, a new one if the name is; one that is left empty goes."""
    new = apply_adjustment(example(), {"mine": {"task_ids": ["c", "b"]}}, None)
    back = apply_adjustment(new, {"worktree-batch1-epicone": {"task_ids": ["b", "c"]}}, {})

    assert assigned(new)["mine"] == ["b", "c"]
    assert "worktree-batch1-epictwo" not in assigned(new)
    assert next(some.epics for some in new.worktree_assignments if some.worktree == "mine") == ["one", "two"]
    assert assigned(back)["worktree-batch1-epicone"] == ["a", "b", "c"]
    assert "mine" not in assigned(back)


def test_what_is_odd_is_warned_of() -> None:
    """An empty batch, one with a file twice, and a crowd of worktrees are allowed, with a warning."""
    plan = plan_of(task("a", "edit x.py"), task("b", "edit x.py"), *map(task, "cdef"), max_worktrees=1)

    once = apply_adjustment(
        plan, {"mine": {"task_ids": ["c"]}}, {"1": {"task_ids": list("abcdef")}, "2": {"task_ids": []}}
    )
    twice = apply_adjustment(once, None, {"1": {"task_ids": list("acdef")}, "2": {"task_ids": ["b"]}})

    assert once.batches[0].can_parallel is False
    assert once.metadata.warnings == [
        "batch 1 has tasks that name the same file",
        "batch 2 is empty",
        "batch 1 has 2 worktrees, more than 1",
    ]
    assert twice.metadata.warnings == ["batch 1 has 2 worktrees, more than 1"]
    assert assigned(twice)["worktree-batch2-epicnone"] == ["b"]


@pytest.mark.parametrize(
    ("worktrees", "batches", "problem"),
    [
        ({}, {"9": {"task_ids": []}}, "no such batch in this plan: 9"),
        ({}, {"01": {}, "-1": {}}, "no such batch in this plan: 01"),
        ({}, {"1": {"task_ids": ["a", "b", "c", "nobody"]}}, "no such task in this plan: nobody"),
        ({}, {"1": {"tasks": ["a"]}}, "batch 1: Object contains unknown field `tasks`"),
        ({}, {"1": None}, "batch 1: Expected `object`, got `null`"),
        ({}, {"1": {"task_ids": "abc"}}, "batch 1: Expected `array | null`, got `str` - at `$.task_ids`"),
        ({}, {"1": {"task_ids": ["a", "b"]}}, "c is in no batch"),
        ({}, {"2": {"task_ids": ["d", "b", "b"]}}, "b is named twice"),
        ({}, {"2": {"task_ids": ["d", "b"]}, "1": {"task_ids": ["a", "b", "c"]}}, "b is named twice"),
        ({}, {"1": {"task_ids": ["a", "b", "c", "d"]}}, "d (batch 1) depends on a (batch 1)"),
        ({}, {"3": {"task_ids": ["e", "b"]}},
         "e (batch 3) is of epic three, which depends on epic two: b (batch 3)"),
        ({}, {"2": {"can_parallel": True}}, "batch 2 cannot be parallel: one task, or several with one file"),
        ({"mine": {"task_ids": ["nobody"]}}, {}, "no such task in this plan: nobody"),
        ({"mine": {"task_ids": ["a"]}, "x": {"task_ids": ["a"]}}, {}, "a is named twice"),
        ({"mine": {"task_ids": ["a", "d"]}}, {}, "worktree mine is of batch 1, its tasks of 1, 2"),
        ({"mine": {"task_ids": []}}, {}, "worktree mine: it is new and names no task"),
        ({"mine": {"batch_id": 1}}, {}, "worktree mine: Object contains unknown field `batch_id`"),
        ({"a..b": {"task_ids": ["a"]}}, {}, "worktree 'a..b': no name for a branch (letters, digits, . _ -)"),
        ({"-x": {"task_ids": ["a"]}}, {}, "worktree '-x': no name for a branch (letters, digits, . _ -)"),
    ],
)  # fmt: skip
def test_refusals(worktrees: Overrides, batches: Overrides, problem: str) -> None:
    """What is unknown, twice, nowhere, too early or misnamed is refused by its name; nothing is changed."""
    plan = example()

    with pytest.raises(AdjustmentError) as refused:
        apply_adjustment(plan, worktrees, batches)

    assert problem in refused.value.problems
    assert plan == example()


def test_all_reasons_are_told() -> None:
    """A refusal names everything of its kind that is wrong."""
    with pytest.raises(AdjustmentError) as refused:
        apply_adjustment(example(), {"mine": 1}, {"8": {}, "9": {"x": 1}})

    assert len(refused.value.problems) == 3


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.dictionaries(
        st.sampled_from("1234x"),
        st.fixed_dictionaries(
            {},
            optional={
                "task_ids": st.lists(st.sampled_from("abcdex"), max_size=5),
                "can_parallel": st.booleans(),
            },
        ),
        max_size=3,
    ),
    st.dictionaries(
        st.sampled_from(["mine", "worktree-batch1-epicone", "worktree-batch2-epicone"]),
        st.fixed_dictionaries({"task_ids": st.lists(st.sampled_from("abcde"), max_size=3)}),
        max_size=2,
    ),
)
def test_any_adjustment(batches: Overrides, worktrees: Overrides) -> None:
    """An adjustment is refused, or leaves every task in one batch and in one worktree of that batch."""
    try:
        plan = apply_adjustment(example(), worktrees, batches)
    except AdjustmentError:
        return

    batch_of = {one: batch.batch_id for batch in plan.batches for one in batch.task_ids}
    assert sorted(one for batch in plan.batches for one in batch.task_ids) == list("abcde")
    assert sorted(one for some in plan.worktree_assignments for one in some.task_ids) == list("abcde")
    assert all(batch_of[one] == some.batch_id for some in plan.worktree_assignments for one in some.task_ids)
    assert batch_of["a"] < batch_of["d"] < batch_of["e"] > batch_of["b"]
    for key, some in batches.items():
        actual = plan.batches[int(key) - 1].task_ids
        assert some.get("task_ids", actual) == actual
