"""`flightlog relay`: what is recorded here, to a stream that machines share, or to OpenTelemetry."""

import signal
from pathlib import Path
from typing import Final

import click
import msgspec

from flightlog.cli.fleet import not_installed, stream_options
from flightlog.cli.options import DURATION, ID
from flightlog.cli.relay_otlp import SCHEMES, relay_otlp
from flightlog.cli.run import INTERRUPTED
from flightlog.cli.verb import Session, json_option, verb
from flightlog.errors import UsageError
from flightlog.ids import fitting

_LINGER_LIMIT_US: Final = 60_000_000


@verb(
    "relay",
    "flightlog relay --to nats://127.0.0.1:4222",
    "flightlog relay --to tls://n1,tls://n2,tls://n3 --creds relay.creds --replicas 3",
    "flightlog relay --to nats://127.0.0.1:4222 --once --json",
    "flightlog relay --to http://127.0.0.1:4318",
)
@click.option(
    "--to",
    "target",
    required=True,
    metavar="URL[,URL...]",
    help="Servers: nats://HOST:PORT or tls://. Or one receiver: http://HOST:PORT or https://.",
)
@stream_options
@click.option("--replicas", type=click.IntRange(1, 5), help="Servers that keep each message [default: 1].")
@click.option("--partitions", type=click.IntRange(1, 1024), help="Parts of the stream [default: 16].")
@click.option(
    "--limit-bytes",
    type=click.IntRange(min=1),
    metavar="N",
    help="What the stream may hold [default: 1 GiB].",
)
@click.option(
    "--cursor",
    "cursor_name",
    type=ID,
    metavar="NAME",
    help="Where it is [default: of the first server and stream].",
)
@click.option("--after", type=click.IntRange(min=0), metavar="SEQ", help="Begin after this position instead.")
@click.option(
    "--linger",
    type=DURATION,
    default="20ms",
    show_default=True,
    help="Wait so long for lines to share a message.",
)
@click.option("--once", is_flag=True, help="What is there now, then end.")
@json_option
def command(
    session: Session,
    target: str,
    stream: str,
    creds: Path | None,
    tls_ca: Path | None,
    tls_cert: Path | None,
    tls_key: Path | None,
    replicas: int | None,
    partitions: int | None,
    limit_bytes: int | None,
    cursor_name: str | None,
    after: int | None,
    linger: int,
    once: bool,
    as_json: bool,
) -> int:
    """Publish what is recorded to a stream of NATS JetStream, or post it to a receiver of OpenTelemetry.

    Begins where it was, at first with the oldest event that is there; goes on with what comes until SIGTERM
    or Ctrl-C, whatever breaks meanwhile. The daemon keeps the cursor, which moves once the stream has the
    events, so nothing is left out. --after sets it back: what the other side has is stored once all the same.
    --replicas, --partitions and --limit-bytes are for a stream that has to be made; one that is there has to
    fit them. `flightlog collect` reads the stream elsewhere. Needs the extra fleet: pip install
    'flightlog[fleet]'.

    To http:// or https:// it speaks OTLP: events are log records, tasks that end are spans, too. What cannot
    be told again later is counted, and exit code 2. Headers come from $OTEL_EXPORTER_OTLP_HEADERS.
    """
    if target.startswith(SCHEMES):
        if any(value is not None for value in (creds, replicas, partitions, limit_bytes)):
            raise UsageError("--creds, --replicas, --partitions and --limit-bytes are for a stream of NATS")
        return relay_otlp(
            session,
            target,
            (tls_ca, tls_cert, tls_key),
            cursor_name=cursor_name,
            after=after,
            once=once,
            as_json=as_json,
        )
    try:
        from flightlog.fleet.relay import Relay
        from flightlog.fleet.running import run_until_signal
        from flightlog.fleet.servers import Servers, servers_in
        from flightlog.fleet.stream import Wanted
    except ModuleNotFoundError as error:
        raise not_installed(error) from None
    servers = Servers(servers_in(target), tls_ca, tls_cert, tls_key, creds)
    relay = Relay(
        session.daemon,
        servers,
        Wanted(stream, partitions, replicas, limit_bytes),
        cursor=cursor_name or fitting(f"relay:{servers.names[0]}/{stream}"),
        after=after,
        linger_s=min(linger, _LINGER_LIMIT_US) / 1_000_000,
        once=once,
        say=session.say,
    )
    number = run_until_signal(relay.run)
    told = relay.told
    output = session.output()
    if as_json:
        output.json(msgspec.to_builtins(told))
    else:
        holes = f"; {told.pruned:,} were gone before" if told.pruned else ""
        output.line(f"{told.events:,} events in {told.messages:,} messages, up to {told.seq}{holes}")
    return INTERRUPTED if number == signal.SIGINT else 0
