"""Strict commands from Python: who wins, who is refused, and that nothing is written then."""

import os
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from flightlog import Client, Conflict, DaemonAway, QueryFailed, Refusal, UsageError, commands
from flightlog.ids import new_id
from flightlog_schemas.events import Event
from flightlog_schemas.events.execution import ExecutionStarted
from support.daemon import Daemon, DaemonFactory
from support.programs import events, run_program

STRANGER = """
import os
import flightlog.append, flightlog_schemas.codec  # now: somebody else may not be able to read this Python
from flightlog import Refusal, commands
os.setuid(65534)
for command in (commands.cancel, commands.finish, commands.advance):
    try:
        command({execution_id!r})
    except Refusal as refusal:
        print(refusal)
"""


class Rival(commands.Daemon):
    """Writes only when all rivals are about to: whatever they asked, they asked it before.

    Args:
        runtime_dir: Where the daemon's sockets are.
        count: How many rivals there are, each a thread.
    """

    def __init__(self, runtime_dir: Path, count: int) -> None:
        super().__init__(runtime_dir)
        self._barrier = threading.Barrier(count)
        self._thread = threading.local()

    def write(self, *events: Event) -> int:
        """Wait for the others the first time, then write."""
        if not hasattr(self._thread, "met"):
            self._thread.met = True
            self._barrier.wait(30)
        return super().write(*events)


class Crossed(commands.Daemon):
    """Somebody else sets a label whenever this is about to write."""

    def write(self, *events: Event) -> int:
        """Let somebody else write first."""
        execution_id = events[0].execution_id
        assert execution_id is not None
        commands.set_(execution_id, labels={"else": "1"}, daemon=commands.Daemon(self.directory))
        return super().write(*events)


class CrossedOnce(Crossed):
    """Somebody else comes between the first and the second writing alone."""

    def __init__(self, runtime_dir: Path) -> None:
        super().__init__(runtime_dir)
        self._times = 0

    def write(self, *events: Event) -> int:
        """Write, the second time after somebody else."""
        self._times += 1
        return super().write(*events) if self._times == 2 else commands.Daemon.write(self, *events)


@pytest.fixture
def there(shared_daemon: Daemon) -> commands.Daemon:
    """Give the module's daemon as commands see it."""
    return commands.Daemon(shared_daemon.runtime_dir)


def started(there: commands.Daemon, **fields: object) -> str:
    """Start an execution with the default chain and return its id."""
    known = {"execution_id": new_id(), "complexity": 3} | fields
    return commands.start(ExecutionStarted(**known), daemon=there)  # type: ignore[arg-type]  # as given


def all_at_once(*commanders: Callable[[], object]) -> list[object]:
    """Run each in a thread of its own; return what each returned, or the refusal that it raised."""
    results: list[object] = [None] * len(commanders)

    def run(place: int, commander: Callable[[], object]) -> None:
        try:
            results[place] = commander()
        except Refusal as refusal:
            results[place] = refusal

    threads = [threading.Thread(target=run, args=each) for each in enumerate(commanders)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    return results


@pytest.mark.covers("P2", "S3.2")
@pytest.mark.parametrize("round_", range(20))
def test_of_concurrent_steps_one_is_made(shared_daemon: Daemon, there: commands.Daemon, round_: int) -> None:
    """Of eight that saw the same state one advances; the others hear so, and have written nothing."""
    execution_id = started(there)
    rival = Rival(shared_daemon.runtime_dir, 8)

    results = all_at_once(*[lambda: commands.advance(execution_id, daemon=rival)] * 8)

    steps = [result for result in results if isinstance(result, commands.Advanced)]
    assert [(step.from_phase, step.to_phase) for step in steps] == [("brainstorm", "brainstorm-reviewed")]
    lost = [result for result in results if isinstance(result, Conflict)]
    assert len(lost) == 7
    assert {refusal.reason for refusal in lost} == {
        f"{execution_id} has changed in the meantime, nothing was written"
    }
    assert {refusal.exit_code for refusal in lost} == {1}
    assert len(events(shared_daemon, execution_id=execution_id, type=["execution.advanced"])) == 1


@pytest.mark.covers("P2", "S3.3")
def test_of_concurrent_contradictions_one_wins(shared_daemon: Daemon, there: commands.Daemon) -> None:
    """Step, ending, cancelling and setting that saw the same state exclude each other."""
    execution_id = started(there)
    rival = Rival(shared_daemon.runtime_dir, 4)

    results = all_at_once(
        lambda: commands.advance(execution_id, daemon=rival),
        lambda: commands.finish(execution_id, "failed", daemon=rival),
        lambda: commands.cancel(execution_id, daemon=rival),
        lambda: commands.set_(execution_id, complexity=1, daemon=rival),
    )

    assert sum(isinstance(result, Conflict) for result in results) == 3
    assert len(events(shared_daemon, execution_id=execution_id)) == 2


@pytest.mark.covers("P2", "S3.5", "S3.6")
def test_concurrent_additions_all_count(
    shared_daemon: Daemon, there: commands.Daemon, tmp_path: Path
) -> None:
    """Agents and artifacts that are added at once contradict nobody: all are there in the end."""
    execution_id = started(there)
    rival = Rival(shared_daemon.runtime_dir, 6)

    results = all_at_once(
        *(lambda n=n: commands.add_agent(execution_id, agent_id=f"a{n}", daemon=rival) for n in range(3)),
        *(lambda n=n: commands.add_artifact(execution_id, tmp_path / str(n), daemon=rival) for n in range(3)),
    )

    assert [result for result in results if isinstance(result, Exception)] == []
    told = [event["type"] for event in events(shared_daemon, execution_id=execution_id)]
    assert sorted(told[1:]) == ["agent.added"] * 3 + ["artifact.added"] * 3


@pytest.mark.covers("P2", "S3.5")
def test_an_agent_id_is_given_once(shared_daemon: Daemon, there: commands.Daemon) -> None:
    """Of two that add an agent by the same id one does, and the other hears that there is one."""
    execution_id = started(there)
    rival = Rival(shared_daemon.runtime_dir, 2)

    results = all_at_once(*[lambda: commands.add_agent(execution_id, agent_id="a1", daemon=rival)] * 2)

    [refusal] = [result for result in results if isinstance(result, Refusal)]
    assert refusal.reason == f"{execution_id} has an agent a1 already, nothing was written"
    assert len(events(shared_daemon, execution_id=execution_id, type=["agent.added"])) == 1


@pytest.mark.covers("P2", "S3.3")
def test_half_a_command_is_not_left_behind(shared_daemon: Daemon, there: commands.Daemon) -> None:
    """A setting and an owner are set together, also where somebody comes between the one and the other."""
    execution_id = started(there)
    crossed = CrossedOnce(shared_daemon.runtime_dir)

    told = commands.set_(execution_id, complexity=2, owner=os.getpid(), daemon=crossed)

    assert told.owner is not None
    assert (told.complexity, told.owner.pid, told.labels) == (2, os.getpid(), {"else": "1"})


@pytest.mark.covers("P2", "S3.5", "S3.6")
def test_trying_again_has_an_end(shared_daemon: Daemon, there: commands.Daemon, tmp_path: Path) -> None:
    """Where somebody comes between every time, an addition gives up and says so, with nothing written."""
    execution_id = started(there)

    with pytest.raises(Conflict):
        commands.add_artifact(execution_id, tmp_path, daemon=Crossed(shared_daemon.runtime_dir))

    assert events(shared_daemon, execution_id=execution_id, type=["artifact.added"]) == []


@pytest.mark.covers("S3.2", "S3.8")
def test_a_block_says_what_was_found(there: commands.Daemon) -> None:
    """The exception of a gate that does not hold carries the evidence; the one of a pause has none."""
    execution_id = started(there)

    with pytest.raises(commands.Blocked) as blocked:
        commands.advance(execution_id, priority=0, daemon=there)
    assert [(gate.gate, gate.passed) for gate in blocked.value.gates] == [("artifact_exists", False)]
    commands.set_(execution_id, auto_advance=False, daemon=there)
    with pytest.raises(commands.Blocked, match="paused") as paused:
        commands.advance(execution_id, daemon=there)
    assert paused.value.gates == ()
    assert commands.advance(execution_id, reason="go", priority=4, daemon=there).gates == ()


@pytest.mark.covers("S0.3", "S3.3")
def test_commands_return_what_came_of_them(there: commands.Daemon) -> None:
    """Each answers with the execution or agent as it is then; finishing again in the same way with None."""
    execution_id = started(there)

    assert commands.set_(execution_id, labels={"a": "1"}, daemon=there).labels == {"a": "1"}
    agent = commands.add_agent(execution_id, name="n", daemon=there)
    used = commands.update_agent(execution_id, agent.agent_id, input_tokens=5, status="failed", daemon=there)
    assert (used.status, used.name, used.input_tokens) == ("failed", "n", 5)
    ended = commands.finish(execution_id, "partial", counts={"n": 2}, daemon=there)
    assert ended is not None
    assert (ended.status, ended.counts) == ("partial", {"n": 2})
    assert commands.finish(execution_id, "partial", daemon=there) is None


@pytest.mark.covers("S0.3", "S3.3", "S3.7")
def test_refusals_are_exceptions_with_reasons(there: commands.Daemon, tmp_path: Path) -> None:
    """What makes no sense raises what callers can tell apart, with the exit code of the command line."""
    ended = started(there)
    commands.cancel(ended, daemon=there)

    for command in (commands.cancel, commands.finish, commands.advance):
        with pytest.raises(Refusal, match="has ended already: cancelled") as refusal:
            command(ended, daemon=there)
        assert refusal.value.exit_code == 1
    with pytest.raises(Refusal, match="exists already"):
        started(there, execution_id=ended)
    with pytest.raises(QueryFailed, match="no such execution"):
        commands.set_("nobody", complexity=1, daemon=there)
    with pytest.raises(UsageError, match="complexity"):
        commands.set_(ended, complexity=6, daemon=there)
    with pytest.raises(UsageError, match="nothing"):
        commands.set_(ended, daemon=there)
    with pytest.raises(UsageError, match="no process"):
        commands.set_(ended, owner=999_999_999, daemon=there)
    with pytest.raises(UsageError, match="nothing"):
        commands.update_agent(ended, "a", daemon=there)
    with pytest.raises(UsageError, match="no amount"):
        commands.update_agent(ended, "a", cost_usd=float("inf"), daemon=there)
    with pytest.raises(Refusal, match="has no agent a"):
        commands.update_agent(ended, "a", status="failed", daemon=there)
    with pytest.raises(DaemonAway):
        commands.cancel(ended, daemon=commands.Daemon(tmp_path))


@pytest.mark.covers("S0.3", "S3.3")
def test_what_a_stranger_commands_is_recorded_and_told(daemon_factory: DaemonFactory) -> None:
    """A command by a user whose execution it is not is stored, changes nothing, and the user hears so."""
    if os.geteuid() != 0:
        pytest.skip("needs root to become somebody else")
    daemon = daemon_factory(ingest_mode="0666", query_mode="0666")
    there = commands.Daemon(daemon.runtime_dir)
    execution_id = started(there)
    daemon.state_dir.parent.chmod(0o755)
    daemon.runtime_dir.chmod(0o755)

    done = run_program(STRANGER.format(execution_id=execution_id), daemon.runtime_dir)

    said = "recorded, but it changes nothing: uid 65534 does not own this execution (uid 0 does)"
    assert (done.stdout.splitlines(), done.stderr) == ([said] * 3, "")
    assert there.execution(execution_id).status == "running"


@pytest.mark.covers("S0.2", "S3.2")
def test_commands_and_facts_meet(client: Client, daemon: Daemon) -> None:
    """A program emits, a command from elsewhere leads it on, and what the program says last counts."""
    there = commands.Daemon(daemon.runtime_dir)
    with client.execution(phases=["one", "two", "three"]) as run:
        assert client.flush()
        assert commands.advance(run.execution_id, daemon=there).to_phase == "two"
        run.count("files", 2)

    assert client.flush()
    told = there.execution(run.execution_id)
    assert (told.phase, told.status, told.counts) == ("two", "succeeded", {"files": 2})
