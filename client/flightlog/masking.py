"""What this process keeps secret: nothing of it is buffered, spooled, hashed or sent.

Registered are, beside what `flightlog.mask` is given, from the first event on:

- values of environment variables whose names call them secret, such as `DB_PASSWORD` or `GITHUB_TOKEN`
  (not with `FLIGHTLOG_MASK_ENVIRONMENT=0`)
- the lines of the files that `FLIGHTLOG_MASK_FILE` names, separated by colons

Personal data is scrubbed by the rules that `flightlog.scrub_pii` or `FLIGHTLOG_SCRUB` names (`email,ipv4`;
`all`).

A secret is one whichever client says it: there is one registry for the process, and a forked child has it.
"""

import os
import threading
from typing import Final

from flightlog.notice import tell
from flightlog_schemas.masking import (
    MASK,
    Scrubber,
    Values,
    is_secret_key,
    mask_line,
    mask_text,
    may_hold_secret,
)
from flightlog_schemas.masking.personal import ALL, MARK
from flightlog_schemas.masking.values import LEAST_CHARS
from flightlog_schemas.regex import compiled

ENVIRONMENT_VARIABLE: Final = "FLIGHTLOG_MASK_ENVIRONMENT"
FILE_VARIABLE: Final = "FLIGHTLOG_MASK_FILE"
SCRUB_VARIABLE: Final = "FLIGHTLOG_SCRUB"

_KEY_LINE: Final = r"\s*(?:[A-Za-z0-9+/=]*|(?:Proc-Type|DEK-Info|Version|Comment):.*)\s*"
"""Base64, and the headers that may come before it."""

_values = Values()
_scrubber: Scrubber | None = None
_adding = threading.RLock()
_gathered = False


def mask(*values: str) -> None:
    """Have values masked in everything that this process records from here on, in any spelling.

    Beside the value as it is: in JSON, URL-encoded and base64; a value of several lines also line by line.

    Args:
        *values: What is secret. White space around it does not belong to it.

    Raises:
        ValueError: a value has fewer than 6 characters or more than 65,536, or there are more than 1,000.
    """
    with _adding:
        for value in values:
            _values.add(value)


def scrub_pii(*rules: str) -> None:
    """Have personal data scrubbed from all texts that this process records from here on; ids are left alone.

    What was found is replaced by its kind, such as `[scrubbed:email]`, and the event says `scrubbed`.

    Args:
        *rules: Any of `email`, `ipv4`, `ipv6`, `uuid` and `hex` (32 digits and more), beside those in force;
            none, or `all`, for all of them.

    Raises:
        ValueError: there is no such rule.
    """
    global _scrubber  # as _gather
    with _adding:
        before = () if _scrubber is None else _scrubber.rules
        _scrubber = Scrubber((*before, *(rules or (ALL,))))


def is_clean(text: str) -> bool:
    """Say at little cost that a text holds nothing to hide; False where it has to be looked at."""
    if not _gathered:
        _gather()
    return not (
        may_hold_secret(text)
        or _values.may_hold(text)
        or (_scrubber is not None and _scrubber.may_hold(text))
    )


def masked_text(text: str) -> str:
    """Return a text with its secrets masked and its personal data scrubbed."""
    if is_clean(text):
        return text
    return _mask(text) if _scrubber is None else _scrubber.scrub(_mask(text))


def is_scrubbed(text: str) -> bool:
    """Say whether personal data was scrubbed from a text that `masked_text` returned."""
    return _scrubber is not None and MARK in text


def masked_line(line: bytes) -> bytes:
    """Return an event's line, masked and scrubbed; one that is no event is treated as a text."""
    # A line that holds no registered value as it is written holds none in what is written there.
    if is_clean(line.decode(errors="surrogateescape")):
        return line
    return mask_line(line, _mask, scrub=None if _scrubber is None else _scrubber.scrub)


class KeyBlock:
    """Masks a private key in output that comes line by line: no line of its middle looks secret by itself."""

    def __init__(self) -> None:
        self._inside = False

    def masked(self, text: str) -> str:
        """Return the next line of the output, masked where it is in a private key."""
        if not self._inside:
            begin = text.rfind("-----BEGIN ") if "PRIVATE KEY" in text else -1
            self._inside = begin >= 0 and "-----END " not in text[begin:]
            return text
        # Anything else ends a key that was cut short.
        self._inside = compiled(_KEY_LINE).fullmatch(text) is not None
        return MASK if (self._inside or "-----END " in text) and text.strip() else text


def _mask(text: str) -> str:
    # Values first: a pattern may end within one.
    return mask_text(_values.mask(text))


def _gather() -> None:
    """Register what the environment says is secret, and the rules that it names."""
    global _gathered  # one registry for the process is what this module is
    with _adding:
        if _gathered:
            return
        if os.environ.get(ENVIRONMENT_VARIABLE, "1") != "0":
            for name, value in os.environ.items():
                if is_secret_key(name):
                    _add_found(value, f"${name}")
        for name in filter(None, os.environ.get(FILE_VARIABLE, "").split(":")):
            from pathlib import Path  # here, because most programs name no file

            try:
                content = Path(name).read_text("utf-8")
            except (OSError, ValueError) as error:
                tell(f"{FILE_VARIABLE}: {name} cannot be read, nothing of it is masked: {error}")
            else:
                for line in content.splitlines():
                    _add_found(line, name)
        names = os.environ.get(SCRUB_VARIABLE, "").replace(",", " ").split()
        if names:
            _scrub_as_told(names)
        _gathered = True


def _scrub_as_told(names: list[str]) -> None:
    try:
        scrub_pii(*names)
    except ValueError as error:
        # More is hidden than was meant, rather than less.
        tell(f"{SCRUB_VARIABLE}: {error}; all rules are in force")
        scrub_pii()


def _add_found(value: str, origin: str) -> None:
    """Register a value that nobody chose for it; what is too short for it is left to the other rules."""
    value = value.strip()
    if len(value) < LEAST_CHARS or not value.strip("*"):
        return
    try:
        _values.add(value)
    except ValueError as error:
        tell(f"{origin}: not all of it is masked: {error}")
