"""Having a crowd of hostile connections around a daemon."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from support.daemon import Daemon
from support.users import SOMEBODY, open_to_all


@contextmanager
def hostile_crowd(
    daemon: Daemon, count: int, *kinds: str, uid: int = SOMEBODY
) -> Iterator["subprocess.Popen[bytes]"]:
    """Have so many connections do what is not to be done, as another user where that is possible.

    All are connected when this yields; they are gone when it ends.

    Args:
        daemon: Around which.
        count: How many.
        kinds: Of `support.crowd.KINDS`; none: all of them.
        uid: Who they are, where root runs this.
    """
    if os.geteuid() == 0:
        open_to_all(daemon)
    with subprocess.Popen(
        [sys.executable, "-P", "-m", "support.crowd", str(daemon.runtime_dir), str(count), str(uid), *kinds],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parent.parent)},
        cwd="/",
    ) as crowd:
        assert crowd.stdin is not None
        assert crowd.stdout is not None
        try:
            assert crowd.stdout.readline() == b"there\n"
            yield crowd
        finally:
            crowd.stdin.close()
            crowd.wait(60)
