"""`flightlog doctor`: what is wrong with the set-up, and what to do."""

from typing import Final

from flightlog.cli.text import tsv
from flightlog.cli.verb import Session, json_option, verb
from flightlog.doctor import examine

UNWELL: Final = 1

_STYLES: Final = {"ok": "green", "warn": "yellow", "bad": "red"}


@verb("doctor", "flightlog doctor", "flightlog doctor --json")
@json_option
def command(session: Session, as_json: bool) -> int:
    """Look for what is wrong: sockets, groups, the daemon, disk, clock, read models, spools.

    Each finding comes with what to do about it. Exit code 1 if anything does not work; what merely wants a
    look is marked `warn`.
    """
    found = list(examine(session.runtime_dir))
    output = session.output()
    if as_json:
        output.json({"findings": found})
    for finding in [] if as_json else found:
        if not output.terminal:
            output.line(tsv([finding.level, finding.about, finding.text, finding.remedy]))
            continue
        mark = output.paint(f"{finding.level:<4}", _STYLES[finding.level])
        output.line(f"{mark}  {finding.about:<12}  {output.wrapped(finding.text, 20)}")
        if finding.remedy is not None:
            output.line(f"{'':<20}{output.paint(output.wrapped('→ ' + finding.remedy, 20), 'dim')}")
    return UNWELL if any(finding.level == "bad" for finding in found) else 0
