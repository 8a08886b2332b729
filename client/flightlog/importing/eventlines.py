"""Event lines as they were written elsewhere, to lines with a key."""

from hashlib import sha256

import msgspec

from flightlog.masking import masked_line
from flightlog_schemas.codec import RefusalError, decode_line


class EventLines:
    """One file's event lines.

    A line keeps what it says. Where it has no `id`, it gets one from its content: the same line is the same
    event, in whichever file it stands. Lines of one file that are the same and have no other time between
    them are told apart by their number, for a program may say the same twice in one microsecond.
    """

    def __init__(self) -> None:
        self._time: object = None
        self._seen: dict[bytes, int] = {}

    def tell(self, data: bytes | msgspec.Raw) -> bytes:
        """Return a line as it is sent.

        Raises:
            ValueError: it is no event that can be stored; the message says why.
        """
        fields = msgspec.json.decode(data)
        content = sha256(msgspec.json.encode(fields)).digest()[:16]
        if fields.get("time") != self._time:
            self._time = fields.get("time")
            self._seen.clear()
        nth = self._seen[content] = self._seen.get(content, 0) + 1
        if "id" not in fields:
            fields["id"] = f"backfill:{content.hex()}:{nth}"
        fields.setdefault("provenance", "backfill")
        line = masked_line(msgspec.json.encode(fields))
        try:
            decode_line(line)
        except RefusalError as error:
            raise ValueError(f"{error.code}: {error.reason}") from None
        return line
