"""`flightlog export executions` and the like: rows of a read model, as JSON lines, CSV or Parquet."""

from collections.abc import Iterator
from itertools import chain, islice
from pathlib import Path
from typing import Final

from msgspec.structs import replace

from flightlog.cli.models import MODELS, rows_of
from flightlog.cli.pages import execution_pages
from flightlog.cli.progress import progress
from flightlog.cli.rowfiles import FORMATS, SUFFIXES
from flightlog.cli.target import writing
from flightlog.cli.verb import Session
from flightlog.errors import EXIT_NEGATIVE, UsageError
from flightlog.query import Connection
from flightlog_schemas.wire.query import Executions, Plans
from flightlog_schemas.wire.request import PAGE_LIMIT, Request

JSON_LINES: Final = "jsonl"
PLANS: Final = "plans"
EXECUTIONS: Final = "executions"


def export_rows(
    session: Session,
    model_name: str,
    chosen: Executions,
    execution: str | None,
    target: Path | None,
    format_name: str | None,
    *,
    as_json: bool,
) -> int:
    """Write the rows of a read model, say how many there were, and return the exit code.

    Args:
        session: Where the daemon is.
        model_name: One of `MODELS`.
        chosen: Which executions the rows are of; where it chooses none, all rows are written.
        execution: An execution instead, by its id or the beginning of it.
        target: Where to, as `target_of` gives it.
        format_name: One of `FORMATS`; None goes by the name of the file.
        as_json: Tell what was written as JSON.

    Raises:
        UsageError: plans are not of executions.
        FlightlogError: the file cannot be written, or what its format needs is not installed.
        DaemonAway: nobody listens, or the connection broke.
        QueryFailed: there is no such execution, or no answer.
    """
    if model_name == PLANS and (execution is not None or chosen != Executions(project=chosen.project)):
        raise UsageError("plans are chosen by --project alone")
    suffix = "" if target is None else target.suffix.lower()
    form = format_name or SUFFIXES.get(suffix, JSON_LINES)
    if execution is not None:
        execution = session.daemon.execution(execution).execution_id
    count = 0
    with session.ask() as daemon, session.ask() as finder:
        requests = _requests(finder, model_name, chosen, execution)
        first = list(islice(requests, 1))
        if not first and chosen != Executions():
            session.say("no executions match, nothing was written")
            return EXIT_NEGATIVE
        with writing(target) as out, progress("export", None) as advance:
            file = FORMATS[form](out, MODELS[model_name].columns)
            for request in chain(first, requests):
                for row in rows_of(daemon, request):
                    file.write(row.values, row.size_bytes)
                    advance(row.size_bytes)
                    count += 1
            file.close()
    if as_json:
        session.output().json({"file": str(target), "model": model_name, "format": form, "rows": count})
    else:
        session.say(f"{count:,} row{'' if count == 1 else 's'} of {model_name}")
    return 0


def _requests(
    finder: Connection, model_name: str, chosen: Executions, execution: str | None
) -> Iterator[Request]:
    """Yield what is to be asked, in order; nothing where no execution fits."""
    model = MODELS[model_name]
    if execution is not None:
        assert model.of is not None
        yield model.of(execution)
    elif model_name == PLANS:
        yield Plans(project=chosen.project)
    elif model_name == EXECUTIONS:
        if chosen == Executions() or list(finder.all(replace(chosen, limit=1), dict)):
            yield replace(chosen, limit=PAGE_LIMIT)
    elif model.all is not None and chosen == Executions():
        yield model.all
    elif model.of is not None:
        for found in execution_pages(finder, chosen):
            yield model.of(found.execution_id)
