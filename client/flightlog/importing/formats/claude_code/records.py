"""Records of a session of Claude Code to events, in the order of their times."""

import heapq
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from msgspec import Struct

from flightlog.importing.formats.claude_code.files import is_agents, meta_of
from flightlog.importing.formats.claude_code.messages import text_of, used, what_of
from flightlog.importing.jsonl import Record, records_of
from flightlog.importing.keys import as_id, key_of
from flightlog.importing.transcript import (
    MAIN_AGENT,
    QUIET_AFTER_US,
    Teller,
    Told,
    Transcript,
    title_of,
)
from flightlog_schemas.events import AgentAdded, AgentUpdated, AgentUsage, ArtifactAdded, ExecutionStarted
from flightlog_schemas.events.execution import Outcome
from flightlog_schemas.events.task import TaskOutcome

FORMAT: Final = "claude_code"

_WRITING: Final = {
    "Write": "file_path",
    "Edit": "file_path",
    "MultiEdit": "file_path",
    "NotebookEdit": "notebook_path",
}
"""Tools that write a file, and the input that names it."""
_SENDING: Final = ("Task", "Agent")
"""Tools that send an agent."""
_REFUSED: Final = ("The user doesn't want to", "[Request interrupted by user")
_INTERRUPTED: Final = "[Request interrupted by user"
_GOAL_LIMIT_CHARS: Final = 2_000
_LEVELS: Final = {"info": "INFO", "warning": "WARN", "error": "ERROR", "suggestion": "DEBUG"}


class _Usage(Struct, gc=False, frozen=True):
    """What a message has used so far."""

    input_tokens: int = 0
    output_tokens: int = 0


def read(transcript: Transcript, now_us: int) -> Iterator[Told]:
    """Yield a session's events; see `transcript.Format`."""
    return _Reading(transcript).run(now_us)


def _numbered(path: Path, number: int) -> Iterator[tuple[int, int, Path, Record]]:
    for record in records_of(path):
        yield record.time, number, path, record


class _Reading:
    """One session, and what has to be known of its past."""

    def __init__(self, transcript: Transcript) -> None:
        self._transcript = transcript
        self._teller = Teller(FORMAT, transcript.session_id)
        self._usage: dict[str, _Usage] = {}
        self._agents: dict[str, str | None] = {}
        """Agents that were sent, and the call that sent them."""
        self._sent: dict[str, str] = {}
        """Calls that send an agent, by the prompt that they give it, until it says its first."""
        self._chains: dict[str, str] = {}
        """Records of agents without an id, and whose they are."""
        self._outcome: Outcome = "succeeded"

    def run(self, now_us: int) -> Iterator[Told]:
        """Yield all events."""
        whole = not is_agents(self._transcript.path)
        if whole:
            yield from self._begin()
        last = 0
        files = (self._transcript.path, *self._transcript.others)
        # By time; of records of one time, the session's own come first.
        for time, _, path, record in heapq.merge(
            *(_numbered(file, number) for number, file in enumerate(files)), key=lambda found: found[:2]
        ):
            last = max(last, time)
            yield from self._record(path, record)
        if whole and last and last < now_us - QUIET_AFTER_US:
            status = self._teller.head(last, MAIN_AGENT, "ended")
            yield AgentUpdated(
                **status, agent_id=MAIN_AGENT, status="failed" if self._outcome == "failed" else "completed"
            )
            yield self._teller.ended(last, self._outcome)

    def _begin(self) -> Iterator[Told]:
        """Yield the session's beginning, which stands in several of its first records."""
        first: int | None = None
        known: dict[str, Any] = {}
        goal = summary = None
        for record in records_of(self._transcript.path):
            value = record.value
            first = record.time if first is None else first
            if record.type == "summary" and isinstance(value.get("summary"), str):
                summary = summary or value["summary"]
            for name in ("cwd", "version", "gitBranch"):
                if name not in known and isinstance(value.get(name), str) and value[name]:
                    known[name] = value[name]
            if record.type == "user" and not (value.get("isMeta") or value.get("isSidechain")):
                goal = _prompt(value)
                if goal:
                    break
        if first is None:
            return
        yield ExecutionStarted(
            **self._teller.head(first, "started"),
            name=title_of(goal or summary or "") or "Claude Code session",
            goal=(goal or summary or "")[:_GOAL_LIMIT_CHARS] or None,
            tool="claude-code",
            tool_version=known.get("version"),
            project=known.get("cwd"),
            labels={"git_branch": known["gitBranch"]} if "gitBranch" in known else None,
        )
        yield AgentAdded(
            **self._teller.head(first, MAIN_AGENT, "added"),
            agent_id=MAIN_AGENT,
            agent_type="claude-code",
            name=MAIN_AGENT,
        )

    def _record(self, path: Path, record: Record) -> Iterator[Told]:
        agent_id = MAIN_AGENT
        if is_agents(path) or record.value.get("isSidechain") is True:
            agent_id = self._agent_of(path, record)
            if agent_id not in self._agents:
                yield self._added(path, record, agent_id)
        message = record.value.get("message")
        if record.type in ("user", "assistant") and isinstance(message, dict):
            yield from self._message(record, message, agent_id)
        elif record.type in ("system", "summary"):
            yield self._notice(record, agent_id)
        else:
            yield self._teller.unknown(self._head(record, 0), record.type, record.value, _other(agent_id))

    def _head(self, record: Record, number: int) -> dict[str, Any]:
        return self._teller.head(record.time, record.place, number)

    def _agent_of(self, path: Path, record: Record) -> str:
        """Return whose record it is: by its agent's id, by its file, or by the record that it follows."""
        found = record.value.get("agentId")
        if isinstance(found, str) and found:
            return as_id(found)
        if is_agents(path):
            return as_id(path.stem.removeprefix("agent-"))
        parent = record.value.get("parentUuid")
        agent_id = self._chains.get(parent) if isinstance(parent, str) else None
        agent_id = self._chains[record.place] = agent_id or as_id(record.place)
        return agent_id

    def _added(self, path: Path, record: Record, agent_id: str) -> Told:
        """Return that an agent was sent, with what the call that did it says."""
        meta = meta_of(path) if is_agents(path) else {}
        prompt = _prompt(record.value)
        call_id = _text(meta, "toolUseId") or (None if prompt is None else self._sent.pop(prompt, None))
        call = None if call_id is None else self._teller.opened(call_id)
        inputs = {} if call is None else call.inputs
        self._agents[agent_id] = call_id
        return AgentAdded(
            **self._teller.head(record.time, "agent", agent_id),
            agent_id=agent_id,
            agent_type=_text(meta, "agentType") or _text(inputs, "subagent_type") or "claude-code",
            name=_text(meta, "description") or _text(inputs, "description"),
            dispatch_id=None if call_id is None else as_id(call_id),
            parent_agent_id=MAIN_AGENT if call is None else call.agent_id,
        )

    def _message(self, record: Record, message: dict[str, Any], agent_id: str) -> Iterator[Told]:
        content = message.get("content")
        blocks = [{"type": "text", "text": content}] if isinstance(content, str) else content
        for number, block in enumerate(blocks if isinstance(blocks, list) else []):
            head = self._head(record, number)
            if not isinstance(block, dict):
                yield self._teller.unknown(head, "block", block, _other(agent_id))
                continue
            yield from self._block(record, head, block, agent_id)
        yield from self._used(record, message, agent_id)

    def _block(
        self, record: Record, head: dict[str, Any], block: dict[str, Any], agent_id: str
    ) -> Iterator[Told]:
        kind = _text(block, "type")
        if kind == "text" and isinstance(block.get("text"), str):
            yield self._said(record, head, block["text"], agent_id)
        elif kind == "thinking" and isinstance(block.get("thinking"), str):
            if block["thinking"]:
                yield self._teller.log(
                    head, "thinking", block["thinking"], level="DEBUG", agent_id=_other(agent_id)
                )
        elif kind == "tool_use" and _text(block, "id") and _text(block, "name"):
            inputs = block.get("input")
            inputs = inputs if isinstance(inputs, dict) else {}
            if block["name"] in _SENDING and isinstance(inputs.get("prompt"), str):
                self._sent[inputs["prompt"].strip()] = block["id"]
            yield self._teller.call(head, block["id"], block["name"], inputs, agent_id, what_of(inputs))
        elif kind == "tool_result" and _text(block, "tool_use_id"):
            yield from self._result(record, head, block, agent_id)
        else:
            yield self._teller.unknown(head, f"block.{kind or 'unknown'}", block, _other(agent_id))

    def _said(self, record: Record, head: dict[str, Any], text: str, agent_id: str) -> Told:
        value = record.value
        source, level = record.type, "INFO"
        if value.get("isApiErrorMessage") is True:
            level = "ERROR"
        elif value.get("isCompactSummary") is True:
            source = "summary"
        elif value.get("isMeta") is True:
            level = "DEBUG"
        if agent_id == MAIN_AGENT and level != "DEBUG":
            interrupted = text.startswith(_INTERRUPTED)
            self._outcome = "failed" if level == "ERROR" else "cancelled" if interrupted else "succeeded"
        return self._teller.log(head, source, text, level=level, agent_id=_other(agent_id))

    def _result(
        self, record: Record, head: dict[str, Any], block: dict[str, Any], agent_id: str
    ) -> Iterator[Told]:
        call_id = block["tool_use_id"]
        text = text_of(block.get("content"))
        outcome: TaskOutcome = "succeeded"
        if block.get("is_error") is True:
            outcome = "cancelled" if text.startswith(_REFUSED) else "failed"
        opened = self._teller.opened(call_id)
        file = _WRITING.get("" if opened is None else opened.tool)
        written = (
            None if file is None or opened is None or outcome != "succeeded" else _text(opened.inputs, file)
        )
        ended, call = self._teller.result(
            head, call_id, outcome, text, files=() if written is None else (written,), agent_id=agent_id
        )
        yield ended
        if written is not None and call is not None:
            yield ArtifactAdded(
                **{**head, "id": key_of(head["id"], "artifact")},
                path=written,
                task_id=call.task_id,
                span_id=call.span_id,
                agent_id=call.agent_id,
            )
        more = record.value.get("toolUseResult")
        if isinstance(more, dict) and more.get("status") == "async_launched":
            return  # The agent was sent, and works on.
        for sent, sent_by in self._agents.items():
            if sent_by == call_id:
                yield AgentUpdated(
                    **{**head, "id": key_of(head["id"], "agent")},
                    agent_id=sent,
                    status="completed" if outcome == "succeeded" else "failed",
                )

    def _used(self, record: Record, message: dict[str, Any], agent_id: str) -> Iterator[Told]:
        """Yield what a message has used more than the records of it before said."""
        usage, message_id = message.get("usage"), _text(message, "id")
        if not isinstance(usage, dict) or message_id is None:
            return
        tokens, cached = used(usage)
        before = self._usage.get(message_id, _Usage())
        now = _Usage(max(tokens[0], before.input_tokens), max(tokens[1], before.output_tokens))
        if now == before:
            return
        self._usage[message_id] = now
        event = AgentUsage(
            **{
                **self._head(record, 0),
                # By the message alone: a session that was forked repeats it, and it was used once.
                "id": key_of(FORMAT, "usage", message_id, now.input_tokens, now.output_tokens),
            },
            agent_id=agent_id,
            model=_text(message, "model"),
            input_tokens=now.input_tokens - before.input_tokens,
            output_tokens=now.output_tokens - before.output_tokens,
        )
        first = before == _Usage()
        yield {"type": "agent.usage", **_fields(event), **(cached if first else {})}

    def _notice(self, record: Record, agent_id: str) -> Told:
        value = record.value
        said = value.get("content") if record.type == "system" else value.get("summary")
        subtype = _text(value, "subtype")
        level = _LEVELS.get(str(value.get("level")), "ERROR" if subtype == "api_error" else "INFO")
        return self._teller.log(
            self._head(record, 0),
            record.type,
            said if isinstance(said, str) and said else subtype or record.type,
            level=level,
            agent_id=_other(agent_id),
            fields={"subtype": subtype} if subtype else None,
        )


def _prompt(value: dict[str, Any]) -> str | None:
    """Return what a record of a user says, where that is text."""
    message = value.get("message")
    content = message.get("content") if isinstance(message, dict) else None
    if isinstance(content, list):
        texts = [
            block["text"]
            for block in content
            if isinstance(block, dict) and block.get("type") == "text" and isinstance(block.get("text"), str)
        ]
        content = "\n".join(texts)
    return content.strip() or None if isinstance(content, str) else None


def _text(fields: dict[str, Any], name: str) -> str | None:
    found = fields.get(name)
    return found if isinstance(found, str) and found else None


def _other(agent_id: str) -> str | None:
    """Return an agent's id for a line: the main agent's is left out."""
    return None if agent_id == MAIN_AGENT else agent_id


def _fields(event: AgentUsage) -> dict[str, Any]:
    """Return what an event says beside its type and its defaults."""
    return {
        name: value
        for name in event.__struct_fields__
        if (value := getattr(event, name)) is not None and (name, value) not in (("v", 1), ("cost_usd", 0.0))
    }
