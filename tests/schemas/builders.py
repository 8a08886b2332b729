"""Event values for the tests of the schemas: one full example of each type, and strategies for all."""

import functools
from typing import Any

import msgspec
from hypothesis import strategies as st

from flightlog_schemas.events import BY_TAG, Event, UserEvent
from flightlog_schemas.events.execution import Owner
from flightlog_schemas.limits import DEPTH_LIMIT, INT64_MAX, INT64_MIN

TRACE = "0af7651916cd43dd8448eb211c80319c"
SPAN = "b7ad6b7169203331"
SHA = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
ERROR = {"message": "no such file", "type": "FileNotFoundError", "stack": "a\nb", "stack_hash": SHA}
OWNER = {"pid": 4242, "start_time": 123456, "boot_id": "6f1c", "pid_namespace": 4026531836}
ANNOUNCEMENT: dict[str, Any] = {
    "execution_id": "build-7",
    "name": "build",
    "trigger": "schedule",
    "tool": "make",
    "tool_version": "4.3",
    "args": ["all", "-j2"],
    "project": "/srv/app",
    "goal": "a binary",
    "parent_id": "release-1",
    "owner": OWNER,
    "deadline": 1_790_000_000_000_000,
    "phases": ["compile", "link"],
    "complexity": 2,
    "auto_advance": True,
    "force_full": False,
    "labels": {"branch": "main"},
}
CLOCK: dict[str, Any] = {"boot_id": "0f" * 16, "uptime_us": 77_000_000}
ENVELOPE: dict[str, Any] = {
    "time": 1_780_000_000_000_001,
    "id": "key-1",
    "trace_id": TRACE,
    "span_id": SPAN,
    "causation_id": "build-6",
    "provenance": "relay",
    "expect_seq": 12,
    "scrubbed": True,
}
IN_EXECUTION: dict[str, Any] = {"execution_id": "build-7"}
IN_TASK: dict[str, Any] = {"execution_id": "build-7", "task_id": "link"}
IN_AGENT: dict[str, Any] = {"execution_id": "build-7", "agent_id": "a1"}

BEGUN: dict[str, Any] = {
    "name": "Link",
    "slug": "link",
    "task_type": "shell",
    "parent_task_id": "build",
    "attempt": 2,
    "retry_of": SPAN,
    "scheduled_at": 1_780_000_000_000_000,
    "config_digest": SHA,
    "inputs": {"objects": ["a.o"], "deep": {"n": 1}},
    "retrieval": {"memory_count": 2, "sources": ["wiki"], "query": "how", "latency_us": 900},
    "runner": {"name": "runner", "version": "1", "pid": 7, "host": "h"},
}

EXAMPLES: dict[str, dict[str, Any]] = {
    "execution.created": ANNOUNCEMENT,
    "execution.started": ANNOUNCEMENT | {"clock": CLOCK},
    "execution.waiting": IN_EXECUTION | {"reason": "a lock"},
    "execution.resumed": IN_EXECUTION | {"reason": "got it"},
    "execution.changed": IN_EXECUTION
    | {"complexity": 3, "auto_advance": False, "force_full": True, "labels": {"a": "b"}, "reason": "asked"},
    "execution.counted": IN_EXECUTION | {"counts": {"files": 3, "bytes": -1}},
    "execution.advanced": IN_EXECUTION
    | {
        "to_phase": "link",
        "from_phase": "compile",
        "reason": "done",
        "priority": 1,
        "skipped": ["test"],
        "gates": [{"gate": "artifact_exists", "passed": True, "evidence": {"artifacts": 1}}],
        "clock": CLOCK,
    },
    "execution.blocked": IN_EXECUTION
    | {
        "cause": "gate",
        "to_phase": "link",
        "from_phase": "compile",
        "reason": "agents at work",
        "priority": 0,
        "gates": [{"gate": "agents_complete", "passed": False, "evidence": {"active": ["a1"]}}],
    },
    "execution.adopted": IN_EXECUTION | {"owner": OWNER},
    "execution.ended": IN_EXECUTION
    | {
        "outcome": "failed",
        "reason": "exit status 2",
        "error": ERROR,
        "exit_status": 2,
        "duration_us": 1_500_000,
        "counts": {"files": 1},
        "clock": CLOCK,
    },
    "execution.lost": IN_EXECUTION | {"reason": "its process is gone", "evidence": {"pid": 4242}},
    "task.declared": {
        "task_id": "link",
        "project": "/srv/app",
        "description": "link it",
        "action": "ld",
        "epic": "build",
        "priority": 5,
        "depends_on": [{"task_id": "compile"}, {"task_id": "docs", "kind": "soft"}],
    },
    "task.created": IN_TASK
    | {"name": "Link", "slug": "link", "task_type": "shell", "parent_task_id": "build"},
    "task.started": IN_TASK | BEGUN | {"reason": "out of memory"},
    "task.waiting": IN_TASK | {"reason": "a licence"},
    "task.resumed": IN_TASK | {"reason": "got it"},
    "task.ended": IN_TASK
    | {
        "outcome": "failed",
        "reason": "exit status 1",
        "error": ERROR,
        "outputs": {"size": 3},
        "duration_us": 12,
        "io": {"files_written": ["a"], "artifact_ids": ["x"], "tool_calls": 1, "script_runs": 0},
        "started_at": 1_790_000_000_000_000,
        **BEGUN,
    },
    "log": IN_TASK
    | {
        "agent_id": "a1",
        "message": 'two\nlines, a "quote" and ü',
        "level": "WARN",
        "source": "exec:make",
        "fields": {"stream": "stderr", "n": [1, None, True]},
    },
    "agent.added": IN_AGENT
    | {
        "agent_type": "reviewer",
        "name": "Ada",
        "dispatch_id": "d1",
        "model": "m",
        "parent_agent_id": "a0",
    },
    "agent.updated": IN_AGENT
    | {"status": "completed", "name": "Ada", "dispatch_id": "d1", "model": "m", "reason": "done"},
    "agent.usage": IN_AGENT | {"model": "m", "input_tokens": 10, "output_tokens": 20, "cost_usd": 0.25},
    "artifact.added": IN_AGENT
    | {
        "path": "out/app",
        "artifact_id": "x",
        "artifact_type": "binary",
        "phase": "link",
        "size_bytes": 0,
        "sha256": SHA,
    },
    "plan.epic_declared": {"project": "/srv/app", "epic": "build", "name": "Build", "depends_on": ["setup"]},
    "plan.requested": {"project": "/srv/app", "reason": "asked", "max_worktrees": 4},
    "plan.built": {
        "project": "/srv/app",
        "plan_id": "p1",
        "batches": 2,
        "total_tasks": 5,
        "parallel_batches": 1,
        "conflicts": 0,
        "plan": {"batches": [["a", "b"], ["c"]]},
    },
    "plan.adjusted": {
        "project": "/srv/app",
        "plan_id": "p1",
        "seen_seq": 41,
        "worktree_assignments": {"w1": ["a"]},
        "batch_overrides": {"1": ["b"]},
    },
    "plan.failed": {"project": "/srv/app", "error": ERROR},
    "audit.recorded": {"action": "export", "target": "x", "reason": "asked", "detail": {"rows": 3}},
    "producer.dropped": {"count": 3, "by_level": {"DEBUG": 3}, "reason": "buffer full"},
    "daemon.started": {"version": "0.1.0", "recovered_seq": 3, "boot_id": "6f1c"},
    "daemon.stopped": {"reason": "SIGTERM"},
    "daemon.rebuilt": {"projections": ["audit"], "differences": {"audit": 0}, "reason": "asked"},
    "daemon.pruned": {"cause": "retention", "lines": 4, "detail": {"days": 30}},
    "daemon.suppressed": {
        "peer_uid": 1001,
        "lines": 3,
        "by_level": {"DEBUG": 3},
        "producers": [{"producer": "p", "first_line": 5, "last_line": 9, "count": 3}],
        "since": 1_790_000_000_000_000,
        "reason": "100 lines a second",
    },
}
"""A payload of each type with all its own fields set, none of them at its default."""


def example(event_type: str) -> dict[str, Any]:
    """Return a whole event of a type as a JSON object: all of the envelope, all of the payload."""
    return {"type": event_type} | ENVELOPE | EXAMPLES[event_type]


ids = st.text(st.characters(codec="utf-8", exclude_categories=("C", "Z")), min_size=1, max_size=128).filter(
    lambda text: text.isprintable()
)
text = st.text(st.characters(codec="utf-8"), max_size=40)
int64 = st.integers(INT64_MIN, INT64_MAX)
counts = st.integers(0, INT64_MAX)
finite = st.floats(allow_nan=False, allow_infinity=False)
json_values = st.recursive(
    st.none() | st.booleans() | int64 | finite | text,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(text, inner, max_size=3),
    max_leaves=8,
)
json_objects = st.dictionaries(text, json_values, max_size=3)
owners = st.builds(
    Owner,
    pid=st.integers(1, 2**31 - 1),
    start_time=st.none() | counts,
    boot_id=st.none() | text,
)

assert DEPTH_LIMIT > 16, "json_values stays far below the depth that is refused"


@functools.cache
def events_of(event_type: str) -> st.SearchStrategy[Event]:
    """Return a strategy for events of one type, every field drawn within its limits."""
    kind = BY_TAG[event_type]
    drawn = {
        field.name: _values(msgspec.inspect.type_info(field.type)) for field in msgspec.structs.fields(kind)
    }
    drawn["v"] = st.just(1)
    for name in ("execution_id", "task_id", "agent_id", "id", "causation_id"):
        field = next(field for field in msgspec.structs.fields(kind) if field.name == name)
        drawn[name] = ids if field.required else st.none() | ids
    return st.builds(kind, **drawn)


def known_events() -> st.SearchStrategy[Event]:
    """Return a strategy for events of every type."""
    return st.sampled_from(sorted(BY_TAG)).flatmap(events_of)


def user_events() -> st.SearchStrategy[UserEvent]:
    """Return a strategy for events of a user's own types."""
    return st.builds(
        UserEvent,
        type=ids.map(lambda name: f"my.{name}"[:128]),
        execution_id=st.none() | ids,
        time=st.none() | counts,
        id=st.none() | ids,
        v=counts,
    )


def _values(kind: msgspec.inspect.Type) -> st.SearchStrategy[Any]:
    """Return a strategy for the values of one of msgspec's types, within its constraints."""
    match kind:
        case msgspec.inspect.UnionType(types=types):
            return st.one_of(*map(_values, types))
        case msgspec.inspect.NoneType():
            return st.none()
        case msgspec.inspect.BoolType():
            return st.booleans()
        case msgspec.inspect.AnyType():
            return json_values
        case msgspec.inspect.FloatType():
            return finite
        case msgspec.inspect.IntType(ge=low, le=high):
            return st.integers(INT64_MIN if low is None else low, INT64_MAX if high is None else high)
        case msgspec.inspect.StrType(pattern=str() as pattern):
            return st.from_regex(pattern.removesuffix("$") + r"\Z")
        case msgspec.inspect.StrType(min_length=1):
            return ids
        case msgspec.inspect.StrType():
            return text
        case msgspec.inspect.LiteralType(values=values):
            return st.sampled_from(values)
        case msgspec.inspect.DictType(value_type=value_type):
            return st.dictionaries(text, _values(value_type), max_size=3)
        case msgspec.inspect.VarTupleType(item_type=item_type, min_length=shortest):
            return st.lists(_values(item_type), min_size=shortest or 0, max_size=3).map(tuple)
        case msgspec.inspect.StructType(cls=cls, fields=fields):
            return st.builds(cls, **{field.name: _values(field.type) for field in fields})
    raise AssertionError(f"no strategy for {kind}")
