"""An event's line, masked in place: what holds nothing secret keeps its bytes, its order and its spelling.

What is what within an event is decided here, for all types:

| kind | where | what is masked |
|---|---|---|
| kept | ids, times, numbers and words of a closed list; see `ENVELOPE` and `KEPT` | nothing |
| text | other fields of a reserved type: messages, reasons, goals, paths, labels, args, errors | strings |
| free | `FREE`, what a secret key names, all of a user's own type beside the envelope | also numbers |

Where a secret key names a list or an object, it is masked as a whole. Personal data is scrubbed in what is
text or free, but for `IDS` at any depth and `NAMES` of reserved types; the event then says `"scrubbed":true`.
"""

import re
from collections.abc import Callable
from enum import Enum
from typing import Final

import msgspec
from msgspec import Struct

from flightlog_schemas.events.reserved import is_reserved
from flightlog_schemas.masking.keys import is_secret_key
from flightlog_schemas.masking.mask import MASK
from flightlog_schemas.masking.personal import IDS, MARK
from flightlog_schemas.regex import compiled

ENVELOPE: Final = frozenset(
    {
        *("type", "execution_id", "time", "id", "task_id", "agent_id", "trace_id", "span_id"),
        *("causation_id", "v", "provenance", "expect_seq", "producer"),
    }
)
"""Kept in every event."""

KEPT: Final = frozenset(
    {
        *("parent_id", "parent_task_id", "parent_agent_id", "artifact_id", "dispatch_id", "plan_id", "epic"),
        *("depends_on", "retry_of", "sha256", "config_digest", "owner", "clock", "boot_id", "trigger"),
        *("outcome", "status", "cause", "level", "counts", "by_level", "differences"),
        *("worktree_assignments", "batch_overrides"),
    }
)
"""Kept in events of a reserved type; a masked one would be refused, or be another's."""

KEPT_INSIDE: Final = frozenset({"stack_hash", "artifact_ids"})
"""Kept in what a text field of a reserved type holds: `error`, `io`."""

FREE: Final = frozenset(
    {
        *("fields", "inputs", "outputs", "detail", "evidence", "gates", "plan"),
    }
)
"""Fields of reserved types that hold whatever a program put there."""

NAMES: Final = frozenset(
    {
        *("project", "path", "files_written", "tool", "source", "slug", "phase", "phases", "from_phase"),
        *("to_phase", "skipped", "task_type", "agent_type", "artifact_type", "model"),
    }
)
"""Not scrubbed in reserved types outside of free fields: one asks by them, and they are what one wrote."""

SCRUBBED: Final = "scrubbed"
"""The field by which an event says that personal data was taken out of it."""

_VERSION: Final = "version"
"""A number of four parts that goes by a name with this end is no address."""

_PIECE: Final = r'"[^"\\]*(?:\\.[^"\\]*)*"|[{}\[\],]|[^\s{}\[\],:"]+'
_SURROGATE: Final = "[\ud800-\udfff]"
_FLAG: Final = r"(?i:--?[a-z][a-z0-9_]*(?:-[a-z0-9_]+)*)"

_QUOTED_MASK: Final = f'"{MASK}"'
_NO_SECRETS: Final = frozenset({"null", "true", "false"})


class _Typed(Struct):
    type: str = ""


_decode_type = msgspec.json.Decoder(_Typed).decode


class _Kind(Enum):
    KEPT = 0
    TEXT = 1
    FREE = 2


class _Frame:
    """An object or a list that the walk is in.

    Attributes:
        is_object: Whether it is an object.
        kind: What its values are.
        secret: Whether its own key calls it secret.
        at_key: Whether the next string is a key.
        value_kind: What the value of the last key is, or of every element.
        value_secret: Whether the last key calls its value secret, or the option before this element does.
        scrubs: Whether personal data is scrubbed in it.
        value_scrubs: Whether it is in the value of the last key, or in every element.
        masked_keys: How many keys were masked.
    """

    __slots__ = (
        *("at_key", "is_object", "kind", "masked_keys", "scrubs", "secret"),
        *("value_kind", "value_scrubs", "value_secret"),
    )

    def __init__(self, *, is_object: bool, kind: _Kind, secret: bool, scrubs: bool) -> None:
        self.is_object = is_object
        self.kind = self.value_kind = kind
        self.secret = self.value_secret = secret
        self.scrubs = self.value_scrubs = scrubs
        self.at_key = is_object
        self.masked_keys = 0


def mask_line(
    line: bytes,
    mask: Callable[[str], str],
    is_secret: Callable[[str], bool] = is_secret_key,
    scrub: Callable[[str], str] | None = None,
) -> bytes:
    """Return an event's line with everything masked that is secret; the same bytes where nothing is.

    Args:
        line: An event, without its newline. What is no JSON object is masked as one text.
        mask: Masks what is secret within a text.
        is_secret: Says which names call a value secret.
        scrub: Replaces personal data within a text that is masked.
    """
    try:
        kind = _decode_type(line).type
        text = line.decode()
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return mask_bytes(line, mask if scrub is None else lambda text: scrub(mask(text)))
    masked = _Walk(mask, is_secret, scrub, reserved=is_reserved(kind)).run(text)
    return line if masked is None else masked.encode()


def mask_bytes(data: bytes, mask: Callable[[str], str]) -> bytes:
    """Return bytes of any kind with everything masked that looks secret in them."""
    # Each byte that is not UTF-8 comes through as it is.
    return mask(data.decode(errors="surrogateescape")).encode(errors="surrogateescape")


class _Walk:
    """One walk through a line of valid JSON."""

    def __init__(
        self,
        mask: Callable[[str], str],
        is_secret: Callable[[str], bool],
        scrub: Callable[[str], str] | None,
        *,
        reserved: bool,
    ) -> None:
        self._mask = mask
        self._is_secret = is_secret
        self._scrub = scrub
        self._reserved = reserved
        self._scrubbed = False
        self._says_scrubbed = False
        """Whether the event has that field. A user's own may mean something else by it."""
        self._at_said = False
        self._said: re.Match[str] | None = None
        self._frames: list[_Frame] = []
        self._edits: list[tuple[int, int, str]] = []

    def run(self, text: str) -> str | None:
        """Return the text with its secrets masked; None where it has none."""
        frame = _Frame(is_object=False, kind=_Kind.FREE, secret=False, scrubs=self._scrub is not None)
        end = 0
        passed = 0
        """How deep in something that is masked or kept as a whole."""
        hidden_at = -1
        for found in compiled(_PIECE).finditer(text):
            token = found[0]
            first = token[0]
            if passed:
                if first in "{[":
                    passed += 1
                elif first in "}]":
                    passed -= 1
                    if not passed and hidden_at >= 0:
                        self._edits.append((hidden_at, found.end(), _QUOTED_MASK))
                        hidden_at = -1
            elif first in "{[":
                kept = frame.value_kind is _Kind.KEPT
                if kept or (frame.value_secret and frame.value_kind is _Kind.FREE):
                    passed = 1
                    hidden_at = -1 if kept else found.start()
                    continue
                self._frames.append(frame)
                frame = _Frame(
                    is_object=first == "{",
                    kind=frame.value_kind,
                    secret=frame.value_secret,
                    scrubs=frame.value_scrubs,
                )
            elif first in "}]":
                frame = self._frames.pop()
                end = found.start()
            elif first == ",":
                frame.at_key = frame.is_object
            elif frame.at_key:
                frame.at_key = False
                self._edit(found, self._key(token, frame))
            elif frame.value_kind is not _Kind.KEPT:
                if self._at_said and len(self._frames) == 1:
                    self._said = found
                self._edit(found, self._value(token, frame))
        if self._scrubbed:
            self._say_scrubbed(end)
        return self._edited(text) if self._edits else None

    def _say_scrubbed(self, end: int) -> None:
        """Have the event say that it was scrubbed; `end` is where its last brace is."""
        if not self._says_scrubbed:
            self._edits.append((end, end, f',"{SCRUBBED}":true'))
        elif self._reserved and self._said is not None and self._said[0] in ("false", "null"):
            self._edits.append((*self._said.span(), "true"))
            self._edits.sort()

    def _edit(self, found: re.Match[str], new: str) -> None:
        if new != found[0]:
            self._edits.append((*found.span(), new))

    def _edited(self, text: str) -> str:
        parts: list[str] = []
        at = 0
        for start, end, new in self._edits:
            parts += (text[at:start], new)
            at = end
        return "".join([*parts, text[at:]])

    def _key(self, token: str, frame: _Frame) -> str:
        """Take note of what a key says of its value, and return it masked."""
        key = _said(token)
        secret = self._is_secret(key)
        frame.value_secret = secret or frame.secret
        if len(self._frames) == 1:
            frame.value_kind = self._kind_of(key, secret=secret)
            self._says_scrubbed = self._says_scrubbed or key == SCRUBBED
        elif frame.kind is _Kind.TEXT:
            frame.value_kind = _Kind.KEPT if key in KEPT_INSIDE else _Kind.FREE if secret else _Kind.TEXT
        self._at_said = key == SCRUBBED
        if frame.value_kind is _Kind.KEPT:
            return token
        frame.value_scrubs = frame.scrubs and not (
            key in IDS or key.lower().endswith(_VERSION) or (key in NAMES and frame.value_kind is _Kind.TEXT)
        )
        masked = self._hidden(key, scrubs=frame.scrubs)
        if masked == key:
            return token
        frame.masked_keys += 1
        # Two keys must stay two.
        return _quoted(masked if frame.masked_keys == 1 else f"{masked}~{frame.masked_keys}")

    def _kind_of(self, key: str, *, secret: bool) -> _Kind:
        """Return what a field of the event is."""
        if key in ENVELOPE or (self._reserved and key in KEPT):
            return _Kind.KEPT
        # No reserved type has a field that is called secret: where there is one, it is nobody's.
        return _Kind.FREE if not self._reserved or key in FREE or secret else _Kind.TEXT

    def _value(self, token: str, frame: _Frame) -> str:
        secret = frame.value_secret
        if token[0] != '"':
            if frame.value_kind is not _Kind.FREE or token in _NO_SECRETS:
                return token
            return _QUOTED_MASK if secret or self._mask(token) != token else token
        if len(token) == 2:
            return token
        said = _said(token)
        if not frame.is_object:
            flag = compiled(_FLAG).fullmatch(said) is not None
            # In a command line: what follows --password is one.
            frame.value_secret = frame.secret or (flag and self._is_secret(said))
            secret = frame.secret or (secret and not flag)
        if secret:
            return token if said == MASK else _QUOTED_MASK
        masked = self._hidden(said, scrubs=frame.value_scrubs)
        return token if masked == said else _quoted(masked)

    def _hidden(self, text: str, *, scrubs: bool) -> str:
        """Return a text with its secrets masked and, where that is wanted, its personal data scrubbed."""
        masked = self._mask(text)
        if scrubs and self._scrub is not None:
            masked = self._scrub(masked)
            self._scrubbed = self._scrubbed or MARK in masked
        return masked


def _said(token: str) -> str:
    if "\\" not in token:
        return token[1:-1]
    import json  # here, because most texts are as they look

    said: str = json.loads(token)
    return said


def _quoted(text: str) -> str:
    import json  # here, because most lines hold nothing secret

    return json.dumps(text, ensure_ascii=compiled(_SURROGATE).search(text) is not None)
