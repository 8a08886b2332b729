"""Masking: what is secret in an event never reaches a disk, a socket or a digest.

Rules, each in a module of its own, and the walk that applies them to a line:

- `keys`: a value is secret because of what it is called (`password`, `apiKey`)
- `patterns`: a text holds something secret by its looks (`--token abc`, `AKIA...`)
- `values`: a text holds a value that somebody registered, in any of its spellings
- `personal`: a text holds personal data; off unless asked for
- `lines`: an event's line, its ids left alone, every free text and keyed value masked

Pure. Masking twice is masking once.
"""

from flightlog_schemas.masking.keys import PASS_OF, is_secret_key
from flightlog_schemas.masking.lines import mask_line
from flightlog_schemas.masking.mask import MASK
from flightlog_schemas.masking.patterns import mask_text, may_hold_secret
from flightlog_schemas.masking.personal import Scrubber
from flightlog_schemas.masking.values import Values

__all__ = [
    "MASK",
    "PASS_OF",
    "Scrubber",
    "Values",
    "is_secret_key",
    "mask_line",
    "mask_text",
    "may_hold_secret",
]
