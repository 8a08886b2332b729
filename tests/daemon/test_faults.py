"""Storage fails at any point, in any way: what was acked is there once, and the daemon comes back."""

import logging
import os
import random
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from functools import partial
from pathlib import Path

import pytest

from flightlogd.governance.verify import verify_log
from flightlogd.store.database import open_reader
from support.daemon import MODULES, Daemon, DaemonFactory, clean_environment
from support.faulted import Faulted, bulk
from support.faultvfs import CRASHED, KINDS, Control
from support.forked import Forked, nursery
from support.peers import IngestPeer

logger = logging.getLogger(__name__)

SOAK_ROUNDS = int(os.environ.get("SOAK_FAULT_ROUNDS", "0"))
"""Of how many operations each fails once, in every step and way; 0 leaves the sweep out."""

ROUNDS_OF_ONE = 8
"""Rounds of the sweep that one daemon takes: what it governs and rebuilds grows with them."""


@pytest.fixture
def faulted(daemon_factory: DaemonFactory, tmp_path: Path) -> Faulted:
    """Give a daemon over a disk that can fail, with checkpoints so often that they fail as well."""
    daemon = daemon_factory(
        start=False, retry_ms=20, checkpoint_bytes=64 * 1024, wal_limit_bytes=512 * 1024, mask_builtin=False
    )
    return Faulted(daemon, tmp_path / "control")


def any_of(kind: str, seed: str) -> Iterator[int]:
    """Yield which operations fail: any, early ones more often; there are fewer to sync than to write."""
    dice = random.Random(seed)
    most = 2 if kind in ("sync", "open") else 256
    while True:
        yield int(most ** dice.random()) - 1


@pytest.mark.covers("D1", "D2", "D4", "D5", "D6", "D8")
@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_one_fault_in_each_step(faulted: Faulted, kind: str) -> None:
    """Whatever fails once, and wherever, the daemon goes on or ends and comes back; nothing acked is lost."""
    nth = any_of(kind, kind)
    faulted.run(kind, lambda _step: next(nth))
    faulted.check()
    assert faulted.faults > 2


@pytest.mark.covers("P15")
@pytest.mark.slow
@pytest.mark.parametrize("kind", ["full", "quota", "write", "short"])
def test_faults_that_last(faulted: Faulted, kind: str) -> None:
    """While all writing fails `status` says so and reads go on; it goes on by itself when that clears."""
    # A connection to search.db whose closing fails in Python leaves its lock behind, as none does in C.
    faulted.daemon.config["search"] = False
    nth = any_of(kind, f"{kind} lasts")
    faulted.run(kind, lambda _step: next(nth), lasting=True)
    faulted.check()
    assert {"storage_full" if kind in ("full", "quota") else "storage_failing"} <= faulted.states


@pytest.mark.skipif(not SOAK_ROUNDS, reason="make soak")
@pytest.mark.timeout(0 if SOAK_ROUNDS else 300)
@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_every_operation_of_each_step_fails_once(home: Path, kind: str) -> None:
    """The same with each operation of each step, one after the other; a daemon takes some of them in turn."""
    faults = 0
    last: dict[str, int] = {}
    with ExitStack() as stack:
        for nth in range(SOAK_ROUNDS):
            if nth % ROUNDS_OF_ONE == 0:
                faulted = stack.enter_context(fresh(home / str(nth)))
            # How many operations a step has differs from round to round.
            fired = faulted.run(
                kind,
                lambda step: nth if nth - last.get(step, 0) < 4 else None,  # noqa: B023  # called at once
                mark=f"{nth}-",
            )
            last |= dict.fromkeys(fired, nth)
            over = nth - max(last.values(), default=0) >= 4
            if over or nth % ROUNDS_OF_ONE == ROUNDS_OF_ONE - 1:
                faulted.check()
                faults += faulted.faults
                stack.close()
                logger.info("%s: %d faults up to operation %d of %s", kind, faults, nth, sorted(fired))
            if over:
                break


@pytest.mark.covers("D1", "P13")
@pytest.mark.timeout(0 if SOAK_ROUNDS else 300)
@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS if SOAK_ROUNDS else ("full", "crash"))
def test_every_operation_of_a_first_start_fails_once(home: Path, kind: str) -> None:
    """A start in an empty directory that fails anywhere keeps no later one from starting."""
    faults = 0
    for nth in range(SOAK_ROUNDS or 12):
        with fresh(home / str(nth)) as faulted:
            faulted.control.arm(kind, nth)
            faulted.revive()
            if not faulted.control.fired:
                break
            faults += 1
            faulted.control.disarm()
            faulted.until_done(partial(faulted.emit, bulk("a", 20)))
            faulted.check()
    logger.info("%s: %d faults in a first start", kind, faults)


@pytest.mark.covers("P12")
@pytest.mark.timeout(0 if SOAK_ROUNDS else 300)
@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_a_backup_that_fails(daemon_factory: DaemonFactory, home: Path, kind: str) -> None:
    """A backup is whole, or there is none and the next one works; a sentence says why."""
    daemon = daemon_factory(mask_builtin=False)
    with IngestPeer(daemon.ingest_socket) as peer:
        peer.settle(*bulk("a", 300))
    control, target = Control(home / "control"), home / "copy.db"
    control.disarm()
    argv = ["backup", str(target), f"--state-dir={daemon.state_dir}", f"--runtime-dir={daemon.runtime_dir}"]
    faults = 0
    for nth in range(SOAK_ROUNDS) if SOAK_ROUNDS else (0, 1, 3, 10, 30, 100):
        control.arm(kind, nth)
        backing_up = Forked(
            nursery("support.faultvfs", *MODULES),
            [str(home / "control"), *argv],
            stderr=subprocess.PIPE,
            env=clean_environment(),
            text=True,
        )
        _, said = backing_up.communicate(timeout=60)
        code = backing_up.returncode
        fired = control.fired
        control.disarm()
        if code == 0:
            with closing(open_reader(target)) as db:
                assert verify_log(db).damage == []
                assert db.pragma("integrity_check") == "ok"
            target.unlink()
        else:
            assert not target.exists()
            if code != CRASHED:
                assert (code, said.count("hint:"), "Traceback" in said) == (2, 1, False), said
                assert list(home.glob("copy.db*")) == []
        faults += fired
        if not fired:
            break
    logger.info("%s: %d faults in a backup", kind, faults)
    assert code == 0 or not SOAK_ROUNDS
    assert faults


@contextmanager
def fresh(base: Path) -> Iterator[Faulted]:
    """Give a daemon, not started, in a directory of its own that is removed afterwards."""
    base.mkdir()
    control = base / "control"
    daemon = Daemon(
        base / "state",
        base / "run",
        retry_ms=20,
        checkpoint_bytes=64 * 1024,
        wal_limit_bytes=512 * 1024,
        query_timeout_ms=300_000,  # the machine has other things to do
    )
    with daemon:
        yield Faulted(daemon, control)
    shutil.rmtree(base)
