"""`logs --check`: whether all that was said of an execution is here, for a person and for a program."""

from collections.abc import Callable
from typing import Any, Final

import msgspec

from flightlog.cli.output import Output, shown
from flightlog.cli.render import short_id
from flightlog.cli.verb import Session
from flightlog_schemas.completeness import CheckFinding, Completeness, FindingKind
from flightlog_schemas.wire.lines import Check

COMPLETE: Final = 0
INCOMPLETE: Final = 1

_DATE_CHARS: Final = len("2026-11-21")


def run_check(session: Session, execution: str, *, as_json: bool) -> int:
    """Ask, write the verdict and what it rests on, and return the exit code.

    Args:
        session: The run of the command line.
        execution: The id, or its beginning.
        as_json: One object instead of lines.
    """
    output = session.output()
    with session.ask() as daemon:
        (found,) = daemon.all(Check(execution_id=execution), Completeness)
    if as_json:
        output.json(_json(found))
    else:
        for line in check_lines(found, output):
            output.line(line)
    return COMPLETE if found.complete else INCOMPLETE


def _json(found: Completeness) -> dict[str, Any]:
    answer: dict[str, Any] = msgspec.to_builtins(found)
    for part in (*answer["producers"], *answer["findings"]):
        shown(part)
    return answer


def check_lines(found: Completeness, output: Output) -> list[str]:
    """Return the verdict, and a line for each finding, what is missing first."""
    if found.complete:
        verdict = f"all {_many(found.records, 'record')} {'so far' if found.so_far else 'present'}"
    else:
        so_far = " so far" if found.so_far else ""
        verdict = f"not all is here: {_many(found.records, 'record')} present{so_far}, and"
    style = "green" if found.complete else "red"
    lines = [output.paint(verdict, style)]
    lines += [f"- {output.safe(finding_text(finding, output))}" for finding in found.findings]
    if found.finding_count > len(found.findings):
        lines.append(f"- {found.finding_count - len(found.findings):,} more findings of these kinds")
    return lines


def finding_text(finding: CheckFinding, output: Output) -> str:
    """Return one finding as a line."""
    text = _TEXTS[finding.kind](finding)
    if finding.kind == "pruned":
        return text if finding.time is None else f"{text} on {output.time(finding.time)[:_DATE_CHARS]}"
    if finding.producer is not None:
        text += f"; producer {short_id(finding.producer)}, pid {finding.pid}, uid {finding.uid}"
    if finding.time is not None:
        text += f"; {output.time(finding.time)}"
    if finding.loss and not finding.certain:
        text += "; this may be of another execution that it writes to"
    return text


def _missing(finding: CheckFinding) -> str:
    return f"{_many(finding.count, 'line')} never came: {_lines(finding)}"


def _refused(finding: CheckFinding) -> str:
    where = "" if finding.first_line is None else f" ({_lines(finding)})"
    were = "was" if finding.count == 1 else "were"
    return f"{_many(finding.count, 'line')} {were} refused{where}: {finding.reason}"


def _dropped(finding: CheckFinding) -> str:
    levels = ", ".join(f"{count:,} {level}" for level, count in (finding.by_level or {}).items())
    cause = (finding.reason or "no reason was given").replace("_", " ")
    were = "was" if finding.count == 1 else "were"
    of_levels = f" ({levels})" if levels else ""
    return f"{_many(finding.count, 'event')} {were} dropped by the producer{of_levels}: {cause}"


def _unfinished(finding: CheckFinding) -> str:
    died = finding.reason == "died"
    why = "its process died" if died else "its connection ended"
    return f"nothing is known after line {finding.last_line}: {why} without a goodbye"


def _cut(finding: CheckFinding) -> str:
    return f"{_many(finding.count, 'line')} cut: {_many(finding.chars, 'character')} are not here"


def _limited(finding: CheckFinding) -> str:
    mebibytes = (finding.count or 0) / 2**20
    return (
        f"a command printed more than {mebibytes:g} MiB; what followed line {finding.first_line} is not here"
    )


def _pruned(finding: CheckFinding) -> str:
    return f"{_many(finding.count, 'log line')} removed by {finding.reason}"


def _damaged(finding: CheckFinding) -> str:
    return f"the log or its counters are damaged: {finding.reason}"


def _duplicate(finding: CheckFinding) -> str:
    known = f"{_many(finding.count, 'line')} known before by key ({_lines(finding)})"
    return f"{known}, so nothing is missing"


def _conflict(finding: CheckFinding) -> str:
    return f"a command came second and was told so, so nothing is missing: {finding.reason}"


def _awaited(finding: CheckFinding) -> str:
    if finding.reason == "connected":
        return f"a producer is connected and may say more after line {finding.last_line}"
    return f"a producer that is not connected still runs and may say more after line {finding.last_line}"


def _not_imported(finding: CheckFinding) -> str:
    return f"{_many(finding.count, 'line')} of its producer did not come with the import: {_lines(finding)}"


_TEXTS: Final[dict[FindingKind, Callable[[CheckFinding], str]]] = {
    "missing": _missing,
    "refused": _refused,
    "dropped": _dropped,
    "unfinished": _unfinished,
    "cut": _cut,
    "capture_limit": _limited,
    "pruned": _pruned,
    "damaged": _damaged,
    "duplicate": _duplicate,
    "conflict": _conflict,
    "awaited": _awaited,
    "not_imported": _not_imported,
}


def _many(count: int | None, noun: str) -> str:
    return f"{count or 0:,} {noun}{'' if count == 1 else 's'}"


def _lines(finding: CheckFinding) -> str:
    if finding.first_line == finding.last_line:
        return f"line {finding.first_line}"
    return f"lines {finding.first_line} to {finding.last_line}"
