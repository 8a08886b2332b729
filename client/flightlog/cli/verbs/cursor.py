"""`flightlog cursor`: named positions of readers."""

from typing import Any

import click
import msgspec

from flightlog.cli.options import ID
from flightlog.cli.output import shown
from flightlog.cli.pages import pages
from flightlog.cli.tables import Column
from flightlog.cli.verb import Session, family, json_option, verb
from flightlog_schemas.answers import NamedCursor
from flightlog_schemas.wire.lines import Cursor, Cursors

command = family(
    "cursor",
    "Named positions of readers, which the daemon keeps: `tail --cursor NAME` and `logs --cursor NAME` go on"
    " where they were. They belong to a user; root sees all.",
    "flightlog cursor list",
    "flightlog cursor remove shipper",
)


@command.member
@verb("list", "flightlog cursor list --json")
@json_option
def list_(session: Session, as_json: bool) -> None:
    """List cursors: where they are, and how many positions lie behind.

    Piped: tab-separated name, seq, lag, moved, uid.
    """
    output = session.output()
    columns: list[Column[NamedCursor]] = [
        Column(head="NAME", value=lambda cursor: cursor.name, wraps=True),
        Column(head="SEQ", value=lambda cursor: str(cursor.seq), right=True),
        Column(head="LAG", value=lambda cursor: str(cursor.lag), right=True),
        Column(head="MOVED", value=lambda cursor: output.time(cursor.moved_at)),
        Column(head="UID", value=lambda cursor: str(cursor.uid), right=True),
    ]
    with session.ask() as daemon:
        cursors = pages(daemon, Cursors(), NamedCursor)
        if as_json:
            output.json_array(_json(cursor) for cursor in cursors)
        else:
            output.rows(columns, cursors)


@command.member
@verb("remove", "flightlog cursor remove shipper")
@click.argument("name", type=ID)
@click.option("--uid", type=click.IntRange(0, 2**32 - 2), help="That of another user; for root.")
def remove(session: Session, name: str, uid: int | None) -> None:
    """Remove a cursor; its next reader begins as a new one does. Exit code 1 when there is none."""
    with session.ask() as daemon:
        daemon.one(Cursor(name=name, remove=True, uid=uid), NamedCursor)


def _json(cursor: NamedCursor) -> dict[str, Any]:
    return shown(msgspec.to_builtins(cursor))
