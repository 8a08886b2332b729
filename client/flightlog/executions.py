"""One run of a tool, workflow or agent session, as the program that runs it tells it."""

import os
import time
from collections.abc import Iterable, Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, TypedDict, Unpack

from flightlog import context
from flightlog.clock import now_us
from flightlog.encode import text
from flightlog.ids import new_id
from flightlog.outcome import describe, ending_of
from flightlog.process import boot_clock, this_process
from flightlog.scope import Scope
from flightlog_schemas.events.envelope import ErrorInfo, Event
from flightlog_schemas.events.execution import (
    ExecutionEnded,
    ExecutionStarted,
    Outcome,
    Owner,
    Trigger,
)

if TYPE_CHECKING:
    from flightlog.agents import Agent
    from flightlog.client import Client
    from flightlog.task_facts import TaskFacts
    from flightlog.tasks import Attempts, Task
    from flightlog_schemas.answers import TaskAttempt


class Announcement(TypedDict, total=False):
    """What may be said of an execution beside its name.

    Attributes:
        execution_id: Its id, 1 to 128 printable characters without white space; default: a new one.
        goal: What it is for.
        project: Root directory of what it works on; stored absolute, without symbolic links.
        labels: Named facts; values are stored as text.
        tool: The program that runs, where that is not the name.
        tool_version: Its version.
        args: Its arguments, stored as text.
        trigger: What set it off.
        parent_id: The execution that it is part of; default: the current one, or the one that this process
            was started inside.
        deadline_us: Microseconds since the epoch after which it counts as timed out.
        phases: Its own chain of phases, two or more.
        complexity: 1 to 5.
        auto_advance: Whether phases follow each other without being asked.
        force_full: Whether all phases are taken, whatever the complexity.
    """

    execution_id: str | None
    goal: str | None
    project: str | os.PathLike[str] | None
    labels: Mapping[str, object] | None
    tool: str | None
    tool_version: str | None
    args: Iterable[object] | None
    trigger: Trigger
    parent_id: str | None
    deadline_us: int | None
    phases: Iterable[str] | None
    complexity: int | None
    auto_advance: bool | None
    force_full: bool | None


class Execution(Scope):
    """An execution that this process owns from `start` to `end`; as a context manager, for its block.

    Leaving the block says how it ended: `succeeded`; `failed` by an exception or a `sys.exit` other than 0;
    `cancelled` by Ctrl-C or a cancelled asynchronous task. Exceptions go on their way. Inside,
    `flightlog.log` and nested executions find this one. A process that dies inside owes an ending, and the
    daemon sees that.

    Made by `Client.execution` or `flightlog.execution`, which raise TypeError for an unknown argument.

    Attributes:
        parent_id: The execution that this one is part of.
    """

    def __init__(self, client: "Client", name: str | None, announcement: Announcement) -> None:
        said = announcement
        if unknown := said.keys() - Announcement.__annotations__.keys():
            raise TypeError(f"execution() got an unexpected argument {min(unknown)!r}")
        super().__init__(client, said.get("execution_id") or new_id(), None)
        outer = context.get_current()
        self.parent_id = said.get("parent_id") or (
            outer.execution_id if outer else context.inherited_execution_id()
        )
        project, labels, args, phases = (
            said.get("project"),
            said.get("labels"),
            said.get("args"),
            said.get("phases"),
        )
        self._announced = ExecutionStarted(
            execution_id=self.execution_id,
            name=name,
            goal=said.get("goal"),
            project=None if project is None else os.path.realpath(project),
            labels={text(key): text(value) for key, value in labels.items()} if labels else None,
            tool=said.get("tool"),
            tool_version=said.get("tool_version"),
            args=None if args is None else tuple(text(arg) for arg in args),
            trigger=said.get("trigger", "manual"),
            parent_id=self.parent_id,
            deadline=said.get("deadline_us"),
            phases=None if phases is None else tuple(phases),
            complexity=said.get("complexity"),
            auto_advance=said.get("auto_advance"),
            force_full=said.get("force_full"),
        )
        self._owner_pid: int | None = None
        self._started_ns = 0
        self._open = False

    def start(self) -> Self:
        """Say that it runs now, owned by this process. A second call does nothing."""
        if self._owner_pid is None:
            owner = this_process()
            self._owner_pid = owner.pid
            self._started_ns = time.monotonic_ns()
            self._open = True
            self._client.opened(self)
            self._client.put_now(self._opening(owner))
        return self

    def _opening(self, owner: Owner) -> Event:
        """Return what says that it is this process's from here on."""
        self._announced.time, self._announced.owner = now_us(), owner
        self._announced.clock = boot_clock()
        return self._announced

    def _measure(self, ending: ExecutionEnded) -> None:
        """Say in its ending how long it took."""
        ending.duration_us = (time.monotonic_ns() - self._started_ns) // 1000

    def end(
        self,
        outcome: Outcome = "succeeded",
        *,
        reason: str | None = None,
        error: BaseException | ErrorInfo | str | None = None,
        exit_status: int | None = None,
        counts: Mapping[str, int] | None = None,
    ) -> None:
        """Say that it is over. Only the first call counts, and only in the process that started it.

        Args:
            outcome: How it ended.
            reason: Why, in a word or a sentence.
            error: What went wrong.
            exit_status: The exit status of the command that this was, 0..255.
            counts: Added to its counters.
        """
        if not self._open or self._owner_pid != os.getpid():
            return
        self._open = False
        ending = ExecutionEnded(
            execution_id=self.execution_id,
            time=now_us(),
            outcome=outcome,
            reason=reason,
            exit_status=exit_status,
        )
        self._measure(ending)
        for name, by in (counts or {}).items():
            self.count(name, by)
        if isinstance(error, BaseException):
            error = describe(error)
        elif isinstance(error, str):
            error = ErrorInfo(message=error)
        ending.error = error
        ending.counts = self._client.producer.take_counts(self.execution_id) or None
        self._client.put_now(ending)
        self._client.closed(self)

    def count(self, name: str, by: int = 1) -> None:
        """Add to a counter of the execution. Counts are summed up here and sent at most once a second.

        What is no whole number of 64 bits is left out, counted and declared.
        """
        self._client.producer.count(self.execution_id, text(name), by)

    def task(
        self,
        name: str,
        *,
        task_id: str | None = None,
        task_type: str | None = None,
        inputs: Mapping[str, Any] | None = None,
        retry_of: "Task | TaskAttempt | None" = None,
        **facts: "Unpack[TaskFacts]",
    ) -> "Task":
        """Return a unit of work inside, to be entered with `with`.

        Args:
            name: What it is called.
            task_id: Its id within the execution, 1 to 128 printable characters without white space; default:
                the name, with `-` for white space; of one that is too long the beginning, and a digest.
            task_type: What kind of work.
            inputs: What it works on.
            retry_of: The attempt that this one follows: same task, same trace, next attempt. One that another
                process made is what `flightlog.last_attempt` returns; if it has not ended, it fails by that.
            facts: What else is known, as `TaskFacts` says.
        """
        from flightlog.tasks import Task  # here and below, because many programs only log

        return Task(
            self._client,
            self.execution_id,
            name,
            task_id=task_id,
            task_type=task_type,
            inputs=inputs,
            retry_of=retry_of,
            agent_id=self._inside().agent_id,
            facts=facts,
        )

    def attempts(
        self,
        name: str,
        *,
        retries: int = 3,
        on: type[Exception] | tuple[type[Exception], ...] = Exception,
        task_id: str | None = None,
        task_type: str | None = None,
        inputs: Mapping[str, Any] | None = None,
        retry_of: "Task | TaskAttempt | None" = None,
        **facts: "Unpack[TaskFacts]",
    ) -> "Attempts":
        """Return attempts at a task, to be tried one after the other until one does not fail.

            for attempt in run.attempts("extract", retries=2, on=OSError):
                with attempt:
                    attempt.outputs = {"rows": extract()}

        A failure that is to be tried again does not leave its block; the last one does. Wait in the loop
        where a pause is wanted.

        Args:
            name: What the task is called.
            retries: How many attempts follow the first at the most.
            on: Failures after which there is another attempt.
            task_id: Its id within the execution, 1 to 128 printable characters without white space; default:
                the name, with `-` for white space; of one that is too long the beginning, and a digest.
            task_type: What kind of work.
            inputs: What it works on.
            retry_of: The attempt that the first one follows, as `task` takes it.
            facts: What else is known, as `TaskFacts` says.

        Raises:
            ValueError: `retries` is below 0.
        """
        from flightlog.tasks import Attempt, Attempts

        def make(retry_of: "Task | TaskAttempt | None", reason: str | None) -> Attempt:
            return Attempt(
                self._client,
                self.execution_id,
                name,
                task_id=task_id,
                task_type=task_type,
                inputs=inputs,
                retry_of=retry_of,
                agent_id=self._inside().agent_id,
                facts=facts,
                reason=reason,
            )

        return Attempts(make, retries, on if isinstance(on, tuple) else (on,), retry_of)

    def agent(
        self,
        name: str | None = None,
        *,
        agent_id: str | None = None,
        agent_type: str = "claude",
        model: str | None = None,
        dispatch_id: str | None = None,
        parent_agent_id: str | None = None,
    ) -> "Agent":
        """Return an agent that works inside, to be entered with `with`, or to be started and ended by hand.

        Args:
            name: What people call it.
            agent_id: Its id within the execution; default: a new one.
            agent_type: What kind of agent.
            model: The model that it runs on.
            dispatch_id: The id of what dispatched it, elsewhere.
            parent_agent_id: The agent that it works for; default: the one at work here.
        """
        from flightlog.agents import Agent

        inside = self._inside()
        return Agent(
            self._client,
            self.execution_id,
            name,
            agent_id=agent_id,
            agent_type=agent_type,
            model=model,
            dispatch_id=dispatch_id,
            parent_agent_id=parent_agent_id or inside.agent_id,
            task_id=inside.task_id,
        )

    def _inside(self) -> Scope:
        """Return the task or agent of this execution that the caller is in, or else the execution itself."""
        current = context.get_current()
        return current if current is not None and current.execution_id == self.execution_id else self

    def __enter__(self) -> Self:
        self.start()
        return self._enter()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._leave()
        ending = ending_of(error)
        self.end(ending.outcome, reason=ending.reason, error=ending.error, exit_status=ending.exit_status)
