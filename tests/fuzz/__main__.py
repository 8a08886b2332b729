"""`python -m fuzz [TARGET...] [--seconds N] [--seed N]`: fuzz for a while, say how much was tried.

Inputs are mutations of good ones. Coverage does not guide it: what decodes is mostly C code inside msgspec,
of which a guide for Python sees nothing. `fuzz.guided` is for what is ours.
"""

import argparse
import random
import sys
import time
from pathlib import Path

from fuzz.mutate import mutations
from fuzz.targets import TARGETS, seeds

_SLOW_S = 1.0
"""An input that takes longer is a bug as a crash is."""


def main() -> int:
    """Fuzz; the exit code is 1 where something was found, and the input is in a file."""
    parser = argparse.ArgumentParser(prog="python -m fuzz", description=__doc__)
    parser.add_argument("targets", nargs="*", choices=[[], *TARGETS], metavar="TARGET")
    parser.add_argument("--seconds", type=float, default=60.0, help="for all targets together")
    parser.add_argument("--seed", type=int, default=random.randrange(2**32))
    arguments = parser.parse_args()
    targets = arguments.targets or list(TARGETS)
    print(f"seed {arguments.seed}")
    found = [_fuzz(target, arguments.seed, arguments.seconds / len(targets)) for target in targets]
    return 0 if all(found) else 1


def _fuzz(target: str, seed: int, seconds: float) -> bool:
    tried = 0
    until = time.process_time() + seconds
    for data in mutations(seeds(target), random.Random(seed)):
        began = time.process_time()
        try:
            TARGETS[target](data)
            assert time.process_time() - began < _SLOW_S, "too slow"
        except Exception as error:
            file = Path(f"fuzz-{target}-{tried}.bin").absolute()
            file.write_bytes(data)
            print(f"{target:8} input {tried}: {type(error).__name__}: {str(error)[:200]}\n  {file}")
            return False
        tried += 1
        if began > until:
            break
    print(f"{target:8} {tried:>9,} inputs, nothing found")
    return True


if __name__ == "__main__":
    sys.exit(main())
