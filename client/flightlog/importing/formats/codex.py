"""Codex CLI: `{timestamp, type, payload}` a line, in `~/.codex/sessions/YYYY/MM/DD/rollout-TIME-ID.jsonl`.

| record | becomes |
|---|---|
| `session_meta` | `execution.started`, with directory and version; name and goal are the first prompt |
| `response_item`, `message` | `log` of `user`, `assistant`; of `system` at DEBUG for other roles |
| `response_item`, `reasoning` | `log` of `thinking` at DEBUG, as far as it is readable |
| `response_item`, `function_call`, `custom_tool_call` and their `_output` | `task.started`, `task.ended` |
| `event_msg`, `token_count` | `agent.usage`: by how much the session's total grew |
| `event_msg` that says again what a `response_item` said | nothing |
| anything else | `codex.TYPE` |
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import msgspec

from flightlog.importing.jsonl import Record, records_of
from flightlog.importing.transcript import (
    MAIN_AGENT,
    QUIET_AFTER_US,
    NoTranscriptError,
    Teller,
    Told,
    Transcript,
    title_of,
)
from flightlog_schemas.events import AgentAdded, AgentUpdated, AgentUsage, ExecutionStarted

ABOUT: Final = "Codex CLI, ~/.codex/sessions"

_SAID_TWICE: Final = ("user_message", "agent_message", "agent_reasoning")
_CALLS: Final = {"function_call": "arguments", "custom_tool_call": "input"}
_OUTPUTS: Final = ("function_call_output", "custom_tool_call_output")
_WHAT: Final = ("cmd", "command", "path", "query", "input")
_GOAL_LIMIT_CHARS: Final = 2_000


def find(path: Path) -> Iterator[Transcript | NoTranscriptError]:
    """Yield the sessions that a path leads to: the one of a file, all in a directory."""
    for file in sorted(path.rglob("rollout-*.jsonl")) if path.is_dir() else [path]:
        try:
            meta = _meta_of(file)
        except OSError as error:
            yield NoTranscriptError(f"{file}: {error.strerror or error}")
            continue
        session_id = None if meta is None else meta.get("id")
        if isinstance(session_id, str) and session_id:
            yield Transcript(file, session_id)
        else:
            yield NoTranscriptError(f"{file}: its first record is no session_meta with an id")


def read(transcript: Transcript, now_us: int) -> Iterator[Told]:
    """Yield a session's events; see `transcript.Format`."""
    teller = Teller("codex", transcript.session_id)
    yield from _begin(teller, transcript.path)
    last, model, totals = 0, None, (0, 0)
    for record in records_of(transcript.path):
        last = max(last, record.time)
        payload = _payload(record)
        if record.type == "session_meta":
            continue
        if record.type == "turn_context":
            model = _text(payload, "model") or model
        if record.type == "event_msg" and payload.get("type") == "token_count":
            now = _totals(payload) or totals
            if now > totals:
                yield AgentUsage(
                    **teller.head(record.time, record.place, "usage"),
                    agent_id=MAIN_AGENT,
                    model=model,
                    input_tokens=max(0, now[0] - totals[0]),
                    output_tokens=max(0, now[1] - totals[1]),
                )
            totals = max(now, totals)
        elif record.type == "response_item":
            yield from _item(teller, record, payload)
        elif record.type != "event_msg" or payload.get("type") not in _SAID_TWICE:
            kind = f"event_msg.{payload.get('type')}" if record.type == "event_msg" else record.type
            yield teller.unknown(teller.head(record.time, record.place, 0), kind, record.value)
    if last and last < now_us - QUIET_AFTER_US:
        head = teller.head(last, MAIN_AGENT, "ended")
        yield AgentUpdated(**head, agent_id=MAIN_AGENT, status="completed")
        yield teller.ended(last, "succeeded")


def _begin(teller: Teller, path: Path) -> Iterator[Told]:
    goal, first = None, None
    for record in records_of(path):
        first = first or record
        payload = _payload(record)
        if record.type == "event_msg" and payload.get("type") == "user_message":
            goal = _text(payload, "message")
            break
    if first is None:
        return
    meta = _payload(first)
    yield ExecutionStarted(
        **teller.head(first.time, "started"),
        name=title_of(goal or "") or "Codex session",
        goal=goal[:_GOAL_LIMIT_CHARS] if goal else None,
        tool="codex",
        tool_version=_text(meta, "cli_version"),
        project=_text(meta, "cwd"),
    )
    head = teller.head(first.time, MAIN_AGENT, "added")
    yield AgentAdded(**head, agent_id=MAIN_AGENT, agent_type="codex", name=MAIN_AGENT)


def _item(teller: Teller, record: Record, payload: dict[str, Any]) -> Iterator[Told]:
    kind, call_id = _text(payload, "type"), _text(payload, "call_id")
    head = teller.head(record.time, record.place, 0)
    if kind == "message":
        role = _text(payload, "role")
        text = _texts(payload.get("content"))
        if role in ("user", "assistant"):
            yield teller.log(head, role, text)
        else:
            yield teller.log(head, "system", text, level="DEBUG")
    elif kind == "reasoning":
        if text := _texts(payload.get("summary")) or _texts(payload.get("content")):
            yield teller.log(head, "thinking", text, level="DEBUG")
    elif kind in _CALLS and call_id and (name := _text(payload, "name")):
        inputs = _inputs(payload.get(_CALLS[kind]))
        yield teller.call(head, call_id, name, inputs, MAIN_AGENT, _what(inputs))
    elif kind in _OUTPUTS and call_id:
        text, failed = _output(payload.get("output"))
        yield teller.result(head, call_id, "failed" if failed else "succeeded", text)[0]
    else:
        yield teller.unknown(head, f"response_item.{kind or 'unknown'}", record.value)


def _meta_of(path: Path) -> dict[str, Any] | None:
    first = next(records_of(path), None)
    return _payload(first) if first is not None and first.type == "session_meta" else None


def _payload(record: Record) -> dict[str, Any]:
    found = record.value.get("payload")
    return found if isinstance(found, dict) else {}


def _text(fields: dict[str, Any], name: str) -> str | None:
    found = fields.get(name)
    return found if isinstance(found, str) and found else None


def _texts(content: Any) -> str:
    if not isinstance(content, list):
        return content if isinstance(content, str) else ""
    return "\n".join(_text(block, "text") or "" for block in content if isinstance(block, dict))


def _inputs(given: Any) -> dict[str, Any]:
    """Return what a call was given: JSON in a text for functions, plain text for custom tools."""
    if isinstance(given, str):
        try:
            given = msgspec.json.decode(given)
        except (ValueError, RecursionError):
            return {"input": given}
    return given if isinstance(given, dict) else {"input": given}


def _what(inputs: dict[str, Any]) -> str | None:
    for name in _WHAT:
        found = inputs.get(name)
        if isinstance(found, list):
            found = " ".join(map(str, found))
        if isinstance(found, str) and found.strip():
            return found.strip().splitlines()[0]
    return None


def _output(output: Any) -> tuple[str, bool]:
    """Return what a tool answered, and whether it failed: by its exit code, or where it says so."""
    if isinstance(output, str):
        try:
            output = msgspec.json.decode(output)
        except (ValueError, RecursionError):
            return str(output), False
    if not isinstance(output, dict):
        return _texts(output) or str(output), False
    metadata = output.get("metadata")
    code = metadata.get("exit_code") if isinstance(metadata, dict) else None
    said = _text(output, "output") or _text(output, "content")
    failed = code not in (None, 0) or output.get("success") is False
    return said if said is not None else msgspec.json.encode(output).decode(), failed


def _totals(payload: dict[str, Any]) -> tuple[int, int] | None:
    info = payload.get("info")
    total = info.get("total_token_usage") if isinstance(info, dict) else None
    if not isinstance(total, dict):
        return None
    given, answered = total.get("input_tokens"), total.get("output_tokens")
    if type(given) is not int or type(answered) is not int or min(given, answered) < 0:
        return None
    return given, answered
