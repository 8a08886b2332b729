"""`python -m fuzz.guided TARGET [-max_total_time=60 ...]`: the same targets under atheris, by coverage.

It sees the branches of our own Python; what msgspec decodes is C, where it is as blind as `python -m fuzz`.
The options are libFuzzer's. `pip install --group fuzz` installs it.
"""

import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import atheris  # type: ignore[import-not-found,import-untyped,unused-ignore]

with atheris.instrument_imports(include=["flightlogd", "flightlog_schemas"]):
    from fuzz.targets import TARGETS, seeds


def main() -> None:
    """Fuzz one target until an option of libFuzzer ends it; an input that fails is in a file `crash-*`."""
    if len(sys.argv) < 2 or sys.argv[1] not in TARGETS:
        sys.exit(f"usage: python -m fuzz.guided TARGET [libFuzzer options]; targets: {', '.join(TARGETS)}")
    target: Any = TARGETS[sys.argv[1]]
    with TemporaryDirectory() as corpus:
        for number, seed in enumerate(seeds(sys.argv[1])):
            Path(corpus, str(number)).write_bytes(seed)
        atheris.Setup([sys.argv[0], *sys.argv[2:], corpus], target)
        atheris.Fuzz()


if __name__ == "__main__":
    main()
