"""`flightlog audit`: who did what to an execution, and when."""

from typing import Any

from flightlog.cli.lists import audit_columns
from flightlog.cli.options import execution_argument
from flightlog.cli.output import shown
from flightlog.cli.pages import pages
from flightlog.cli.verb import Session, json_option, verb
from flightlog_schemas.answers import AuditEntry
from flightlog_schemas.wire.query import Audit


@verb("audit", "flightlog audit EXEC")
@execution_argument
@json_option
def command(session: Session, execution: str, as_json: bool) -> None:
    """Show the audit trail of an execution, oldest first.

    Who is uid:pid of the process that reported it, by the kernel's word. Piped: tab-separated seq, time,
    type, from, to, reason, uid, pid, detail.
    """
    request = Audit(execution_id=execution)
    output = session.output()
    with session.ask() as daemon:
        if as_json:
            output.json_array(shown(entry) for entry in pages(daemon, request, dict[str, Any]))
        else:
            output.rows(audit_columns(output), pages(daemon, request, AuditEntry))
