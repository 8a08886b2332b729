"""Whether all that was said of an execution is here: what producers number, declare and close, put together.

A producer numbers its lines, says what it dropped, and says goodbye. So what is missing shows: a number that
never came, a declaration, a goodbye that is not there. What this finds is evidence, never a guess: where a
line may have been of another execution, it says so.
"""

import os
import time
from collections.abc import Awaitable, Callable, Iterator
from functools import partial
from typing import Final

from flightlog_schemas.completeness import (
    CheckedProducer,
    CheckFinding,
    Completeness,
    FindingKind,
    ProducerState,
)
from flightlog_schemas.statuses import TERMINAL
from flightlog_schemas.wire.lines import Check
from flightlog_schemas.wire.reply import End
from flightlog_schemas.wire.request import PAGE_LIMIT
from flightlogd.clock import system_clock
from flightlogd.elsewhere import GIVEN_PREFIX, is_elsewhere
from flightlogd.follow import answer_line
from flightlogd.hub import Hub
from flightlogd.processes import is_there, read_stat
from flightlogd.queries import check
from flightlogd.queries.check import Counted, Known, Seen, Writer
from flightlogd.recorded import is_daemon

Send = Callable[[bytes], Awaitable[None]]

_TICKS_S: Final = os.sysconf("SC_CLK_TCK")
_SAME_START_US: Final = 1_000_000
"""A process that began this much after its producer was heard of is another one with the same pid."""

_ATTEMPTS: Final = 3
"""Governance may take lines while they are counted; then it is begun again."""

_OVER: Final[tuple[ProducerState, ...]] = ("closed", "finished", "unnamed")


async def run_check(request: Check, hub: Hub, send: Send) -> End:
    """Answer with all that is known of whether an execution is complete.

    Raises:
        QuestionError: `not_found`, `ambiguous`, `projection_broken` or `deadline`.
    """
    attempt = 1
    while True:
        # Before the database is read: who leaves meanwhile has left a goodbye there, or none.
        connected = {session.producer for session in hub.sessions}
        seen, counted = await hub.readers.run(partial(check.begin, text=request.execution_id))
        while not await hub.readers.run(partial(check.walk, seen=seen)):
            pass
        if (await hub.readers.run(lambda db, seen=seen: check.counted(db, seen.execution_id))).pruned == (  # type: ignore[misc]
            counted.pruned
        ) or attempt == _ATTEMPTS:
            break
        attempt += 1
    for name in list(filter(is_daemon, seen.writers)):
        del seen.writers[name]
    answer = await hub.readers.run(
        lambda db: _judge(
            seen,
            counted,
            check.known_producers(db, seen),
            connected,
            check.refusals(db, seen),
            [*seen.dropped, *check.dropped_elsewhere(db, seen)],
        )
    )
    await send(answer_line("check", answer))
    return End(count=1, seq=seen.head)


def _judge(
    seen: Seen,
    counted: Counted,
    known: dict[str, Known],
    connected: set[str],
    refusals: check.Refusals,
    dropped: list[check.Dropped],
) -> Completeness:
    producers = [
        _producer(name, writer, known[name], name in connected)
        for name, writer in seen.writers.items()
        if name in known
    ]
    exclusive = {found.producer for found in producers if found.exclusive}
    findings = [
        *_damage(seen, counted),
        *(finding for found in producers for finding in _of_producer(found, seen, known[found.producer])),
        *_refused(seen, known, refusals, exclusive),
        *map(_dropped, dropped),
        *_cuts(seen),
        *(
            CheckFinding(kind="pruned", loss=True, certain=True, count=lines, reason=cause, time=pruned_at)
            for cause, pruned_at, lines in counted.pruned
        ),
    ]
    findings.sort(key=lambda finding: not finding.loss)
    return Completeness(
        execution_id=seen.execution_id,
        status=counted.status,
        complete=not any(finding.loss for finding in findings),
        so_far=counted.status not in TERMINAL or any(finding.kind == "awaited" for finding in findings),
        records=seen.records,
        logs=seen.logs,
        pruned=sum(lines for _, _, lines in counted.pruned),
        log_count=counted.log_count,
        producers=producers[:PAGE_LIMIT],
        producer_count=len(producers),
        findings=findings[:PAGE_LIMIT],
        finding_count=len(findings),
        seq=seen.head,
    )


def _producer(name: str, writer: Writer, known: Known, connected: bool) -> CheckedProducer:
    without_position = sum(last - first + 1 for first, last, _, _ in known.gaps)
    return CheckedProducer(
        producer=name,
        state=_state(name, writer, known, connected),
        uid=writer.uid,
        pid=known.pid,
        records=writer.records,
        first_line=writer.first_line,
        last_line=writer.last_line,
        settled_line=known.line,
        exclusive=writer.records == known.line - without_position,
        last_seen=known.last_seen,
    )


def _state(name: str, writer: Writer, known: Known, connected: bool) -> ProducerState:
    if known.bye_lines is not None:
        return "closed"
    if writer.end_line is not None:
        return "finished"
    if name.startswith(GIVEN_PREFIX):
        return "unnamed"
    if connected:
        return "connected"
    if not known.pid:
        return "cut_off"  # in a namespace whose processes cannot be seen from here
    return "waiting" if _runs(known) else "died"


def _runs(known: Known) -> bool:
    """Say whether the process of a producer is there, and not another one that has its pid now."""
    if not is_there(known.pid, None):
        return False
    stat = read_stat(known.pid)
    if stat is None:
        return True
    age_us = (time.clock_gettime_ns(time.CLOCK_BOOTTIME) // 1000) - stat.start_time * 1_000_000 // _TICKS_S
    return system_clock() - age_us <= known.first_seen + _SAME_START_US


def _of_producer(found: CheckedProducer, seen: Seen, known: Known) -> Iterator[CheckFinding]:
    """Yield what is missing of one producer, or awaited."""
    writer = seen.writers[found.producer]

    def finding(
        kind: FindingKind, loss: bool, first_line: int, last_line: int, at: int, *, certain: bool
    ) -> CheckFinding:
        return CheckFinding(
            kind=kind,
            loss=loss,
            certain=certain,
            count=last_line - first_line + 1,
            first_line=first_line,
            last_line=last_line,
            producer=found.producer,
            uid=found.uid,
            pid=found.pid,
            time=at,
        )

    for first_line, last_line, cause, received in known.gaps:
        if cause == "missing" and _concerns(writer, seen, first_line, last_line, received):
            if is_elsewhere(found.producer):
                # What an import holds was chosen by somebody: of other executions, or missing there, too.
                yield finding("not_imported", False, first_line, last_line, received, certain=False)
            else:
                yield finding("missing", True, first_line, last_line, received, certain=found.exclusive)
        elif cause == "duplicate" and writer.first_line < first_line < writer.last_line:
            yield finding("duplicate", False, first_line, last_line, received, certain=found.exclusive)
    bye_lines = known.bye_lines
    if bye_lines is not None and bye_lines > known.line:
        if writer.end_line is None:
            yield finding(
                "missing", True, known.line + 1, bye_lines, known.last_seen, certain=found.exclusive
            )
    elif found.state not in _OVER:
        yield CheckFinding(
            kind="unfinished" if found.state in ("died", "cut_off") else "awaited",
            loss=found.state in ("died", "cut_off"),
            certain=found.exclusive,
            reason=found.state,
            last_line=known.line,
            producer=found.producer,
            uid=found.uid,
            pid=found.pid,
            time=known.last_seen,
        )


def _concerns(writer: Writer, seen: Seen, first_line: int, last_line: int, received: int) -> bool:
    """Say whether lines without a position can be of the execution: not before it, nor after its ending."""
    if writer.end_line is not None and first_line > writer.end_line:
        return False
    return received >= seen.first_received or last_line > writer.first_line


def _refused(
    seen: Seen, known: dict[str, Known], found: check.Refusals, exclusive: set[str]
) -> Iterator[CheckFinding]:
    """Yield refused lines, those of one producer and reason together."""
    grouped: dict[tuple[str, str, bool], CheckFinding] = {}
    for refusal in found.refusals:
        writer = seen.writers.get(refusal.producer)
        if not refusal.named and (
            writer is None or not _concerns(writer, seen, refusal.line, refusal.line, refusal.time)
        ):
            continue
        certain = refusal.named or refusal.producer in exclusive
        key = refusal.producer, refusal.reason, certain
        same = grouped.get(key)
        if same is not None:
            same.count = (same.count or 0) + 1
            same.last_line = refusal.line
            continue
        grouped[key] = CheckFinding(
            kind="conflict" if refusal.code == "conflict" else "refused",
            loss=refusal.code != "conflict",
            certain=certain,
            count=1,
            first_line=refusal.line,
            last_line=refusal.line,
            reason=f"{refusal.code}: {refusal.reason}",
            producer=refusal.producer,
            uid=refusal.uid,
            pid=refusal.pid,
            time=refusal.time,
        )
    yield from grouped.values()
    for producer, of_producer in known.items():
        gaps = [gap for gap in of_producer.gaps if gap[2] == "refused"]
        forgotten = sum(last - first + 1 for first, last, _, _ in gaps) - found.kept.get(producer, 0)
        if forgotten > 0 and any(_concerns(seen.writers[producer], seen, *gap[:2], gap[3]) for gap in gaps):
            writer = seen.writers[producer]
            yield CheckFinding(
                kind="refused",
                loss=True,
                certain=producer in exclusive,
                count=forgotten,
                reason="what they said is not kept: too many were, or a rule shed them",
                producer=producer,
                uid=writer.uid,
                pid=writer.pid,
                time=gaps[-1][3],
            )


def _dropped(drop: check.Dropped) -> CheckFinding:
    return CheckFinding(
        kind="dropped",
        loss=True,
        certain=drop.named,
        count=drop.count,
        by_level=drop.by_level,
        reason=drop.reason,
        producer=drop.producer,
        uid=drop.uid,
        pid=drop.pid,
        time=drop.time,
    )


def _cuts(seen: Seen) -> Iterator[CheckFinding]:
    if seen.cut_lines:
        yield CheckFinding(kind="cut", loss=True, certain=True, count=seen.cut_lines, chars=seen.cut_chars)
    for producer, line, at, limit_bytes in seen.limited:
        writer = seen.writers[producer]
        yield CheckFinding(
            kind="capture_limit",
            loss=True,
            certain=True,
            count=limit_bytes,
            first_line=line,
            producer=producer,
            uid=writer.uid,
            pid=writer.pid,
            time=at,
        )


def _damage(seen: Seen, counted: Counted) -> Iterator[CheckFinding]:
    pruned = sum(lines for _, _, lines in counted.pruned)
    missing = counted.log_count - seen.logs - pruned
    if missing:
        yield CheckFinding(
            kind="damaged",
            loss=True,
            certain=True,
            count=abs(missing),
            reason=f"{counted.log_count} log lines were counted, {seen.logs} are here, {pruned} were removed",
        )
    if seen.strange:
        yield CheckFinding(
            kind="damaged",
            loss=True,
            certain=True,
            count=seen.strange,
            reason="the index points to lines of other executions",
        )
