"""Golden files: what must not change unnoticed, because others have written it down or will read it.

`pytest --update-golden` writes them anew. A change to a wire line takes a new protocol version, one to a
payload an upcast step, and one to stored bytes a new codec: the lines of before stay beside the new ones.
"""

import json
from typing import Any

from support.source import TESTS

GOLDEN = TESTS / "golden"


def check_golden(name: str, actual: Any, *, update: bool) -> None:
    """Compare a JSON value with `tests/golden/NAME.json`, or write it there."""
    file = GOLDEN / f"{name}.json"
    if update:
        file.write_text(json.dumps(actual, indent=1, ensure_ascii=False) + "\n", "utf-8")
    assert actual == load_golden(name), f"{file} differs; if that is meant: pytest --update-golden"


def load_golden(name: str) -> Any:
    """Return what `tests/golden/NAME.json` holds."""
    return json.loads((GOLDEN / f"{name}.json").read_text("utf-8"))
