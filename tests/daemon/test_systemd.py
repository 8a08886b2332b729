"""Under a real systemd, as PID 1 of namespaces of its own: the units do what they say."""

import json
import os
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

INNER = Path(__file__).parents[1] / "support" / "systemd_inner.sh"
SOURCE = Path(__file__).parents[2]
CGROUPS = [
    path
    for path in (Path("/sys/fs/cgroup/systemd"), Path("/sys/fs/cgroup/unified"))
    if (path / "cgroup.procs").exists()
] or [Path("/sys/fs/cgroup")]
"""Where systemd's own hierarchy is: beside others, or the only one."""


DRIVER = r"""#!/bin/bash
export FLIGHTLOG_RUNTIME_DIR=/run/flightlog PATH=/opt/flightlog/bin:$PATH HOME=/run XDG_STATE_HOME=/run/state
property() { systemctl show flightlogd -p "$1" --value; }
until_changed() {
    for i in $(seq 600); do
        [ "$(property MainPID)" != "$1" ] && [ "$(property SubState)" = running ] && return
        read -rt 0.05 <> <(:) || true
    done
    echo "still $1"
}
tell() { printf '%s\t%s\n' "$1" "$2"; }

tell before "$(property ActiveState)"
flightlog list >/dev/null 2>&1   # the first connection starts it, and waits
flightlog exec --name first -- echo hello >/dev/null
tell after "$(property ActiveState)"
tell status "$(property StatusText)"
pid=$(property MainPID)
tell user "$(stat -c %U /proc/$pid)"
tell state "$(stat -c '%U %a' /var/lib/flightlog)"
tell sockets "$(cd /run/flightlog && stat -c '%n %U:%G %a' *.sock | tr '\n' ' ')"
tell capabilities "$(grep CapBnd /proc/$pid/status | cut -f2)"

systemctl reload flightlogd
tell reloaded "$(property MainPID)=$pid"
kill -9 $pid
until_changed $pid
tell restarts "$(property NRestarts)"
pid=$(property MainPID)
kill -STOP $pid
until_changed $pid
tell watchdog "$(property NRestarts)"

cat >/run/load.py <<'PYTHON'
import sys, flightlog
with flightlog.execution("load", execution_id="load") as run:
    print("begun", flush=True)
    count = 0
    while not sys.stdin.readable() or count < 20_000:
        count += 1
        run.info(f"line {count}")
        if not count % 2000:
            flightlog.flush(10)
PYTHON
export LD_LIBRARY_PATH=/opt/python/lib PYTHONPATH=/opt/source/client:/opt/source/schemas:/opt/packages
/opt/python/bin/PYTHON -P /run/load.py >/run/load.log 2>&1 &
load=$!
for round in 1 2 3; do systemctl restart flightlogd; done
wait $load
tell load "$? $(tr '\n' ' ' </run/load.log)"
tell lines "$(flightlog logs load --json | grep -c '"message":"line ')"
tell check "$(flightlog logs load --check)"
tell first "$(flightlog list --name first --json | tr '\n' ' ' | grep -o '"status": *"[a-z]*"' | head -1)"
runuser -u nobody -- flightlog list >/dev/null 2>/run/refused; tell nobody "$? $(head -1 /run/refused)"
systemctl stop flightlogd
tell stopped "$(property Result)"
"""


def _possible() -> bool:
    return os.geteuid() == 0 and Path("/lib/systemd/systemd").exists() and shutil.which("unshare") is not None


@pytest.fixture
def cgroup() -> Iterator[Path]:
    """Give groups for processes, so that a systemd in here sees and moves its own alone."""
    made = []
    with suppress(OSError):
        for root in CGROUPS:
            group = root / f"flightlog-test-{os.getpid()}"
            group.mkdir()
            made.append(group)
    yield Path(f"flightlog-test-{os.getpid()}")
    for group in made:
        for folder in sorted(group.rglob("*"), reverse=True):
            if folder.is_dir():
                with suppress(OSError):
                    folder.rmdir()
        with suppress(OSError):
            group.rmdir()


@pytest.mark.slow
@pytest.mark.covers("P13", "P16", "D1", "D4")
@pytest.mark.skipif(not _possible(), reason="root and systemd are needed")
def test_units_under_systemd(tmp_path: Path, cgroup: Path) -> None:
    """Started by a connection, reloaded, killed, hung, restarted under load: no line is lost."""
    driver = tmp_path / "driver.sh"
    program = Path(os.path.realpath(sys.executable)).name
    driver.write_text(DRIVER.replace("/bin/PYTHON", f"/bin/{program}"))
    driver.chmod(0o755)
    tmp_path.chmod(0o755)
    join = "".join(
        f"echo $$ > {root / cgroup}/cgroup.procs; " for root in CGROUPS if (root / cgroup).is_dir()
    )
    unshare = "exec unshare --mount --pid --fork --kill-child --cgroup --uts --ipc --propagation private"
    arguments = [str(tmp_path), sys.base_prefix, program, str(SOURCE), sysconfig.get_path("purelib")]
    done = subprocess.run(
        ["bash", "-c", f'{join}{unshare} bash {INNER} "$@"', "bash", *arguments],
        capture_output=True,
        text=True,
        timeout=150,
        check=False,
    )
    log = tmp_path / "driver.log"
    if done.returncode != 7 and not log.exists():
        pytest.skip(f"namespaces are not allowed here: {(done.stderr or done.stdout)[-300:]}")
    told = dict(line.split("\t", 1) for line in log.read_text().splitlines() if "\t" in line)
    where = f"{json.dumps(told, indent=1)}\n{done.stdout[-3000:]}"
    assert (told["before"], told["after"]) == ("inactive", "active"), where
    assert "events" in told["status"], where
    assert (told["user"], told["state"]) == ("flightlog", "flightlog 750"), where
    assert told["sockets"].split(" ", 9)[:9] == [
        *("control.sock", "flightlog:flightlog", "600"),
        *("ingest.sock", "flightlog:flightlog-write", "660"),
        *("query.sock", "flightlog:flightlog-read", "660"),
    ], where
    assert told["capabilities"] == "0000000000000000", where
    assert len(set(told["reloaded"].split("="))) == 1, where
    assert (told["restarts"], told["watchdog"]) == ("1", "2"), where
    assert told["load"].startswith("0 begun"), where
    assert told["lines"] == "20000", where
    assert "records present" in told["check"], where
    assert "succeeded" in told["first"], where
    assert told["nobody"].startswith("2 flightlog list:"), where
    assert told["stopped"] == "success", where
