"""The hash that groups failures. Pure."""

import re
import subprocess
import sys
import traceback
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flightlog_schemas.stacks import normal_stack, stack_hash

PROGRAM = """
import sys, traceback

def fetch(page):
    {filler}
    raise ConnectionError(f"10.0.0.{{page}}:5432 refused\\nsee {{object()}}")

def load(pages):
    try:
        for page in pages:
            fetch(page)
    except ConnectionError as error:
        raise RuntimeError(sys.argv[1]) from error

try:
    load([7])
except RuntimeError:
    traceback.print_exc()
"""


def stack_of(directory: Path, *, filler: str = "pass", message: str = "no", name: str = "load.py") -> str:
    """Return the stack of a program that fails, run in a process of its own."""
    program = directory / "app" / "jobs" / name
    program.parent.mkdir(parents=True, exist_ok=True)
    program.write_text(PROGRAM.format(filler=filler))
    return subprocess.run(
        [sys.executable, str(program), message], capture_output=True, text=True, check=True
    ).stderr


@pytest.mark.covers("S2.3")
def test_the_same_failure_has_the_same_hash(tmp_path: Path) -> None:
    """Another process, machine (directory), address, message and some lines more or less change nothing."""
    first = stack_of(tmp_path / "ann" / "src")
    again = stack_of(tmp_path / "bob" / "deep" / "src")
    moved = stack_of(
        tmp_path / "ann" / "src", filler="pass\n    pass\n    # and a comment\n", message="no, twice"
    )

    assert len({first, again, moved}) == 3
    assert stack_hash(first) == stack_hash(again)
    assert stack_hash(first) == stack_hash(moved)
    assert re.fullmatch("[0-9a-f]{64}", stack_hash(first))


@pytest.mark.covers("S2.3")
def test_another_failure_has_another_hash(tmp_path: Path) -> None:
    """Another file, function, statement, type of error or way there is another failure."""
    stack = stack_of(tmp_path)
    others = [
        stack_of(tmp_path, name="store.py"),
        stack.replace("in fetch", "in fetch_all"),
        stack.replace("for page in pages", "for page in reversed(pages)").replace(
            "fetch(page)", "fetch(page, 1)"
        ),
        stack.replace("ConnectionError: 10", "TimeoutError: 10"),
        stack.replace("RuntimeError: no", "ValueError: no"),
        stack.split("The above exception")[0],
    ]

    assert len({stack_hash(one) for one in [stack, *others]}) == 1 + len(others)


@pytest.mark.parametrize(
    ("stack", "normal"),
    [
        pytest.param(
            "Traceback (most recent call last):\n"
            '  File "/home/ann/venv/lib/python3.11/site-packages/db/pool.py",'
            " line 88, in get\n    return self.idle.pop()\n           ~~~~~~~~~^^^^^^\n"
            "IndexError: pop from <Pool at 0x7f3a2c>\n",
            "Traceback (most recent call last):\ndb/pool.py in get\nreturn self.idle.pop()\nIndexError",
            id="installed",
        ),
        pytest.param(
            '  File "C:\\Users\\ann\\app\\jobs\\load.py", line 3\n'
            "    x = (\n        ^\nSyntaxError: '(' was never closed\n",
            "app/jobs/load.py in\nx = (\nSyntaxError",
            id="no-function",
        ),
        pytest.param(
            "TypeError: Cannot read properties of undefined (reading 'id')\n"
            "    at load (/srv/app-7/src/jobs/load.js:12:33)\n    at async Promise.all (index 0)\n"
            "    at /srv/app-7/node_modules/pg/lib/client.js:526:17\n",
            "TypeError\nat load (src/jobs/load.js)\nat async Promise.all (index 0)\nat pg/lib/client.js",
            id="javascript",
        ),
        pytest.param(
            "java.lang.IllegalStateException: id 7\n\tat com.example.Foo.bar(Foo.java:42)\n"
            "Caused by: java.io.IOException: /tmp/x\n\t... 2 more\n",
            "java.lang.IllegalStateException\nat com.example.Foo.bar(Foo.java)\n"
            "Caused by: java.io.IOException\n... 2 more",
            id="java",
        ),
        pytest.param("", "", id="nothing"),
    ],
)
def test_what_is_left_out(stack: str, normal: str) -> None:
    """Directories, lines, marks, messages and addresses are left out, of whatever language."""
    assert normal_stack(stack) == normal


def test_the_members_of_a_group_count() -> None:
    """A group of errors is told from a group of others, not from one with other messages."""

    def hash_of(*errors: Exception) -> str:
        return stack_hash("".join(traceback.format_exception(ExceptionGroup("several", errors))))

    one = hash_of(ValueError("1"), KeyError("a"))
    assert one == hash_of(ValueError("2"), KeyError("b"))
    assert one != hash_of(ValueError("1"), IndexError("a"))
    assert one != hash_of(ValueError("1"))


@given(st.text())
def test_any_text_has_a_hash(text: str) -> None:
    """Whatever a stack holds, it has a normal form; the normal form of lines without any is stable."""
    assert normal_stack(text) == normal_stack(text)
    assert len(stack_hash(text)) == 64
