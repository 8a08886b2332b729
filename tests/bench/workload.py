"""What is sent: log lines as `flightlog exec` writes them, about 220 bytes each, over 50 executions."""

import itertools
from collections.abc import Iterator

EXECUTIONS = tuple(f"bench-{number:02}-0192f0c1a2b3" for number in range(50))
BATCH_LINES = 500
WINDOW_LINES = 20_000
"""Most lines sent and not yet acked."""

START_TIME = 1_790_000_000_000_000

_FORMAT = (
    '{"type":"log","execution_id":"%s","time":%d,"source":"exec:make","message":'
    '"[%08d] cc -O2 -Wall -Wextra -c -o build/module_%03d.o src/app/module_%03d.c",'
    '"fields":{"stream":"stdout"}}\n'
)

_ID_AT = _FORMAT.index("%s")

_numbers = itertools.count()


def lines(count: int) -> list[bytes]:
    """Return that many lines, each with its newline, no two the same in the life of the process."""
    made = []
    for number in itertools.islice(_numbers, count):
        module = number % 997
        execution_id = EXECUTIONS[number % len(EXECUTIONS)]
        made.append((_FORMAT % (execution_id, START_TIME + number, number, module, module)).encode())
    return made


def batches(count: int) -> list[list[bytes]]:
    """Return that many lines in batches of 500."""
    made = lines(count)
    return [made[start : start + BATCH_LINES] for start in range(0, count, BATCH_LINES)]


def starts() -> Iterator[bytes]:
    """Yield the line that announces each of the executions."""
    for execution_id in EXECUTIONS:
        yield b'{"type":"execution.started","execution_id":"%s","name":"bench"}\n' % execution_id.encode()


def execution_of(line: bytes) -> bytes:
    """Return the execution that a line made here belongs to."""
    return line[_ID_AT : line.index(b'"', _ID_AT)]
