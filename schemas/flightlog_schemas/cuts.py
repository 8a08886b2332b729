"""Names of the fields by which a log line says that not all of it, or of what follows, was recorded."""

from typing import Final

CUT_CHARS: Final = "cut_chars"
"""How many characters of this line were left out: it was too long."""

CAPTURE_LIMIT_BYTES: Final = "capture_limit_bytes"
"""Of what a command prints, nothing more was recorded after this line: it had printed this many bytes."""

OUTPUT_LIMIT_BYTES: Final = 10 * 1024 * 1024
"""Most that is recorded of one command's output, whether it is an execution or an attempt at a task."""
