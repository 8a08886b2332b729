"""`flightlog event`: one recorded event."""

import click

from flightlog.cli.verb import Session, verb
from flightlog_schemas.wire.lines import OneEvent


@verb("event", "flightlog event 42", "flightlog event --id nightly-7 | jq .event")
@click.argument("seq", required=False, type=click.IntRange(min=1))
@click.option("--id", "key", metavar="KEY", help="The one with this key (its field `id`).")
@click.option("--uid", type=click.IntRange(min=0), metavar="UID", help="Whose key [default: yours].")
def command(session: Session, seq: int | None, key: str | None, uid: int | None) -> None:
    """Print one event as it is stored, as JSON: by its position in the log, or by its key.

    Exit code 1 if there is none, also where it has left the log.
    """
    if (seq is None) == (key is None):
        raise click.UsageError("which event? Name its position, or its key with --id")
    with session.ask() as daemon:
        [found] = daemon.recorded(OneEvent(seq=seq, id=key, uid=uid))
    session.output().json(found)
