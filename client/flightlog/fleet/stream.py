"""The stream between relays and collectors: made if it is missing, compared if it is there.

    subject  STREAM.HOST.PARTITION      which machine, for permissions; the partition decides who is told when

Nothing leaves the stream but by an ack of a collector, and one that is full takes nothing more: the relays
wait, and the logs of their daemons are the buffer. So no limit here can lose a line.
"""

import re
from collections.abc import Callable
from typing import Final

from msgspec import Struct
from nats.errors import NoRespondersError
from nats.errors import TimeoutError as NatsTimeoutError
from nats.js import JetStreamContext
from nats.js.api import (
    AckPolicy,
    ConsumerConfig,
    DiscardPolicy,
    RetentionPolicy,
    StorageType,
    StoreCompression,
    StreamConfig,
)
from nats.js.errors import APIError, NotFoundError, ServiceUnavailableError

from flightlog.errors import FlightlogError
from flightlog.fleet.notice import Trouble, text_of

PARTITIONS: Final = 16
PARTITIONS_LIMIT: Final = 1024
LIMIT_BYTES: Final = 1024**3
TAKEOVER_S: Final = 5.0
"""So long a collector may be silent about a message before another one gets it."""

_PARTITIONS_KEY: Final = "flightlog_partitions"
_DUPLICATE_WINDOW_S: Final = 120.0
_NO_TOKEN: Final = re.compile(r"[^A-Za-z0-9_-]")
_NO_ROOM: Final = 10_047
_NO_CLUSTER: Final = 10_074
_NO_PEERS: Final = 10_005
TRANSIENT: Final = (NatsTimeoutError, NoRespondersError, ServiceUnavailableError)


class Wanted(Struct, frozen=True):
    """What the stream is to be.

    Attributes:
        name: Its name.
        partitions: How many, None for as many as it has, or the default.
        replicas: How many servers keep each message, likewise.
        limit_bytes: How much it may hold, likewise.
    """

    name: str
    partitions: int | None = None
    replicas: int | None = None
    limit_bytes: int | None = None


def subject_of(stream: str, host: str, partition: int) -> str:
    """Return the subject of a partition of a machine's lines; what no subject may hold becomes `_`."""
    return f"{stream}.{_NO_TOKEN.sub('_', host)}.{partition}"


async def open_stream(js: JetStreamContext, wanted: Wanted, say: Callable[[str], None]) -> int:
    """Make the stream if it is missing, and return how many partitions it has.

    Raises:
        FlightlogError: it is there, and is another one than is wanted or could be used; or it cannot be made.
    """
    trouble = Trouble(say, f"stream {wanted.name} answers")
    while True:
        try:
            try:
                info = await js.stream_info(wanted.name)
            except NotFoundError:
                info = await js.add_stream(_config(wanted))
                say(f"made stream {wanted.name}")
        except TRANSIENT as error:
            await trouble.wait(f"stream {wanted.name} does not answer, trying again: {text_of(error)}")
        except APIError as error:
            if error.err_code == _NO_PEERS:
                await trouble.wait(f"stream {wanted.name}: not enough servers for its replicas, trying again")
                continue
            raise _cannot(wanted, error) from error
        else:
            trouble.clear()
            return _partitions(info.config, wanted)


async def find_stream(js: JetStreamContext, name: str, say: Callable[[str], None]) -> int:
    """Wait for the stream, and return how many partitions it has.

    Raises:
        FlightlogError: it is there, and is no stream of relays; or the servers have none at all.
    """
    trouble = Trouble(say, f"stream {name} is there")
    while True:
        try:
            info = await js.stream_info(name)
        except NotFoundError:
            await trouble.wait(f"no stream {name} yet, waiting for a relay to make it")
        except TRANSIENT as error:
            await trouble.wait(f"stream {name} does not answer, trying again: {text_of(error)}")
        except APIError as error:
            raise FlightlogError(f"stream {name} cannot be found: {error.description}") from error
        else:
            trouble.clear()
            return _partitions(info.config, Wanted(name))


def consumer_config(stream: str, partition: int) -> ConsumerConfig:
    """Return the consumer of a partition: one message at a time, whoever asks for it."""
    return ConsumerConfig(
        durable_name=f"collect-{partition}",
        filter_subject=f"{stream}.*.{partition}",
        ack_policy=AckPolicy.EXPLICIT,
        ack_wait=TAKEOVER_S,
        # The next one comes only after the ack: that keeps the order, also over a change of collectors.
        max_ack_pending=1,
    )


def _config(wanted: Wanted) -> StreamConfig:
    return StreamConfig(
        name=wanted.name,
        description="flightlog: lines on their way from relays to collectors",
        subjects=[f"{wanted.name}.*.*"],
        retention=RetentionPolicy.WORK_QUEUE,
        discard=DiscardPolicy.NEW,
        storage=StorageType.FILE,
        compression=StoreCompression.S2,
        num_replicas=wanted.replicas or 1,
        max_bytes=wanted.limit_bytes or LIMIT_BYTES,
        duplicate_window=_DUPLICATE_WINDOW_S,
        metadata={_PARTITIONS_KEY: str(wanted.partitions or PARTITIONS)},
    )


def _partitions(found: StreamConfig, wanted: Wanted) -> int:
    text = (found.metadata or {}).get(_PARTITIONS_KEY, "")
    if not text.isdigit() or not 1 <= int(text) <= PARTITIONS_LIMIT:
        raise FlightlogError(
            f"stream {wanted.name} was not made by a relay: its metadata have no {_PARTITIONS_KEY}",
            "choose another name with --stream",
        )
    differs = [
        f"{what} {is_}, not {meant}"
        for what, is_, meant in (
            ("subjects are", found.subjects, [f"{wanted.name}.*.*"]),
            ("when full it discards", found.discard, DiscardPolicy.NEW),
            ("messages go after", found.max_age or 0, 0),
            ("partitions are", int(text), wanted.partitions or int(text)),
            ("replicas are", found.num_replicas, wanted.replicas or found.num_replicas),
            ("its limit in bytes is", found.max_bytes, wanted.limit_bytes or found.max_bytes),
        )
        if is_ != meant
    ]
    if differs:
        raise FlightlogError(
            f"stream {wanted.name} is there and differs: {'; '.join(differs)}",
            "take it as it is without those options, change it with `nats stream edit`, or choose another",
        )
    return int(text)


def _cannot(wanted: Wanted, error: APIError) -> FlightlogError:
    hint = {
        _NO_ROOM: "the servers may not keep so much: --limit-bytes, or max_file_store of the servers",
        _NO_CLUSTER: "a server alone keeps one replica: leave --replicas out, or name a cluster",
    }.get(error.err_code or 0)
    return FlightlogError(f"cannot make stream {wanted.name}: {error.description}", hint)
