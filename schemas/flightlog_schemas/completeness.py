"""What the question `check` answers: whether all that was said of an execution is here."""

from typing import Literal

from msgspec import Struct

from flightlog_schemas.statuses import Status

ProducerState = Literal[
    "closed",  # it said goodbye
    "finished",  # it told the execution's end, after all that it had to say of it
    "connected",
    "waiting",  # it is not connected, and its process is there
    "died",  # without a goodbye
    "cut_off",  # its connection ended without a goodbye; whether its process is there, nobody knows
    "unnamed",  # it gave no name, so that it has neither numbers nor a goodbye
]
"""What is known of a producer: in the first two states and the last, nothing more is awaited."""


class CheckedProducer(Struct, kw_only=True):
    """A producer that wrote to an execution.

    `records` counts its events of the execution, from its line `first_line` to `last_line`; up to
    `settled_line` of its lines are settled, those of other executions included. With `exclusive` it wrote to
    this execution alone. `last_seen` is when it was last heard of, by the daemon's clock.
    """

    producer: str
    state: ProducerState
    uid: int
    pid: int
    records: int
    first_line: int
    last_line: int
    settled_line: int
    exclusive: bool
    last_seen: int


FindingKind = Literal[
    "missing",  # lines that have a number and never came
    "refused",  # lines that the daemon did not store
    "dropped",  # events that the producer left out, and said so
    "unfinished",  # nothing is known after a producer's last line
    "cut",  # lines that are here in part
    "capture_limit",  # a command printed more than is recorded
    "pruned",  # lines that governance took
    "damaged",  # what is here is not what was counted
    "duplicate",  # lines whose key was known: nothing is missing
    "conflict",  # commands that lost a race and were told so: nothing is missing
    "awaited",  # a producer that may say more
    "not_imported",  # lines that the import of another log did not hold; they may be of other executions
]


class CheckFinding(Struct, kw_only=True):
    """Something that is missing from an execution, or only looks so (`loss` false).

    What is not known, or has no meaning for this kind, is None. Without `certain` it may be of another
    execution that the producer writes to. `count` is lines or events, `chars` characters.
    """

    kind: FindingKind
    loss: bool
    certain: bool
    count: int | None = None
    chars: int | None = None
    first_line: int | None = None
    last_line: int | None = None
    by_level: dict[str, int] | None = None
    reason: str | None = None
    producer: str | None = None
    uid: int | None = None
    pid: int | None = None
    time: int | None = None


class Completeness(Struct, kw_only=True):
    """Whether all that was said of an execution is here, as of position `seq`.

    `complete` means that no finding is a loss. With `so_far` more may come: it has not ended, or somebody who
    wrote to it may go on. `records` counts its events here, `logs` the log lines among them; `pruned` are log
    lines that governance took, `log_count` is what the read model counted in all. Of very many producers or
    findings the first are listed, losses before others.
    """

    execution_id: str
    status: Status
    complete: bool
    so_far: bool
    records: int
    logs: int
    pruned: int
    log_count: int
    producers: list[CheckedProducer]
    producer_count: int
    findings: list[CheckFinding]
    finding_count: int
    seq: int
