r"""Values that somebody registered as secret, found in a text in any spelling.

A value `p"w d` is found as it is, and as `p%22w%20d`, `p%22w+d` (URL-encoded, whichever characters were), as
`p\"w d` (in JSON, also in JSON within JSON), each character for itself, so that mixtures are found as well;
and as base64, standard and URL-safe, alone or anywhere within a longer text that was encoded as a whole. A
value of several lines is found whole, and by each of its longer lines.
"""

import re
from collections.abc import Callable, Iterator
from typing import Final, NamedTuple

from flightlog_schemas.masking.mask import MASK
from flightlog_schemas.regex import compiled

LEAST_CHARS: Final = 6
"""A shorter value would mask half of what people write."""

LIMIT_CHARS: Final = 64 * 1024
VALUES_LIMIT: Final = 1_000

_LINE_CHARS: Final = 8
"""Shorter lines of a value of several lines are no secrets of their own, such as `{` or `-`."""

_ALIGNMENTS: Final = ((0, 0), (1, 2), (2, 3))
"""Bytes before a value within what was encoded (modulo 3), and how many digits these have a part in."""

_BITS_OF_DIGIT: Final = 6
_RUN: Final = "[A-Za-z0-9]+"
_SHORT: Final = {"\n": "n", "\r": "r", "\t": "t", "\b": "b", "\f": "f", '"': '"', "/": "/"}

_BY_RARITY: Final = b" etaoinsrhldcumpgfybwvk0123456789-_.:/,\"'\\{}[]()=xjqzESTAICRNOPLDMUFGBHVWKYXZQJ"
"""Bytes as one meets them in logs, the most frequent first; others are rarer still."""


_ANYWHERE: Final = -1
"""In place of a byte: no letters or digits that every spelling has, so any text may hold it."""


class _Form(NamedTuple):
    """A spelling of a value: where its needle is not in a text, it is not there either."""

    needle: str
    find: Callable[[str], Iterator[re.Match[str]]]


class Values:
    """Registered values. Adding is for one thread at a time; others see the old ones or the new."""

    def __init__(self) -> None:
        self._known: frozenset[str] = frozenset()
        self._forms: tuple[_Form, ...] = ()
        self._needles: dict[int, tuple[str, ...]] = {}
        """By their rarest byte, for most texts hold few of these."""
        self._frequent = bytes(range(256))
        """All other bytes."""

    def __len__(self) -> int:
        return len(self._known)

    def add(self, value: str) -> None:
        """Have a value masked from here on; white space around it does not belong to it.

        Raises:
            ValueError: it is too short or too long, or there are too many.
        """
        value = value.strip()
        if value in self._known:
            return
        if len(value) < LEAST_CHARS or not value.strip("*"):
            raise ValueError(
                f"a value of {len(value)} characters would mask ordinary text: {LEAST_CHARS} are the least"
            )
        if len(value) > LIMIT_CHARS:
            raise ValueError(f"a value of {len(value):,} characters: at most {LIMIT_CHARS:,} can be masked")
        if len(self._known) >= VALUES_LIMIT:
            raise ValueError(f"{VALUES_LIMIT:,} values are masked, and that is the limit")
        lines = {line.strip() for line in value.splitlines()}
        spelt = {value} | {line for line in lines if len(line) >= _LINE_CHARS}
        self._forms += tuple(form for text in spelt for form in _forms(text))
        needles: dict[int, tuple[str, ...]] = {}
        for needle in {form.needle for form in self._forms}:
            byte = _rarest(needle)
            needles[byte] = (*needles.get(byte, ()), needle)
        self._needles = needles
        self._frequent = bytes(byte for byte in range(256) if byte not in needles)
        self._known |= {value}

    def may_hold(self, text: str) -> bool:
        """Say whether a text may hold a value. Where it does not, `mask` changes nothing."""
        needles = self._needles
        if not needles:
            return False
        if _ANYWHERE in needles:
            return True
        rare = text.encode("utf-8", "surrogatepass").translate(None, self._frequent)
        return bool(rare) and any(needle in text for byte in set(rare) for needle in needles.get(byte, ()))

    def mask(self, text: str) -> str:
        """Return a text with all spellings of all values masked; those that overlap are one."""
        spans = sorted(
            found.span() for form in self._forms if form.needle in text for found in form.find(text)
        )
        if not spans:
            return text
        kept: list[str] = []
        at = end = 0
        for first, last in spans:
            if first >= end:
                kept.append(text[at:first])
                kept.append(MASK)
            end = at = max(last, end)
        kept.append(text[at:])
        return "".join(kept)


def _forms(value: str) -> Iterator[_Form]:
    # A run of letters and digits is spelt alike everywhere. Where there is none, all texts are searched.
    yield _Form(_longest_run(value), re.compile(_any_spelling(value)).finditer)
    for text in _base64_forms(value.encode("utf-8", "surrogatepass")):
        yield _Form(_longest_run(text), re.compile(re.escape(text)).finditer)


def _longest_run(text: str) -> str:
    return max(compiled(_RUN).findall(text), key=len, default="")


def _rarest(needle: str) -> int:
    if not needle:
        return _ANYWHERE
    return max(needle.encode(), key=lambda byte: _BY_RARITY.find(byte) % 256)


def _base64_forms(data: bytes) -> set[str]:
    """Return the digits that a value has to itself, wherever it lies in what is encoded, and alone."""
    from base64 import b64encode, urlsafe_b64encode  # here, because most programs have no secret

    forms = set()
    for encode in (b64encode, urlsafe_b64encode):
        forms.add(encode(data).decode())
        for before, shared in _ALIGNMENTS:
            digits = (before + len(data)) * 8 // _BITS_OF_DIGIT
            forms.add(encode(bytes(before) + data).decode()[shared:digits])
    return forms


def _any_spelling(value: str) -> str:
    """Return a pattern that finds a value in plain text, URLs and JSON."""
    parts = []
    at = 0
    while at < len(value):
        char = value[at]
        if char == "\\":
            # As many at least, for JSON doubles them: one repeat, because several would try all divisions.
            count = len(value) - at - len(value[at:].lstrip("\\"))
            parts.append(rf"(?:\\{{{count},}}|(?:%5[Cc]){{{count}}}|(?:\\+u005[cC]){{{count}}})")
            at += count
            continue
        parts.append(char if char.isascii() and char.isalnum() else _any_spelling_of(char))
        at += 1
    return "".join(parts)


def _any_spelling_of(char: str) -> str:
    utf8 = "".join(f"%{byte:02x}" for byte in char.encode("utf-8", "surrogatepass"))
    utf16 = char.encode("utf-16-be", "surrogatepass").hex()
    units = "".join(rf"\\+u{utf16[at : at + 4]}" for at in range(0, len(utf16), 4))
    spellings = [f"(?i:{utf8})", f"(?i:{units})", re.escape(char)]
    if char in _SHORT:
        spellings.append(rf"\\+{_SHORT[char]}")
    if char == " ":
        spellings.append(r"\+")
    if char == "\n":
        spellings.append("\r\n")
    return f"(?:{'|'.join(spellings)})"
