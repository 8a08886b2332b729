"""`flightlog collect`: what other machines recorded, from a stream to this one's daemon."""

import signal
from pathlib import Path

import click
import msgspec

from flightlog.cli.fleet import not_installed, stream_options
from flightlog.cli.run import INTERRUPTED
from flightlog.cli.verb import Session, json_option, verb
from flightlog.errors import EXIT_FAILURE


@verb(
    "collect",
    "flightlog collect --from nats://127.0.0.1:4222",
    "flightlog collect --from tls://n1,tls://n2,tls://n3 --creds collect.creds --tls-ca ca.pem",
    "flightlog collect --from nats://127.0.0.1:4222 --once --json",
)
@click.option(
    "--from", "source", required=True, metavar="URL[,URL...]", help="Servers: nats://HOST:PORT or tls://."
)
@stream_options
@click.option("--once", is_flag=True, help="What is there now, then end.")
@json_option
def command(
    session: Session,
    source: str,
    stream: str,
    creds: Path | None,
    tls_ca: Path | None,
    tls_cert: Path | None,
    tls_key: Path | None,
    once: bool,
    as_json: bool,
) -> int:
    """Record what `flightlog relay` published on other machines, with who said it, where and when.

    Goes on with what comes until SIGTERM or Ctrl-C, whatever breaks meanwhile. A message leaves the stream
    once the daemon has it on disk, and each event is stored once, however often it comes. Any number of
    collectors of one daemon share the stream; of one that dies, the others take over within seconds. Root and
    the user that runs the daemon may collect. Exit code 2 if something was refused. Needs the extra fleet:
    pip install 'flightlog[fleet]'.
    """
    try:
        from flightlog.fleet.collect import Collector
        from flightlog.fleet.running import run_until_signal
        from flightlog.fleet.servers import Servers, servers_in
    except ModuleNotFoundError as error:
        raise not_installed(error) from None
    servers = Servers(servers_in(source), tls_ca, tls_cert, tls_key, creds)
    collector = Collector(session.daemon, servers, stream, once=once, say=session.say)
    number = run_until_signal(collector.run)
    done = collector.done
    output = session.output()
    if as_json:
        output.json(msgspec.to_builtins(done))
    else:
        rest = f", {done.known:,} of them known" if done.known else ""
        failed = (
            f"; {done.refused:,} refused, {done.rejected:,} messages rejected"
            if done.refused or done.rejected
            else ""
        )
        output.line(f"{done.events:,} events in {done.messages:,} messages{rest}{failed}")
    if done.refused or done.rejected:
        return EXIT_FAILURE
    return INTERRUPTED if number == signal.SIGINT else 0
