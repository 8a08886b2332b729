"""Storage fails at any point, in any way: what was acked is there once, and the daemon comes back."""

import logging
import os
import random
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from support.daemon import DaemonFactory
from support.faulted import Faulted
from support.faultvfs import KINDS

logger = logging.getLogger(__name__)

SOAK_ROUNDS = int(os.environ.get("SOAK_FAULT_ROUNDS", "0"))
"""Of how many operations each fails once, in every step and way; 0 leaves the sweep out."""


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
    faulted.run(kind, lambda: next(nth))
    faulted.check()
    assert faulted.faults > 2


@pytest.mark.covers("P15")
@pytest.mark.slow
@pytest.mark.parametrize("kind", ["full", "write", "short"])
def test_faults_that_last(faulted: Faulted, kind: str) -> None:
    """While all writing fails `status` says so and reads go on; it goes on by itself when that clears."""
    # A connection to search.db whose closing fails in Python leaves its lock behind, as none does in C.
    faulted.daemon.config["search"] = False
    nth = any_of(kind, f"{kind} lasts")
    faulted.run(kind, lambda: next(nth), lasting=True)
    faulted.check()
    assert {"storage_full" if kind == "full" else "storage_failing"} <= faulted.states


@pytest.mark.skipif(not SOAK_ROUNDS, reason="make soak")
@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_every_operation_fails_once(daemon_factory: DaemonFactory, tmp_path: Path, kind: str) -> None:
    """The same with each operation of each step, one after the other."""
    faults = most = 0
    for nth in range(SOAK_ROUNDS):
        daemon = daemon_factory(
            name=str(nth), start=False, retry_ms=20, checkpoint_bytes=64 * 1024, wal_limit_bytes=512 * 1024
        )
        fault = Faulted(daemon, tmp_path / f"control-{nth}")
        most = max(most, fault.run(kind, partial(int, nth)))
        fault.check()
        daemon.terminate()
        faults += fault.faults
        if nth > most:
            break
    logger.info("%s: %d faults, up to operation %d of a step", kind, faults, most)
