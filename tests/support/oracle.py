"""What must be true of executions, agents and artifacts after some events, in plain Python.

Written from the requirements and without a look at how the daemon does it, so that the two can disagree.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal

ROOT_UID: Final = 0
CHAIN: Final = (
    "brainstorm",
    "brainstorm-reviewed",
    "strategized",
    "planned",
    "executing",
    "review",
    "polish",
    "done",
)
QUIET: Final = ("log", "agent.usage", "my.note")
"""Types that do not count as a change of an execution."""
ENDED: Final = {
    "succeeded": "COMPLETED",
    "partial": "COMPLETED",
    "failed": "FAILED",
    "cancelled": "CANCELLED",
    "timed_out": "TIMEOUT",
}
OVER: Final = (*ENDED, "lost")

Fate = Literal["stored", "duplicate", "conflict"]


@dataclass
class AgentRecord:
    """An agent as its events left it."""

    agent_type: str = "claude"
    status: str = "active"
    input_tokens: int = 0
    output_tokens: int = 0
    added: bool = False


@dataclass
class Run:
    """An execution as its events left it.

    Attributes:
        uid: Whose it is; None before somebody announced it.
        producer: Whose word on its end is final.
        types: Of all events stored, in order.
        trail: Types of its audit entries, in order.
        noted: What about its agents and artifacts has been found strange before.
    """

    status: str = "pending"
    uid: int | None = None
    producer: str | None = None
    phase: str | None = None
    phases: Sequence[str] | None = None
    complexity: int | None = None
    labels: dict[str, str] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)
    agents: dict[str, AgentRecord] = field(default_factory=dict)
    artifacts: list[tuple[str, str | None]] = field(default_factory=list)
    types: list[str] = field(default_factory=list)
    trail: list[str] = field(default_factory=list)
    noted: set[str] = field(default_factory=set)

    @property
    def moved(self) -> bool:
        """Whether anything but quiet events happened in it."""
        return any(name not in QUIET for name in self.types)

    @property
    def over(self) -> bool:
        """Whether it has ended."""
        return self.status in OVER

    @property
    def active_agents(self) -> list[str]:
        """Ids of its agents that are not done, in the order in which they were first heard of."""
        return [name for name, agent in self.agents.items() if agent.status == "active"]


class Oracle:
    """Takes events in the order in which the daemon takes them, and knows what is true afterwards."""

    def __init__(self) -> None:
        self.runs: dict[str, Run] = {}
        self._keys: set[tuple[int, str]] = set()

    def take(self, uid: int, producer: str, event: dict[str, Any], *, expected: bool) -> Fate:
        """Take one event and say what becomes of it.

        Args:
            uid: The user who sends it.
            producer: The client instance.
            event: As it is sent.
            expected: Whether an `expect_seq` other than 0 is the right one.
        """
        name = event["execution_id"]
        run = self.runs.get(name, Run())
        if (key := event.get("id")) is not None and (uid, key) in self._keys:
            return "duplicate"
        if (seq := event.get("expect_seq")) is not None and (run.moved if seq == 0 else not expected):
            return "conflict"
        if key is not None:
            self._keys.add((uid, key))
        self.runs[name] = run
        run.types.append(event["type"])
        family, _, what = event["type"].partition(".")
        if family == "execution":
            if run.uid in (None, uid) or uid == ROOT_UID:
                run.trail += getattr(self, f"_{what}")(run, uid, producer, event)
            else:
                run.trail.append("ANOMALY")  # a stranger's word changes nothing
        elif family in ("agent", "artifact"):
            getattr(self, f"_{family}_{what}")(run, event)
        return "stored"

    def _created(self, run: Run, uid: int, producer: str, event: dict[str, Any]) -> list[str]:
        if run.uid is not None:
            return ["ANOMALY"]
        run.uid, run.producer = uid, producer
        run.complexity = event.get("complexity", run.complexity)
        self._fill(run, event)
        return ["CREATED", "ANOMALY"] if run.over else ["CREATED"]

    def _started(self, run: Run, uid: int, producer: str, event: dict[str, Any]) -> list[str]:
        if run.uid is None:
            entries = self._created(run, uid, producer, event)
            if run.over:
                return entries
        elif run.status == "pending":
            entries = []
            if run.complexity is None:
                run.complexity = event.get("complexity")
            self._fill(run, event)
        else:
            return ["ANOMALY"]
        run.status, run.producer = "running", producer
        return [*entries, "STARTED"]

    @staticmethod
    def _fill(run: Run, event: dict[str, Any]) -> None:
        """Take from an announcement what is not known yet."""
        run.phases = run.phases or event.get("phases")
        run.labels = event.get("labels", {}) | run.labels
        if run.phases:
            if run.phase not in run.phases:
                run.phase = run.phases[0]
        elif run.phase is None and "complexity" in event:
            run.phase = CHAIN[0]

    def _waiting(self, run: Run, *_: object) -> list[str]:
        return self._move(run, "running", "waiting")

    def _resumed(self, run: Run, *_: object) -> list[str]:
        return self._move(run, "waiting", "running")

    @staticmethod
    def _move(run: Run, source: str, target: str) -> list[str]:
        if run.status != source:
            return ["ANOMALY"]
        run.status = target
        return ["STATE_CHANGE"]

    @staticmethod
    def _advanced(run: Run, _uid: int, _producer: str, event: dict[str, Any]) -> list[str]:
        if run.over:
            return ["ANOMALY"]
        chain = run.phases or CHAIN
        run.phase = event["to_phase"]
        entries = ["PHASE_SKIP" if event.get("skipped") else "PHASE_CHANGE"]
        if run.phase not in chain:
            entries.append("ANOMALY")
        elif run.phase == chain[-1]:
            run.status = "succeeded"
            entries.append("COMPLETED")
        return entries

    @staticmethod
    def _blocked(*_: object) -> list[str]:
        return ["PHASE_BLOCKED"]

    @staticmethod
    def _changed(run: Run, _uid: int, _producer: str, event: dict[str, Any]) -> list[str]:
        run.labels |= event.get("labels", {})
        if "complexity" in event:
            run.complexity = event["complexity"]
            run.phase = run.phase or CHAIN[0]
        return ["CHANGED"]

    @staticmethod
    def _counted(run: Run, _uid: int, _producer: str, event: dict[str, Any]) -> list[str]:
        for name, number in event["counts"].items():
            run.counts[name] = run.counts.get(name, 0) + number
        return []

    @staticmethod
    def _adopted(run: Run, _uid: int, producer: str, _event: dict[str, Any]) -> list[str]:
        if run.over:
            return ["ANOMALY"]
        run.producer = producer
        return ["ADOPTED"]

    @staticmethod
    def _ended(run: Run, _uid: int, producer: str, event: dict[str, Any]) -> list[str]:
        if run.over and not (run.status == "lost" and producer == run.producer):
            return ["ANOMALY"]
        run.status = event["outcome"]
        return [ENDED[run.status]] if run.uid is not None else [ENDED[run.status], "ANOMALY"]

    @staticmethod
    def _lost(run: Run, *_: object) -> list[str]:
        if run.over:
            return ["ANOMALY"]
        run.status = "lost"
        return ["LOST"]

    def _agent_added(self, run: Run, event: dict[str, Any]) -> None:
        agent = run.agents.setdefault(event["agent_id"], AgentRecord())
        self._note(run, f"{event['agent_id']} again" if agent.added else None)
        if not agent.added:
            agent.added, agent.agent_type = True, event["agent_type"]

    def _agent_updated(self, run: Run, event: dict[str, Any]) -> None:
        self._heard_of(run, event).status = event["status"]

    def _agent_usage(self, run: Run, event: dict[str, Any]) -> None:
        agent = self._heard_of(run, event)
        agent.input_tokens += event["input_tokens"]
        agent.output_tokens += event["output_tokens"]

    def _artifact_added(self, run: Run, event: dict[str, Any]) -> None:
        self._note(run, None)
        run.artifacts.append((event["path"], event.get("phase")))

    def _heard_of(self, run: Run, event: dict[str, Any]) -> AgentRecord:
        agent = run.agents.setdefault(event["agent_id"], AgentRecord())
        self._note(run, None if agent.added else f"{event['agent_id']} never added")
        return agent

    @staticmethod
    def _note(run: Run, strange: str | None) -> None:
        """Find strange, once each: things in an execution nobody announced, and what is said."""
        for reason in ("nobody announced it" if run.uid is None else None, strange):
            if reason is not None and reason not in run.noted:
                run.noted.add(reason)
                run.trail.append("ANOMALY")
