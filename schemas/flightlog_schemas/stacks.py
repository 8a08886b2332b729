r"""The hash of a stack, to group failures by: the same failure has the same hash, wherever and whenever.

What differs between runs of the same code is left out, what tells failures apart is kept:

| in a stack | becomes |
|---|---|
| `File "/home/ann/venv/lib/python3.11/site-packages/db/pool.py", line 88, in get` | `db/pool.py in get` |
| `File "/srv/app-7/src/app/jobs/load.py", line 12, in run` | `app/jobs/load.py in run` |
| `    rows = fetch(page)` and the marks `~~~~~^^^^^^` below | `rows = fetch(page)`, nothing |
| `ConnectionError: 10.0.0.7:5432 refused` (the message) | `ConnectionError` |
| `<Pool object at 0x7f3a2c>` | `<Pool object at 0x>` |
| `    at load (/srv/app-7/src/jobs/load.js:12:33)` | `at load (src/jobs/load.js)` |

So a stack that only moved by some lines keeps its hash; another function, another statement, another way
there or another type of error has another one. Pure.
"""

import hashlib
import re
from typing import Final

from msgspec.structs import replace

from flightlog_schemas.events.envelope import ErrorInfo

_PYTHON_FRAME: Final = re.compile(r'^File "(?P<path>.*)", line \d+(?:, in (?P<name>.*))?$')
_MARKS: Final = re.compile(r"^[~^\s]+$")
_REPEATED: Final = re.compile(r"^\[Previous line repeated \d+ more times?\]$")
_OTHER_FRAME: Final = re.compile(r"(?P<path>(?:[\w.@+-]*[/\\])+[\w.@+-]+|[\w.@+-]+\.\w+)(?::\d+){1,2}\b")
_ADDRESS: Final = re.compile(r"\b0x[0-9a-fA-F]+")
_PYTHON_ERROR: Final = re.compile(r"^(?P<type>[A-Za-z_][\w.]*)(?::\s.*|:?)$")
_INSTALLED: Final = re.compile(
    r".*[/\\](?:site-packages|dist-packages|node_modules|lib[/\\]python\d[\d.]*)[/\\]"
)

_MARGIN: Final = re.compile(r"^ *[|+] ")
_RULE: Final = re.compile(r"^ *\+-[-+]*(?: (?:\d+|\.{3}) -+)?$")
"""What Python draws beside and between the members of an exception group."""
_OTHER_ERROR: Final = re.compile(
    r"^(?P<type>(?:Uncaught |Caused by: |Suppressed: )?[\w.$]*(?:Error|Exception|Throwable)[\w.$]*):\s.*$"
)
"""A type with its message, as JavaScript and Java print it."""

_PATH_PARTS: Final = 3
"""How much of a path is kept: enough to tell files apart, too little to tell machines apart."""


def stack_hash(stack: str) -> str:
    """Return the SHA-256 of a stack's normalised form, in hex.

    Args:
        stack: As Python prints it, or any other language one frame a line.
    """
    return hashlib.sha256(normal_stack(stack).encode("utf-8", "surrogatepass")).hexdigest()


def with_stack_hash(error: ErrorInfo) -> ErrorInfo:
    """Return an error that has the hash of its stack, where it has a stack."""
    if error.stack is None or error.stack_hash is not None:
        return error
    return replace(error, stack_hash=stack_hash(error.stack))


def normal_stack(stack: str) -> str:
    """Return what of a stack is the same whenever the same code fails in the same way."""
    python = 'File "' in stack or "ExceptionGroup" in stack
    lines = []
    in_message = False
    for line in stack.splitlines():
        if python:
            if _RULE.match(line):
                in_message = False
                continue
            line = _MARGIN.sub("", line)  # as it would stand alone
        text = line.strip()
        if not text or (python and (_MARKS.match(line) or _REPEATED.match(text))):
            continue
        frame = _PYTHON_FRAME.match(text)
        if frame is not None:
            in_message = False
            lines.append(f"{_place(frame['path'])} in {frame['name'] or ''}".rstrip())
        elif python and line[:1] not in (" ", "\t"):
            # At the margin: a heading, or a type with its message, which may go on over several lines.
            error = _PYTHON_ERROR.match(text)
            heading = text.startswith(("Traceback ", "Exception Group Traceback ", "During ", "The above "))
            if heading or (error is not None and not in_message):
                lines.append(text if heading or error is None else error["type"])
            in_message = not heading
        elif not in_message:
            lines.append(_ADDRESS.sub("0x", text) if python else _other(text))
    return "\n".join(lines)


def _other(text: str) -> str:
    """Return a line of another language's stack without messages, places and addresses."""
    error = _OTHER_ERROR.match(text)
    if error is not None:
        return error["type"]
    return _ADDRESS.sub("0x", _OTHER_FRAME.sub(lambda found: _place(found["path"]), text))


def _place(path: str) -> str:
    """Return the end of a path: within its package where it is installed, else its last parts."""
    inside = _INSTALLED.sub("", path)
    parts = re.split(r"[/\\]", inside)
    return "/".join(parts if inside != path else parts[-_PATH_PARTS:])
