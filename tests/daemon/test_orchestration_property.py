"""Random commands and crashes: a real daemon and an oracle that knows the rules never disagree."""

import itertools
import json
import os
from typing import Any, Final, NamedTuple

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule, run_state_machine_as_test

from flightlog_schemas.limits import INT64_MAX
from support.daemon import Daemon, DaemonFactory, run_flightlogd
from support.oracle import CHAIN, QUIET, Fate, Oracle, Run
from support.peers import IngestPeer, Json, QueryPeer
from support.users import effective_user

USERS: Final = (0, 65533, 65534) if os.getuid() == 0 else (os.getuid(),) * 3
"""Who the producers are: where the tests are root, root and two who are strangers to each other."""

EXECUTIONS: Final[dict[str, Json]] = {
    "plain": {},
    "default": {"complexity": 2},
    "own": {"phases": ["build", "test", "ship"]},
}
"""Last part of an id to what its announcements may say of a chain."""

_prefixes = (f"example-{number:05}" for number in itertools.count())


class Command(NamedTuple):
    """One line to send.

    Attributes:
        kind: Last part of the execution's id.
        type: Of the event.
        fields: What else it says.
        chain: Whether an announcement names the chain.
        expect: What it expects of the execution's position, if anything.
        key: Its key, if it has one; keys are few, so that some come again.
    """

    kind: str
    type: str
    fields: Json
    chain: bool
    expect: str | None
    key: int | None


def _fields(kind: str) -> st.SearchStrategy[tuple[str, Json]]:
    """Return a strategy for (type, fields) of an event of one of the executions."""
    phases = st.sampled_from([*EXECUTIONS[kind].get("phases", CHAIN), "nowhere"])
    labels = st.dictionaries(st.sampled_from("xy"), st.sampled_from("12"), max_size=2)
    agents = st.sampled_from(["a1", "a2"])
    tokens = st.integers(0, 1000)
    changes: dict[str, st.SearchStrategy[Any]] = {"labels": labels}
    if kind != "own":
        changes["complexity"] = st.integers(1, 5)
    events: dict[str, dict[str, st.SearchStrategy[Any]]] = {
        "execution.created": {"labels": labels},
        "execution.started": {"labels": labels},
        "execution.waiting": {},
        "execution.resumed": {},
        "execution.advanced": {"to_phase": phases, "skipped": st.lists(phases, max_size=1)},
        "execution.blocked": {"to_phase": phases, "cause": st.sampled_from(["gate", "paused"])},
        "execution.changed": changes,
        "execution.counted": {"counts": st.dictionaries(st.sampled_from("mn"), st.integers(-5, 5))},
        # A process that lives: ours.
        "execution.adopted": {"owner": st.just({"pid": os.getpid()})},
        "execution.ended": {
            "outcome": st.sampled_from(["succeeded", "partial", "failed", "cancelled", "timed_out"])
        },
        "execution.lost": {"reason": st.just("a guess")},
        "agent.added": {"agent_id": agents, "agent_type": st.sampled_from(["claude", "codex"])},
        "agent.updated": {"agent_id": agents, "status": st.sampled_from(["active", "completed", "failed"])},
        "agent.usage": {"agent_id": agents, "input_tokens": tokens, "output_tokens": tokens},
        "artifact.added": {"path": st.sampled_from(["/p/a", "/p/b"]), "phase": phases},
        "log": {"message": st.just("m"), "time": st.integers(0, 2 * 10**15)},
        "my.note": {},
    }
    return st.sampled_from(sorted(events)).flatmap(
        lambda name: st.tuples(st.just(name), st.fixed_dictionaries(events[name]))
    )


@st.composite
def _commands(draw: st.DrawFn) -> Command:
    kind = draw(st.sampled_from(sorted(EXECUTIONS)))
    event_type, fields = draw(_fields(kind))
    expect = draw(st.sampled_from([None, None, None, "right", "wrong", "new"]))
    key = draw(st.none() | st.integers(0, 5))
    return Command(kind, event_type, fields, draw(st.booleans()), expect, key)


batches = st.lists(_commands(), min_size=1, max_size=6)
users = st.integers(0, len(USERS) - 1)


class Producer:
    """A named producer of one user, which comes back after each crash of the daemon."""

    def __init__(self, daemon: Daemon, name: str, uid: int) -> None:
        self._daemon = daemon
        self._peer: IngestPeer | None = None
        self.name = name
        self.uid = uid
        self.lines = 0
        """How many of its lines are settled."""

    def connected(self) -> IngestPeer:
        """Return its connection, made anew where there is none, to go on after its settled lines."""
        if self._peer is None:
            with effective_user(self.uid):
                self._peer = IngestPeer(self._daemon.ingest_socket)
            acked = self._peer.hello(self.name, self.lines + 1)["ready"]["acked"]
            assert acked >= self.lines, f"{self.lines} lines were acked and {acked} are known"
        return self._peer

    def close(self) -> None:
        """Let its connection go."""
        if self._peer is not None:
            self._peer.close()
            self._peer = None


class Orchestration(RuleBasedStateMachine):
    """Producers of three users tell of three executions; now and then the daemon is killed.

    Args:
        daemon: A running daemon, shared by all examples.
    """

    def __init__(self, daemon: Daemon) -> None:
        super().__init__()
        self._daemon = daemon
        self._prefix = next(_prefixes)
        self._oracle = Oracle()
        self._producers = [
            Producer(daemon, f"{self._prefix}-{place}", uid) for place, uid in enumerate(USERS)
        ]
        self._crashes = 0

    @rule(user=users, batch=batches)
    def tell(self, user: int, batch: list[Command]) -> None:
        """Send some lines and read what became of each."""
        producer = self._producers[user]
        peer = producer.connected()
        lines, fates = self._prepare(producer, batch)
        peer.send_lines(*lines)
        replies = peer.until_ack(producer.lines + len(lines))
        refused = {
            reply[fate]["line"]: fate
            for reply in replies
            for fate in reply
            if fate in ("refused", "duplicate")
        }
        expected = {
            number: "duplicate" if fate == "duplicate" else "refused"
            for number, fate in enumerate(fates, producer.lines + 1)
            if fate != "stored"
        }
        assert refused == expected
        assert all(reply["refused"]["code"] == "conflict" for reply in replies if "refused" in reply)
        producer.lines += len(lines)

    @precondition(lambda self: self._crashes == 0)
    @rule(user=users, batch=batches, acked=st.booleans())
    def crash(self, user: int, batch: list[Command], acked: bool) -> None:
        """Send some lines and kill the daemon, at once or after their ack; what was not acked goes again."""
        self._crashes += 1
        producer = self._producers[user]
        peer = producer.connected()
        lines, _ = self._prepare(producer, batch)
        settled = producer.lines + len(lines)
        peer.send_lines(*lines)
        if acked:
            peer.until_ack(settled)
            producer.lines = settled
        self._daemon.kill()
        for other in self._producers:
            other.close()
        self._daemon.start()
        peer = producer.connected()
        if not acked:
            peer.send_lines(*lines)
            peer.until_ack(settled)
            producer.lines = settled
        self._compare()

    def _prepare(self, producer: Producer, batch: list[Command]) -> tuple[list[bytes], list[Fate]]:
        """Return the lines of some commands, and what the oracle says will become of each."""
        lines: list[bytes] = []
        fates: list[Fate] = []
        touched: set[str] = set()
        for command in batch:
            name = f"{self._prefix}-{command.kind}"
            event: Json = {"type": command.type, "execution_id": name} | command.fields
            if command.chain and command.type in ("execution.created", "execution.started"):
                event |= EXECUTIONS[command.kind]
            if command.key is not None:
                event["id"] = f"{self._prefix}-{command.key}"
            if command.expect == "right" and name not in touched:
                event["expect_seq"] = self._state_seq(name)
            elif command.expect == "wrong":
                event["expect_seq"] = INT64_MAX
            elif command.expect == "new":
                event["expect_seq"] = 0
            touched.add(name)
            fates.append(
                self._oracle.take(producer.uid, producer.name, event, expected=command.expect == "right")
            )
            lines.append(json.dumps(event).encode())
        return lines, fates

    def _state_seq(self, name: str) -> int:
        if name not in self._oracle.runs:
            return 0
        with QueryPeer(self._daemon.query_socket) as reader:
            found: int = reader.ask("inspect", execution_id=name).one("execution")["state_seq"]
            return found

    def _compare(self) -> None:
        with QueryPeer(self._daemon.query_socket) as reader:
            for kind in EXECUTIONS:
                name = f"{self._prefix}-{kind}"
                run = self._oracle.runs.get(name)
                if run is None:
                    error = reader.ask("inspect", execution_id=name).error
                    assert error is not None
                    assert error["code"] == "not_found"
                else:
                    assert _answers(reader, name) == _expected(run)

    def teardown(self) -> None:
        """Compare all that the daemon says with what the oracle knows."""
        try:
            self._compare()
        finally:
            for producer in self._producers:
                producer.close()


def _answers(reader: QueryPeer, name: str) -> Json:
    """Return what the daemon says of an execution."""
    execution = reader.ask("inspect", execution_id=name).one("execution")
    events = reader.ask("events", execution_id=name, logs=True).lines
    moves = [row["seq"] for row in events if row["event"]["type"] not in QUIET]
    assert execution["state_seq"] == (moves[-1] if moves else 0)
    position = reader.ask("phase", execution_id=name).one("phase")
    fields = ("status", "uid", "phase", "phases", "complexity", "labels", "counts", "log_count")
    sums = ("agent_count", "input_tokens", "output_tokens")
    agents = reader.ask("agents", execution_id=name).all("agent")
    return {
        "types": [row["event"]["type"] for row in events],
        "execution": {field: execution[field] for field in (*fields, *sums)},
        "agents": [
            [agent[field] for field in ("agent_id", "agent_type", "status", "input_tokens", "output_tokens")]
            for agent in agents
        ],
        "artifacts": [
            (artifact["path"], artifact["phase"])
            for artifact in reader.ask("artifacts", execution_id=name).all("artifact")
        ],
        "active_agents": position["active_agents"],
        "artifacts_of_phase": position["artifacts"],
        "trail": [entry["event_type"] for entry in reader.ask("audit", execution_id=name).all("audit")],
    }


def _expected(run: Run) -> Json:
    """Return the same as the oracle knows it."""
    agents = run.agents.items()
    return {
        "types": run.types,
        "execution": {
            "status": run.status,
            "uid": run.uid,
            "phase": run.phase,
            "phases": run.phases,
            "complexity": run.complexity,
            "labels": run.labels,
            "counts": run.counts,
            "log_count": run.types.count("log"),
            "agent_count": len(agents),
            "input_tokens": sum(agent.input_tokens for _, agent in agents),
            "output_tokens": sum(agent.output_tokens for _, agent in agents),
        },
        "agents": [
            [name, agent.agent_type, agent.status, agent.input_tokens, agent.output_tokens]
            for name, agent in agents
        ],
        "artifacts": run.artifacts,
        "active_agents": run.active_agents,
        "artifacts_of_phase": 0
        if run.phase is None
        else sum(phase == run.phase for _, phase in run.artifacts),
        "trail": run.trail,
    }


@pytest.mark.covers("D4", "D8", "S1.6", "S3.1", "S3.5", "S3.6", "P2")
@pytest.mark.slow
def test_the_daemon_and_the_rules_never_disagree(daemon_factory: DaemonFactory) -> None:
    """Whatever is told in whatever order, by whom, twice, through crashes: the answers follow the rules."""
    daemon = daemon_factory(ingest_mode="0666")
    # Other users must reach the socket.
    daemon.runtime_dir.parent.chmod(0o711)

    class Here(Orchestration):
        def __init__(self) -> None:
            super().__init__(daemon)

    run_state_machine_as_test(
        Here,
        settings=settings(
            max_examples=30,
            stateful_step_count=20,
            deadline=None,
            suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
        ),
    )

    where = ["--state-dir", str(daemon.state_dir), "--runtime-dir", str(daemon.runtime_dir)]
    done = run_flightlogd("rebuild", "--check", *where)
    assert (done.returncode, done.stdout) == (0, "read models are what the log says\n"), done.stderr
