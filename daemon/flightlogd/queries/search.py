"""Log lines by the words in them: the index says where, the log says what."""

from collections.abc import Iterator, Sequence
from typing import Final

import apsw
from msgspec import Struct

from flightlog_schemas.answers import LogLine
from flightlog_schemas.elsewhere import split_mark
from flightlog_schemas.wire.lines import Search
from flightlog_schemas.words import Word, search_words
from flightlogd.errors import QuestionError
from flightlogd.lines import split_lines
from flightlogd.queries.event import PAGE_BYTES
from flightlogd.queries.find import find_execution, require
from flightlogd.queries.log import log_line
from flightlogd.queries.of_host import marks_of, name_hosts
from flightlogd.store.eventlog import Picked
from flightlogd.store.packed import LINES
from flightlogd.store.searchdb import fact, find_lines, level_fact, tokens

HITS_AT_ONCE: Final = 100
"""Positions looked up in one transaction of the log."""
PAGE_HITS: Final = 5000
"""Positions looked at for one page, where most are not of the project or the time that is asked for."""

WORD_LIMIT: Final = 100
"""Words in one text: FTS5 nests what it is asked at most 256 deep."""

_HINT: Final = 'for example: disk full, "disk full", dis*, disk -full'


def find_hits(db: apsw.Connection, request: Search, execution_id: str | None, before: int) -> list[int]:
    """Return positions of lines that may be wanted, newest first.

    Args:
        db: The index, in a transaction.
        request: What is wanted.
        execution_id: The execution's full id, where it is about one.
        before: Only positions below this one.

    Raises:
        QuestionError: `invalid`.
    """
    expression = match_expression(db, request, execution_id)
    return find_lines(db, expression, request.since, request.until, before, HITS_AT_ONCE)


def match_expression(db: apsw.Connection, request: Search, execution_id: str | None) -> str:
    """Return what FTS5 is asked: words and facts that occur, but for words that do not.

    Every word goes in as a string of tokens that FTS5 made itself, so that nothing in it is an operator.

    Raises:
        QuestionError: `invalid`.
    """
    wanted: list[str] = []
    unwanted: list[str] = []
    for count, word in enumerate(search_words(request.text)):
        if count == WORD_LIMIT:
            raise QuestionError("invalid", f"search: more than {WORD_LIMIT} words", _HINT)
        found = tokens(db, word.text)
        if found:
            (unwanted if word.exclude else wanted).append(_phrase(found, word))
    if not wanted:
        what = "say what is to occur, too" if unwanted else "there is no letter and no digit in it"
        raise QuestionError("invalid", f"search: {request.text!r} has no word to look for: {what}", _HINT)
    # The index has ids as programs gave them.
    said_id = None if execution_id is None else split_mark(execution_id)[0]
    facts = [
        f'facts : "{fact(kind, value)}"'
        for kind, value in (("x", said_id), ("s", request.source), ("t", request.task_id))
        if value is not None
    ]
    if request.level:
        levels = " OR ".join(f'"{level_fact(number)}"' for number in dict.fromkeys(request.level))
        facts.append(f"facts : ({levels})")
    expression = " AND ".join(wanted + facts)
    return f"({expression}) NOT ({' OR '.join(unwanted)})" if unwanted else expression


def _phrase(found: Sequence[str], word: Word) -> str:
    return f'message : "{" ".join(found)}"{" *" if word.prefix else ""}'


class Found(Struct):
    """Lines that are wanted, and the position down to which was looked."""

    lines: list[LogLine]
    position: int


def look_up(
    db: apsw.Connection, request: Search, execution_id: str | None, hits: Sequence[int], limit: int
) -> Found:
    """Return the lines at some positions of the log, newest first, those that are wanted.

    Args:
        db: The log, in a transaction.
        request: What is wanted.
        execution_id: The execution's full id, where it is about one: those of other logs may share its words.
        hits: Positions from the index, falling. What has left the log since is passed over.
        limit: Most lines.
    """
    if request.project is not None:
        require(db, "execution")
    marks = marks_of(db, request.host)
    projects: dict[str, str | None] = {}
    lines: list[LogLine] = []
    size_bytes = 0
    position = hits[0] + 1
    for line in _lines_at(db, hits):
        if len(lines) == limit or size_bytes >= PAGE_BYTES:
            break
        position = line.seq
        if execution_id is not None and line.execution_id != execution_id:
            continue
        if (request.since is not None and line.time < request.since) or (
            request.until is not None and line.time >= request.until
        ):
            continue
        if request.project is not None:
            if line.execution_id not in projects:
                projects[line.execution_id] = _project_of(db, line.execution_id)
            if projects[line.execution_id] != request.project:
                continue
        if marks is not None and split_mark(line.execution_id)[1] not in marks:
            continue
        lines.append(line)
        size_bytes += len(line.message)
    else:
        position = hits[-1]
    if execution_id is None:
        name_hosts(db, lines)
    return Found(lines, position)


def _lines_at(db: apsw.Connection, positions: Sequence[int]) -> Iterator[LogLine]:
    first_seq = last_seq = received = 0
    stored: list[bytes] = []
    for seq in positions:
        if not first_seq <= seq <= last_seq:
            row = db.execute(
                f"select first_seq, last_seq, received, spans, {LINES} from event_batch where first_seq <= ?"
                " order by first_seq desc limit 1",
                (seq,),
            ).fetchone()
            if row is None or row[1] < seq:
                continue
            first_seq, last_seq, received, spans, blob = row
            stored = split_lines(blob)
        text = stored[seq - first_seq]
        if text.startswith(b"{"):
            picked = Picked(first_seq, received, spans, [(seq - first_seq, text)])
            for _, _, event in picked.events():
                line = log_line(seq, received, event)
                if line is not None:
                    yield line


def _project_of(db: apsw.Connection, execution_id: str) -> str | None:
    found = db.execute("select project from execution where execution_id = ?", (execution_id,)).get
    return None if found is None else str(found)


def full_id(db: apsw.Connection, text: str, hosts: Sequence[str]) -> str:
    """Return the id of the execution that is meant.

    Raises:
        QuestionError: `not_found`, `ambiguous` or `projection_broken`.
    """
    require(db, "execution")
    return find_execution(db, text, hosts)
