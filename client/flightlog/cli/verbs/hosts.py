"""`flightlog hosts`: the machines whose logs are here."""

import msgspec

from flightlog.cli.options import host_option
from flightlog.cli.output import shown
from flightlog.cli.pages import pages
from flightlog.cli.tables import Column
from flightlog.cli.verb import Session, json_option, verb
from flightlog_schemas.answers import Host
from flightlog_schemas.times import duration_text
from flightlog_schemas.wire.query import HostsRequest


@verb("hosts", "flightlog hosts", "flightlog list --host web-3 --status failed")
@host_option
@json_option
def command(session: Session, hosts: tuple[str, ...], as_json: bool) -> None:
    """List the machines whose logs are here, this one first, then by name.

    Where `flightlog collect` or an import tells this daemon what others recorded, each of their logs is a
    line: how many events of it are here, how many executions, how many of these run or failed (timed out and
    lost ones, too), when the first and the last event was recorded there, and how long after that the last
    one came here. Piped: tab-separated host, log, events, executions, running, failed, first, last, delay.
    """
    output = session.output()

    def time(micros: int | None) -> str | None:
        return None if micros is None else output.time(micros)

    columns: list[Column[Host]] = [
        Column(head="HOST", value=lambda one: one.host, seen=_seen),
        Column(head="LOG", value=lambda one: one.log_id, seen=lambda one: one.log_id[:8], spare=3),
        Column(head="EVENTS", value=lambda one: str(one.events), right=True),
        Column(head="EXECUTIONS", value=lambda one: str(one.executions), right=True),
        Column(head="RUNNING", value=lambda one: str(one.running), right=True),
        Column(head="FAILED", value=lambda one: str(one.failed), right=True),
        Column(head="FIRST", value=lambda one: time(one.first_at), spare=2),
        Column(head="LAST", value=lambda one: time(one.last_at), spare=1),
        Column(
            head="DELAY",
            value=lambda one: None if one.lag_us is None else duration_text(one.lag_us),
            right=True,
            spare=1,
        ),
    ]
    with session.ask() as daemon:
        found = pages(daemon, HostsRequest(host=hosts), Host)
        if as_json:
            output.json_array(shown(msgspec.to_builtins(one)) for one in found)
        else:
            output.rows(columns, found)


def _seen(one: Host) -> str:
    return f"{one.host} (here)" if one.here else one.host
