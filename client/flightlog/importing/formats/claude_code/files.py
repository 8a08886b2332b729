"""Which files are one session of Claude Code.

PROJECT/SESSION.jsonl                              the session
PROJECT/SESSION/subagents/**/agent-ID.jsonl        agents that it sent (since 2.1)
PROJECT/SESSION/subagents/**/agent-ID.meta.json    what they are
PROJECT/agent-ID.jsonl                             the same in versions before; the session is in its records
"""

from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any, Final

import msgspec

from flightlog.importing.jsonl import records_of
from flightlog.importing.transcript import NoTranscriptError, Transcript

_AGENT: Final = "agent-"
_LOOKED_AT: Final = 200
"""Records that are looked at to find a session's id."""


def find(path: Path) -> Iterator[Transcript | NoTranscriptError]:
    """Yield the sessions that a path leads to: the one of a file, all in a directory, oldest first.

    Oldest first, because a session that was forked repeats what came before: tokens count where they
    were used.
    """
    if not path.is_dir():
        yield _session_of(path)
        return
    files = sorted(path.rglob("*.jsonl"), key=lambda file: (_changed_ns(file), file))
    mains = {file for file in files if not file.name.startswith(_AGENT) and "subagents" not in file.parts}
    agents: dict[tuple[Path, str], list[Path]] = {}
    for file in files:
        # An agent's file in a folder of its session is found by the folder.
        if file.name.startswith(_AGENT) and "subagents" not in file.parts:
            agents.setdefault((file.parent, _session_id(file) or file.stem), []).append(file)
    for file in files:
        if file in mains:
            session_id = _session_id(file)
            if session_id is None:
                yield NoTranscriptError(f"{file}: no record of a session")
                continue
            others = [*agents.pop((file.parent, session_id), []), *_sent_by(file)]
            yield Transcript(file, session_id, tuple(others))
        elif "subagents" in file.parts and file.name.startswith(_AGENT) and _main_of(file) not in mains:
            agents.setdefault((file.parent, _session_id(file) or file.stem), []).append(file)
    for (_, session_id), left in agents.items():
        yield Transcript(left[0], session_id, tuple(left[1:]))


def is_agents(path: Path) -> bool:
    """Say whether a file is that of an agent that a session sent."""
    return path.name.startswith(_AGENT)


def meta_of(path: Path) -> dict[str, Any]:
    """Return what is written beside an agent's file; nothing where nothing is."""
    try:
        found = msgspec.json.decode(path.with_suffix(".meta.json").read_bytes())
    except (OSError, ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _session_of(path: Path) -> Transcript | NoTranscriptError:
    try:
        session_id = _session_id(path, errors=True)
    except OSError as error:
        return NoTranscriptError(f"{path}: {error.strerror or error}")
    if session_id is None:
        return NoTranscriptError(f"{path}: no record of a session")
    if is_agents(path):
        return Transcript(path, session_id)
    beside = [
        file for file in sorted(path.parent.glob(f"{_AGENT}*.jsonl")) if _session_id(file) == session_id
    ]
    return Transcript(path, session_id, (*beside, *_sent_by(path)))


def _session_id(path: Path, *, errors: bool = False) -> str | None:
    """Return the session that a file is of: that of its name where a record says so, else the first."""
    first: str | None = None
    try:
        for record in islice(records_of(path), _LOOKED_AT):
            found = record.value.get("sessionId")
            if not isinstance(found, str) or not found:
                continue
            if found == path.stem:
                return found
            first = first or found
    except OSError:
        if errors:
            raise
        return None
    return first


def _sent_by(path: Path) -> list[Path]:
    return sorted((path.with_suffix("") / "subagents").rglob(f"{_AGENT}*.jsonl"))


def _main_of(path: Path) -> Path:
    """Return the file of the session that an agent's file lies in the folder of."""
    at = max(index for index, part in enumerate(path.parts) if part == "subagents")
    return Path(*path.parts[:at]).with_suffix(".jsonl")


def _changed_ns(path: Path) -> int:
    try:
        return path.stat().st_mtime_ns
    except OSError:
        return 0
