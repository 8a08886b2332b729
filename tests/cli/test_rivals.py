"""Many `flightlog` processes that want to change the same execution at once."""

import subprocess

import pytest

from cli.runner import TIMEOUT_S, Cli, launch
from support.daemon import Daemon
from support.programs import events

RIVALS = 8


@pytest.fixture
def flightlog(shared: Daemon) -> Cli:
    """Give the command line of the module's daemon."""
    return Cli(shared.runtime_dir)


def all_at_once(flightlog: Cli, *arguments: str) -> list[tuple[int, str, str]]:
    """Run the same command in eight processes at once; return exit code, stdout and stderr of each."""
    processes = [
        launch(
            arguments,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=flightlog.environment(),
            text=True,
        )
        for _ in range(RIVALS)
    ]
    said = [process.communicate(timeout=TIMEOUT_S) for process in processes]
    return [(process.returncode, *each) for process, each in zip(processes, said, strict=True)]


@pytest.mark.slow
@pytest.mark.covers("S3.2", "P2")
@pytest.mark.parametrize("round_", range(10))
def test_of_eight_processes_one_takes_the_only_step(flightlog: Cli, shared: Daemon, round_: int) -> None:
    """In a chain of one step exactly one prints it, and the others say why they did not."""
    execution = flightlog.ok("start", "--phases", "one,two").out.strip()

    said = all_at_once(flightlog, "advance", execution)

    assert sorted(code for code, _, _ in said) == [0] + [1] * (RIVALS - 1)
    assert sorted(out for _, out, _ in said) == [""] * (RIVALS - 1) + ["one → two\n"]
    reasons = {err.splitlines()[0] for code, _, err in said if code}
    assert reasons <= {
        f"flightlog advance: {execution} has changed in the meantime, nothing was written",
        f"flightlog advance: {execution} has ended already: succeeded",
    }
    assert len(events(shared, execution_id=execution, type=["execution.advanced"])) == 1


@pytest.mark.slow
@pytest.mark.covers("S3.2", "P2")
def test_eight_processes_never_take_a_step_twice(flightlog: Cli, shared: Daemon) -> None:
    """In a long chain whoever succeeds took a step of its own, and together they took them in order."""
    phases = [f"p{number}" for number in range(20)]
    execution = flightlog.ok("start", "--phases", ",".join(phases)).out.strip()

    said = all_at_once(flightlog, "advance", execution)

    steps = [f"{phases[place]} → {phases[place + 1]}\n" for place in range(len(phases) - 1)]
    taken = [out for code, out, _ in said if code == 0]
    assert taken
    assert sorted(taken, key=steps.index) == steps[: len(taken)]
    advanced = events(shared, execution_id=execution, type=["execution.advanced"])
    assert [f"{event['from_phase']} → {event['to_phase']}\n" for event in advanced] == steps[: len(taken)]
    assert flightlog.ok("phase", execution).out.strip() == phases[len(taken)]


@pytest.mark.slow
@pytest.mark.covers("S3.5", "P2")
def test_eight_processes_all_add_their_agent(flightlog: Cli) -> None:
    """Agents do not contradict each other: each process gets its own."""
    execution = flightlog.ok("start").out.strip()

    said = all_at_once(flightlog, "agent", "add", execution)

    assert {(code, err) for code, _, err in said} == {(0, "")}
    listed = {row[0] for row in flightlog.ok("agent", "list", execution).rows}
    assert listed == {out.strip() for _, out, _ in said}
    assert len(listed) == RIVALS
