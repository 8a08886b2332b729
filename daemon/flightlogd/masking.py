"""The second line against secrets: what a peer did not mask is masked before it is decoded, hashed or stored.

Personal data is scrubbed in the same way, by the rules that the operator names.

One search by RE2 over all lines that came together finds the few that may hold a secret; only these are
looked at closely. So a line without secrets keeps its bytes and costs next to nothing.
"""

import re
from bisect import bisect_right
from collections.abc import Callable, Sequence
from itertools import accumulate
from typing import Any, Final, NamedTuple

import re2

from flightlog_schemas.masking import MASK, PASS_OF, Scrubber, is_secret_key, mask_line, mask_text
from flightlog_schemas.masking.lines import mask_bytes
from flightlog_schemas.masking.personal import ID_KEY, ID_KEY_CHARS, MARK, RULES
from flightlogd.errors import ConfigError
from flightlogd.lines import SEPARATOR, join_lines

_NAMES: Final = (
    r"passw(?:or)?d|passphrase|pwd|secret|credential|authorization"
    r"|(?:api|private|access|secret|signing|encryption)[\W_]{0,3}key|(?:auth|access|refresh)token"
    r"|(?:access|api|auth|bearer|refresh|session)[\W_]{0,3}tokens"
    rf"|(?:{'|'.join(PASS_OF)})[\W_]{{0,3}}pass"
)
_WORD: Final = r"(?:[\w.\x80-\xff-]|\\u[0-9a-fA-F]{4})"
"""What a name in a text consists of, as JSON writes it."""
_SAYS: Final = r"""(?:\\t|[\\"'\s])*[:=]"""
_IS_KEY: Final = r"""(?:[^"\\]|\\.)*"\s*:"""
"""The rest of a key, whatever is in it: a value is not followed by a colon."""

_GATE: Final = "|".join(
    (
        # Names of secrets and what follows a name; `tokens`, which models count all the time, is none.
        rf"(?i:(?:{_NAMES})(?:{_WORD}*{_SAYS}|{_IS_KEY}))",
        rf"(?i:token)(?:S[a-z])?{_SAYS}",
        rf"(?i:token)(?:S[a-z]|[^sS\"':=\\]|\\u)(?:{_WORD}*{_SAYS}|{_IS_KEY})",
        rf"(?i:token)(?:\\[^t]|[^\w\"\\]){_IS_KEY}",
        # Options, in a text or in a list of arguments.
        rf"(?i:-[\w-]*(?:{_NAMES}|token)[^\s\"\\]*[\s\"\\])",
        r"""(?i:bearer(?:\s|\\t)+[\w.~+/\\-]{16})""",
        r""":\\*/\\*/[^\s:/?#@"]*:[^\s/?#"]+@""",
        rf"(?i:cookie){_SAYS}",
        rf"(?i:<[\w.:-]*(?:{_NAMES}|token)[^\s<>]*)",
        r"(?:mysql|mariadb)[^\n|;&]*(?:\s|\\t)-p\S",
        r"PRIVATE KEY",
        # A letter that JSON would not have to escape: what name that is shows only when it is read.
        r"\\u00[4-7]",
        r"(?:AKIA|ASIA)[A-Z0-9]{16}|AIza[\w-]{35}|gh[pousr]_[A-Za-z0-9]{20}|github_pat_|gl(?:pat|dt|rt|ptt|cbt)-",
        r"xox[a-z][.-]|xapp-|eyJ[\w-]{8,}\.|[rs]k_(?:live|test)_",
        # Not within a word, as in task-17: not behind a letter that belongs to no escape.
        r"(?:\A|[^\w-]|\\(?:[a-z]|u[0-9A-Fa-f]{4}))sk-[\w-]{20}",
    )
)
"""Finds whatever `mask_line` would mask, and little else."""

_ESCAPED: Final = r"\\u00[2-7]"
"""A character of ASCII spelt as no matter which: an address may be spelt so."""

_ANCHORS: Final = re.compile(r"[\^$]|\\[AzZ]")
_IN_PATTERN: Final = re.compile(r"\\[^AzZ]|\[\^?\]?(?:\\.|[^\]\\])*\]")

_NAME: Final = re.compile(rb"""([A-Za-z0-9_.-]+)\\*["']?\s*[:=]""")
_NAME_BEFORE: Final = re.compile(rb"(?<![\\A-Za-z0-9_.-])[A-Za-z0-9_.-]*\Z")
"""Without a backslash before it, which would take the first letter."""
_NAME_BYTES: Final = 64
_LOOKED_AT: Final = (b"cookie", b"pwd")
"""Ends of names that call nothing secret, but may do so with what stands beside them."""

_ID_KEY: Final = re.compile(ID_KEY.encode())

_UNFINISHED: Final = re.compile(rb"[^\s\"',;:={}\[\]()]*\Z")


class _Gate(NamedTuple):
    """Finds lines that are to be looked at closely.

    Attributes:
        pattern: What is searched for.
        past: Given where it was found, says from where to search on if that is harmless; 0 where it is not.
    """

    pattern: Any
    past: Callable[[bytes, int, int], int]


class Masker:
    """Masks lines by patterns of our own and by the operator's; scrubs personal data where that is wanted.

    Attributes:
        masked_lines: How many lines were changed since the daemon started.

    Args:
        builtin: Whether to mask what `flightlog_schemas.masking` knows.
        patterns: More of what is secret, in RE2's syntax.
        scrub_rules: The personal data that is scrubbed: names of `flightlog_schemas.masking.personal`.

    Raises:
        ConfigError: a pattern that cannot work, or a rule that there is none of.
    """

    def __init__(self, *, builtin: bool, patterns: Sequence[str], scrub_rules: Sequence[str] = ()) -> None:
        self.masked_lines = 0
        self._builtin = builtin
        self._gates: list[_Gate] = []
        self._extra: Any = None
        self._scrub: Callable[[str], str] | None = None
        self.configure(builtin=builtin, patterns=patterns, scrub_rules=scrub_rules)

    def configure(self, *, builtin: bool, patterns: Sequence[str], scrub_rules: Sequence[str] = ()) -> None:
        """Mask by other patterns and rules from here on. Arguments and errors are those of the class."""
        for pattern in patterns:
            _check(pattern)
        try:
            scrubber = Scrubber(scrub_rules)
        except ValueError as error:
            raise ConfigError(f"scrub_rules: {error}") from None
        extra = "|".join(f"(?:{pattern})" for pattern in patterns)
        personal = "|".join(
            (re.escape(MARK), _ESCAPED, *(rule.gate for rule in RULES if rule.name in scrubber.rules))
        )
        self._extra = _compile(extra, re2.Options.Encoding.UTF8) if patterns else None
        gates = []
        if builtin:
            gates.append(_Gate(_compile(_GATE, re2.Options.Encoding.LATIN1), _past_name))
        if patterns:
            gates.append(_Gate(self._extra, _past_nothing))
        if scrubber.rules:
            gates.append(_Gate(_compile(personal, re2.Options.Encoding.LATIN1), _past_id))
        self._scrub = scrubber.scrub if scrubber.rules else None
        self._builtin = builtin
        # At last and at once: other threads mask meanwhile.
        self._gates = gates

    def masked(self, lines: Sequence[bytes]) -> tuple[Sequence[bytes], bytes]:
        """Return lines with what is secret masked, and joined; the very same lines where nothing is.

        Args:
            lines: Whole lines, also such as will be refused.
        """
        blob = join_lines(lines)
        found: set[int] = set()
        for gate in self._gates:
            found |= _lines_with(gate, blob, lines)
        changed = {index: line for index in found if (line := self._line(lines[index])) != lines[index]}
        if not changed:
            return lines, blob
        self.masked_lines += len(changed)
        masked = [changed.get(index, line) for index, line in enumerate(lines)]
        return masked, join_lines(masked)

    def head(self, head: bytes) -> bytes:
        """Return the beginning of a line that was too long, masked; a last word that was cut is left out."""
        if not self._gates:
            return head
        # Half a secret is not found.
        return self.anything(_UNFINISHED.sub(b"", head))

    def anything(self, data: bytes) -> bytes:
        """Return bytes that are no event with what is secret masked, and personal data scrubbed."""
        masked = mask_bytes(data, self.text)
        if masked != data:
            self.masked_lines += 1
        return masked

    def text(self, text: str) -> str:
        """Return a text that is in no event with what is secret masked, and personal data scrubbed."""
        masked = self._mask(text)
        return masked if self._scrub is None else self._scrub(masked)

    def _mask(self, text: str) -> str:
        if self._builtin:
            text = mask_text(text)
        if self._extra is not None:
            text = self._extra.sub(MASK.encode(), text.encode(errors="surrogatepass")).decode(
                errors="surrogatepass"
            )
        return text

    def _line(self, line: bytes) -> bytes:
        return mask_line(line, self._mask, is_secret_key if self._builtin else _never, self._scrub)


def _lines_with(gate: _Gate, blob: bytes, lines: Sequence[bytes]) -> set[int]:
    """Return the indexes of the lines in which a pattern is found."""
    search = gate.pattern.search
    match = search(blob)
    if match is None:
        return set()
    found = set()
    starts = list(accumulate((len(line) + len(SEPARATOR) for line in lines), initial=1))
    while match is not None:
        start, end = match.span()
        past = gate.past(blob, start, end)
        if past:
            match = search(blob, past)
            continue
        index = bisect_right(starts, start) - 1
        found.add(index)
        # One is enough to look at a line, and a match that went on into the next says nothing of that.
        match = search(blob, starts[index + 1]) if index + 1 < len(lines) else None
    return found


def _past_nothing(_blob: bytes, _start: int, _end: int) -> int:
    return 0


def _past_name(blob: bytes, start: int, end: int) -> int:
    """Say at once that a match is only a name such as `token_count`: some logs have one in each line."""
    if end - start > _NAME_BYTES or blob[end - 1] not in b":=":
        return 0
    named = _NAME.fullmatch(blob, start, end)
    if named is None:
        return 0
    before = _NAME_BEFORE.search(blob[max(start - _NAME_BYTES, 0) : start])
    if named[1].lower().endswith(_LOOKED_AT):
        return 0
    if before is None or is_secret_key((before[0] + named[1]).decode()):
        return 0
    # There may be more in it, such as a token.
    return start + 1


def _past_id(blob: bytes, start: int, end: int) -> int:
    """Say at once that a match is in an id: in most logs each line has one that is long hex."""
    if _ID_KEY.search(blob[max(start - ID_KEY_CHARS, 0) : start]) is None:
        return 0
    # To the quote that ends it.
    return max(blob.find(b'"', end), end)


def _never(_name: str) -> bool:
    return False


def _compile(pattern: str, encoding: Any) -> Any:
    options = re2.Options()
    options.encoding = encoding
    options.log_errors = False
    return re2.compile(pattern.encode(), options)


def _check(pattern: str) -> None:
    """Refuse a pattern that RE2 cannot read, or that would mask nothing or everything."""
    try:
        compiled = _compile(pattern, re2.Options.Encoding.UTF8)
    except re2.error as error:
        reason = error.args[0].decode(errors="replace")
        raise ConfigError(
            f"mask_patterns: {pattern!r}: {reason}", "the syntax is RE2's: no look-around, no back-references"
        ) from None
    if compiled.search(b"") is not None:
        raise ConfigError(f"mask_patterns: {pattern!r} is found in everything: it matches the empty text")
    if _ANCHORS.search(_IN_PATTERN.sub("", pattern)):
        raise ConfigError(
            f"mask_patterns: {pattern!r}: ^ and $ are found nowhere", r"use \b for the edge of a word"
        )
