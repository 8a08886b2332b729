"""Inputs that are almost right: good ones, with something changed, cut, doubled or put together."""

import random
from collections.abc import Iterator, Sequence
from typing import Final

_TOKENS: Final = [
    *b'{}[]",:\\\n\r\t \x00\xff',
]
_WORDS: Final = [
    b"null",
    b"true",
    b"-0",
    b"1e999",
    b"9223372036854775808",
    b"-9223372036854775809",
    b"0" * 40,
    b'"type"',
    b'"log"',
    b'"daemon.stopped"',
    b'"execution_id"',
    b"\\u0000",
    b"\\ud800",
    b"\xc3\x28",
    b"\xef\xbb\xbf",
    b'{"hello":',
    b'{"bye":',
    b"[" * 70,
    b'{"a":' * 70,
    b"x" * 400,
    b"\n\n",
    b"password=",
    b"Bearer ",
    b"=*",
    b"'",
]
_MOST_BYTES: Final = 4096


def mutations(seeds: Sequence[bytes], dice: random.Random) -> Iterator[bytes]:
    """Yield inputs for ever; the same dice give the same."""
    yield from seeds
    yield b""
    pool = list(seeds)
    while True:
        data = bytearray(dice.choice(pool))
        for _ in range(1 + dice.randrange(4)):
            _change(data, pool, dice)
        made = bytes(data[:_MOST_BYTES])
        if dice.random() < 0.01 and len(pool) < 500:
            pool.append(made)  # go on from what is odd already
        yield made


def _change(data: bytearray, pool: Sequence[bytes], dice: random.Random) -> None:
    place = dice.randrange(len(data) + 1)
    end = min(len(data), place + dice.randrange(1, 20))
    match dice.randrange(8):
        case 0:
            data[place:place] = bytes([dice.choice(_TOKENS)])
        case 1:
            data[place:place] = dice.choice(_WORDS)
        case 2:
            del data[place:end]
        case 3:
            data[place:end] = dice.choice(_WORDS)
        case 4 if place < len(data):
            data[place] ^= 1 << dice.randrange(8)
        case 5:
            data[place:place] = data[place:end] * dice.randrange(1, 5)
        case 6:
            other = dice.choice(pool)
            start = dice.randrange(len(other) + 1)
            data[place:end] = other[start : start + dice.randrange(1, 60)]
        case _:
            del data[place:]
