"""Regular expressions that are compiled when they are first used, and once."""

import re
from functools import cache


@cache
def compiled(regex: str, flags: re.RegexFlag = re.NOFLAG) -> re.Pattern[str]:
    """Return a pattern. Compiling takes much of the time to start, and most programs need few patterns."""
    return re.compile(regex, flags)
