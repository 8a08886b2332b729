"""`flightlog import events`: what another daemon recorded, with where it was and who said it."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from flightlog.append import RUN_AGAIN, append
from flightlog.cli.busy import BusyNotice
from flightlog.cli.progress import Advance, progress
from flightlog.cli.verb import Session
from flightlog.daemon import ACK_LIMIT_S
from flightlog.errors import EXIT_FAILURE
from flightlog.importing.exported import Exported
from flightlog.importing.sources import size_of
from flightlog.paths import ingest_socket
from flightlog_schemas.wire.ingest import IngestReply

_SHOWN_LIMIT: Final = 100
"""Most failures that are named one by one."""


def import_log(session: Session, paths: tuple[Path, ...], *, dry_run: bool, as_json: bool) -> int:
    """Tell the daemon what exports hold, write what became of it, and return the exit code.

    Raises:
        DaemonAway: nobody listens, or the connection broke; what was settled is on disk.
        AppendFailed: the daemon ended the connection, such as for a user that it does not trust.
    """
    stdin = paths == (Path("-"),)
    with progress("import", None if stdin else size_of(paths)) as advance:
        run = _Run(session, advance)
        lines = run.exported.lines(paths)
        if dry_run:
            for _ in lines:
                pass
        else:
            run.send(lines)
    output = session.output()
    summary = run.summary(dry_run=dry_run)
    if as_json:
        output.json(summary | {"dry_run": dry_run})
    else:
        output.line(_sentence(summary, dry_run=dry_run))
    return EXIT_FAILURE if run.failed else 0


class _Run:
    """What has become of every event so far."""

    def __init__(self, session: Session, advance: Advance) -> None:
        self.failed = 0
        self.refused = 0
        self.known = 0
        self.exported = Exported(self._fail, advance)
        self._session = session

    def send(self, lines: Iterator[bytes]) -> None:
        append(
            ingest_socket(self._session.daemon.directory),
            lines,
            timeout_s=ACK_LIMIT_S,
            on_busy=BusyNotice(self._session.say),
            on_reply=self._take,
            again=RUN_AGAIN,
            repeated=True,
        )

    def summary(self, *, dry_run: bool) -> dict[str, Any]:
        added = self.exported.events - (0 if dry_run else self.known + self.refused)
        return {
            "events": {"added": added, "skipped": self.known, "failed": self.failed},
            "pruned": self.exported.pruned,
        }

    def _take(self, reply: IngestReply) -> None:
        if reply.ack is not None:
            self.known = reply.ack.known
        elif reply.refused is not None:
            self.refused += 1
            self._fail(f"event {reply.refused.line:,}", f"{reply.refused.code}: {reply.refused.reason}")

    def _fail(self, where: str, why: str) -> None:
        self.failed += 1
        if self.failed <= _SHOWN_LIMIT:
            self._session.say(f"{where}: {why}")
        elif self.failed == _SHOWN_LIMIT + 1:
            self._session.say("more follow, which are only counted")


def _sentence(summary: dict[str, Any], *, dry_run: bool) -> str:
    counts: dict[str, int] = summary["events"]
    if dry_run:
        told = f"{counts['added']:,} events would be sent"
        return f"{told}; {counts['failed']:,} failed" if counts["failed"] else told
    told = ", ".join(f"{count:,} {name}" for name, count in counts.items())
    holes = f"; {summary['pruned']:,} were gone when it was exported" if summary["pruned"] else ""
    return f"events: {told}{holes}"
