"""What is frozen: a line of every event type, every line of the sockets."""

import json
from typing import Any

import msgspec
import pytest

from flightlog_schemas import answers
from flightlog_schemas.codec import decode_line, decode_stored, encode_event
from flightlog_schemas.events import BY_TAG, Owner
from flightlog_schemas.jsonschema import event_schema
from flightlog_schemas.wire import control, ingest, lines, query, reply
from flightlog_schemas.wire.origin import Origin
from flightlog_schemas.wire.request import Request
from schemas.attempts import ATTEMPT, COMPLETION, STATS
from schemas.builders import example
from schemas.planned import PLAN_RECORD, PLAN_REQUESTS, PROJECT, PROJECT_PLAN
from schemas.verdict import CHECK
from support.golden import check_golden, load_golden

LOG_ID = "0192f0c1a2b37c4d8e5f60718293a4b5"
ERROR = {"code": "not_found", "reason": "no such execution: x", "hint": "flightlog list shows them"}

INGEST: list[msgspec.Struct] = [
    ingest.HelloLine(hello=ingest.Hello(protocol=1, producer="p1", line=1042)),
    ingest.HelloLine(hello=ingest.Hello(protocol=1, producer="p1")),
    ingest.HelloLine(
        hello=ingest.Hello(
            protocol=1,
            producer="p1",
            line=7,
            origin=ingest.Speaker(log_id=LOG_ID, host="build-3", seq=99, received=4, uid=1000, pid=42),
        )
    ),
    ingest.ByeLine(bye=ingest.Bye(lines=1541)),
    ingest.IngestReply(ready=ingest.Ready(protocol=1, producer="p1", acked=1041, log_id=LOG_ID)),
    ingest.IngestReply(ack=ingest.Ack(lines=1541, seq=99_812)),
    ingest.IngestReply(ack=ingest.Ack(lines=1541, seq=99_812, known=12)),
    ingest.IngestReply(refused=ingest.Refused(line=1302, code="invalid", reason="message: expected `str`")),
    ingest.IngestReply(duplicate=ingest.Duplicate(line=1303, seq=812, same=True)),
    ingest.IngestReply(busy=ingest.Busy(code="storage_full")),
    ingest.IngestReply(error=ingest.IngestError(code="line_timeout", reason="half a line for 30 s")),
    ingest.IngestReply(error=ingest.IngestError(code="protocol", reason="r", hint="h")),
]

REQUESTS: list[Request] = [
    lines.Tail(),
    lines.Tail(
        min_seq=4,
        wait_ms=10,
        after=0,
        last=5,
        since=6,
        until=8,
        cursor="c",
        follow=False,
        limit=7,
        type=("log", "execution."),
        execution_id="e",
        task_id="t",
        agent_id="a",
        level=(13, 17),
        source="s",
        grep="g",
        exclude=("x", "y"),
    ),
    lines.Events(execution_id="e"),
    lines.Events(execution_id="e", after=3, limit=4, type=("log",), logs=True),
    query.Executions(),
    query.Executions(
        status=("running", "failed"),
        project="/p",
        name="n",
        parent_id="e",
        since=1,
        until=2,
        before="b",
        limit=3,
    ),
    query.Inspect(
        execution_id="e", audit=True, tasks=True, agents=True, artifacts=True, as_of=1, as_of_time=2
    ),
    query.Phase(execution_id="e"),
    query.Tasks(),
    query.Tasks(
        execution_id="e",
        task_id="t",
        slug="s",
        trace_id="0af7651916cd43dd8448eb211c80319c",
        status="failed",
        provenance="backfill",
        since=1,
        oldest_first=True,
        before=2,
        after=3,
        limit=4,
    ),
    query.Stats(),
    query.Stats(
        task_id="t",
        slug="s",
        project="/p",
        since=1,
        until=2,
        provenance="live",
        status="failed",
        tasks=3,
        failures=4,
        patterns=5,
    ),
    query.Completions(),
    query.Completions(
        after=1,
        follow=False,
        execution_id="e",
        task_id="t",
        slug="s",
        status=("failed", "lost"),
        provenance="import",
        novel_only=True,
        limit=2,
    ),
    query.Agents(execution_id="e"),
    query.Agents(execution_id="e", agent_id="a", status="failed", after=1, limit=2),
    query.Artifacts(path="/p/plan.md"),
    query.Artifacts(
        execution_id="e", path="/p", phase="planned", agent_id="a", type="file", after=1, limit=2
    ),
    lines.Logs(execution_id="e"),
    lines.Logs(
        execution_id="e",
        after=1,
        last=2,
        limit=3,
        follow=True,
        level=(17,),
        source="s",
        task_id="t",
        since=4,
        until=5,
        grep="g",
        exclude=("x",),
    ),
    lines.Logs(task_id="t", cursor="c", reverse=True, before=6, agent_id="a", grep=("g", "h")),
    lines.Logs(execution_id="e", follow=True, passing=True),
    lines.Cursor(name="c", seq=5, back=True),
    lines.Cursor(name="c", remove=True, uid=1000),
    lines.Cursors(),
    lines.Cursors(after=1, limit=2),
    lines.Search(text="disk full"),
    lines.Search(
        text='"disk full" -test',
        execution_id="e",
        level=(17,),
        source="s",
        task_id="t",
        project="/p",
        since=1,
        until=2,
        before=3,
        limit=4,
    ),
    lines.OneEvent(seq=1),
    lines.OneEvent(id="k", uid=2),
    query.Audit(),
    query.Audit(execution_id="e", after=1, limit=2),
    query.Audit(task_id="t", type=("TASK_FAILED",), since=1, until=2, last=3, after="4:5"),
    lines.Check(execution_id="e"),
    query.HostsRequest(),
    query.HostsRequest(host=("a", "b"), after="a/~0123456789ab", limit=2),
    query.Wait(execution_id="e"),
    query.Wait(execution_id="e", until="succeeded", timeout_ms=9),
    query.StatusRequest(),
    *PLAN_REQUESTS,
]

EXECUTION = answers.Execution(
    execution_id="e",
    parent_id=None,
    name="build",
    trigger="manual",
    tool="make",
    tool_version=None,
    args=["all"],
    project="/p",
    goal=None,
    status="failed",
    outcome_reason="exit status 2",
    owner=Owner(pid=7, start_time=8, boot_id="b"),
    phase=None,
    phases=None,
    complexity=None,
    auto_advance=None,
    force_full=None,
    labels={"branch": "main"},
    counts={"files": 3},
    error=None,
    exit_status=2,
    deadline=None,
    started_at=1,
    finished_at=4,
    duration_us=3,
    agent_count=1,
    input_tokens=5,
    output_tokens=6,
    cost_usd=0.5,
    log_count=1,
    levels={"WARN": 1},
    first_seq=1,
    last_seq=3,
    state_seq=3,
    uid=1000,
    pid=7,
)

ANSWERS: dict[str, msgspec.Struct] = {
    "recorded": reply.Recorded(
        seq=17,
        received=1_790_000_000_000_000,
        uid=1000,
        pid=4242,
        producer="p1",
        line=5,
        event=msgspec.Raw(b'{"type":"log","execution_id":"e","message":"m"}'),
    ),
    "recorded elsewhere": reply.Recorded(
        seq=17,
        received=1_790_000_000_000_000,
        uid=1000,
        pid=4242,
        producer=f"~{LOG_ID}/p1",
        line=5,
        origin=Origin(log_id=LOG_ID, host="build-3", seq=99, received=4),
        event=msgspec.Raw(b'{"type":"log","execution_id":"e","message":"m"}'),
    ),
    "pruned": reply.Pruned(first_seq=3, last_seq=9, reason="retention"),
    "end": reply.End(count=2, seq=17),
    "end, more to come": reply.End(count=2, seq=17, truncated=True, next="1.2"),
    "end, behind": reply.End(count=2, seq=17, lag=3),
    "error": msgspec.convert(ERROR, reply.QueryError),
    "execution": EXECUTION,
    "phase": answers.PhasePosition(
        execution_id="e",
        phase="plan",
        phases=["plan", "check", "do"],
        status="running",
        complexity=1,
        auto_advance=False,
        force_full=None,
        next_phase="do",
        skipped=["check"],
        artifacts=1,
        active_agents=["a"],
        state_seq=9,
    ),
    "task": ATTEMPT,
    "completion": COMPLETION,
    "stats": STATS,
    "agent": answers.Agent(
        agent_id="a",
        execution_id="e",
        agent_type="claude",
        name="worker",
        status="active",
        dispatch_id=None,
        parent_agent_id=None,
        model="m",
        input_tokens=5,
        output_tokens=6,
        cost_usd=0.5,
        created_at=1,
        updated_at=2,
    ),
    "artifact": answers.Artifact(
        artifact_id="art",
        execution_id="e",
        phase="plan",
        path="/p/plan.md",
        type="file",
        agent_id="a",
        task_id=None,
        size_bytes=3,
        sha256=None,
        created_at=1,
        seq=4,
    ),
    "log": answers.LogLine(
        seq=2,
        time=3,
        execution_id="e",
        task_id=None,
        agent_id=None,
        level="WARN",
        source="exec:make",
        message="m",
        fields={"stream": "stderr"},
        scrubbed=False,
    ),
    "cursor": answers.NamedCursor(name="c", uid=1000, seq=5, lag=2, moved_at=3),
    "audit": answers.AuditEntry(
        seq=3,
        time=4,
        execution_id="e",
        task_id="t",
        event_type="STATE_CHANGE",
        from_state="running",
        to_state="failed",
        reason=None,
        uid=1000,
        pid=7,
        detail=None,
    ),
    "check": CHECK,
    "project": PROJECT,
    "plans": PLAN_RECORD,
    "plan": PROJECT_PLAN,
    "difference": control.Difference(table="audit", missing=1, extra=2, changed=3),
    "progress": control.Progress(step="feed", done=20_000, total=48_112),
}


def encoded(values: list[Any]) -> list[str]:
    """Return values as their lines."""
    return [msgspec.json.encode(value).decode() for value in values]


def test_event_lines(update_golden: bool) -> None:
    """One line of every event type, with each of its fields, is what it was and is read as it was."""
    actual = {name: json.dumps(example(name), separators=(",", ":"), ensure_ascii=False) for name in BY_TAG}

    check_golden("events", actual, update=update_golden)

    for name, line in actual.items():
        read = decode_line(line.encode())
        assert type(read) is BY_TAG[name]
        assert msgspec.json.decode(encode_event(read)) == json.loads(line), name
        assert decode_stored(line.encode()) == read


def test_ingest_lines(update_golden: bool) -> None:
    """Every line of ingest.sock is what it was and is read as it was."""
    actual = encoded(list(INGEST))

    check_golden("ingest", actual, update=update_golden)

    assert [
        msgspec.json.decode(line, type=type(value)) for line, value in zip(actual, INGEST, strict=True)
    ] == INGEST


def test_query_lines(update_golden: bool) -> None:
    """Every request of query.sock, with each of its fields, is what it was and is read as it was."""
    verbs = {kind: verb for verb, kind in query.REQUESTS.items()}
    actual = [msgspec.json.encode({verbs[type(value)]: value}).decode() for value in REQUESTS]

    check_golden("requests", actual, update=update_golden)

    assert {type(value) for value in REQUESTS} == set(query.REQUESTS.values())
    for line, value in zip(actual, REQUESTS, strict=True):
        ((verb, arguments),) = json.loads(line).items()
        assert msgspec.convert(arguments, query.REQUESTS[verb]) == value


def test_answer_lines(update_golden: bool) -> None:
    """Every answer has the fields it had, in their order, and is read as it was."""
    actual = dict(zip(ANSWERS, encoded(list(ANSWERS.values())), strict=True))

    check_golden("answers", actual, update=update_golden)

    for name, value in ANSWERS.items():
        assert (
            msgspec.json.encode(msgspec.json.decode(actual[name], type=type(value))) == actual[name].encode()
        )


@pytest.mark.parametrize("event_type", BY_TAG)
def test_json_schema_of_every_type(event_type: str) -> None:
    """The JSON Schema of a type is one object with the fields and the required fields of that type."""
    schema = event_schema(event_type)
    body = schema["$defs"][schema["$ref"].rpartition("/")[2]]

    assert schema["title"] == event_type
    assert body["properties"].keys() == {"type", *BY_TAG[event_type].__struct_fields__}
    assert body["properties"]["type"] == {"enum": [event_type]}
    assert set(body["required"]) == {
        "type",
        *(field.name for field in msgspec.structs.fields(BY_TAG[event_type]) if field.required),
    }


def test_old_lines_can_still_be_read() -> None:
    """Every event line in the golden file, also of older versions, is read as its current type."""
    for name, line in load_golden("events").items():
        assert type(decode_stored(line.encode())) is BY_TAG[name]
