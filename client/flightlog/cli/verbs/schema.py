"""`flightlog schema`: what an event of each type looks like."""

import click

from flightlog.cli.verb import Session, json_option, verb
from flightlog.errors import Refusal
from flightlog_schemas import SCHEMA_VERSION
from flightlog_schemas.jsonschema import event_schema, event_schemas


@verb("schema", "flightlog schema execution.started")
@click.argument("event_type", metavar="[TYPE]", required=False)
@click.option("--all", "everything", is_flag=True, help="The schemas of all types, in one object.")
@json_option
def command(session: Session, event_type: str | None, everything: bool, as_json: bool) -> None:
    """Print the JSON Schema of an event type.

    Without TYPE, list the types.
    """
    output = session.output()
    if everything:
        if event_type is not None:
            raise click.UsageError("TYPE and --all exclude each other")
        output.json({"schema_version": SCHEMA_VERSION, "events": event_schemas()})
    elif event_type is not None:
        try:
            output.json(event_schema(event_type))
        except KeyError:
            raise Refusal(f"no event type {event_type!r}", "flightlog schema lists them") from None
    elif as_json:
        output.json_array(event_schemas())
    else:
        for known in event_schemas():
            output.line(known)
