"""A flightlogd for which everybody is at home in one place."""

import pwd
import sys

from flightlogd.__main__ import main as run


def main() -> None:
    """Run flightlogd; the first argument is where everybody is at home."""
    known, home = pwd.getpwuid, sys.argv.pop(1)
    pwd.getpwuid = lambda uid: pwd.struct_passwd((*known(uid)[:5], home, ""))
    run()
