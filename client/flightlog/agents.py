"""An agent that works inside an execution, and what it uses."""

import os
from types import TracebackType
from typing import TYPE_CHECKING, Final, Self

from flightlog.clock import now_us
from flightlog.ids import new_id
from flightlog.outcome import Ending, ending_of
from flightlog.scope import Scope
from flightlog_schemas.events.agent import AgentAdded, AgentStatus, AgentUpdated, AgentUsage

if TYPE_CHECKING:
    from flightlog.client import Client

_REASON_LIMIT_CHARS: Final = 1_000


class Agent(Scope):
    """An agent, active from `start` to `end`; as a context manager, for its block.

    Leaving the block says how it went: `completed`, or `failed` with the exception as the reason. What is
    logged inside carries its id. Made by `Execution.agent`, which says what the arguments mean.

    Attributes:
        agent_id: Its id within the execution.
        name: What people call it.
    """

    agent_id: str

    def __init__(
        self,
        client: "Client",
        execution_id: str,
        name: str | None,
        *,
        agent_id: str | None,
        agent_type: str,
        model: str | None,
        dispatch_id: str | None,
        parent_agent_id: str | None,
        task_id: str | None,
    ) -> None:
        super().__init__(client, execution_id, task_id, agent_id or new_id())
        self.name = name
        self._announced = AgentAdded(
            execution_id=execution_id,
            agent_id=self.agent_id,
            task_id=task_id,
            agent_type=agent_type,
            name=name,
            dispatch_id=dispatch_id,
            model=model,
            parent_agent_id=parent_agent_id,
        )
        self._owner_pid: int | None = None
        self._open = False

    def start(self) -> Self:
        """Say that it works from here on. A second call does nothing."""
        if self._owner_pid is None:
            self._owner_pid = os.getpid()
            self._open = True
            self._announced.time = now_us()
            self._client.put_now(self._announced)
        return self

    def end(self, status: AgentStatus = "completed", *, reason: str | None = None) -> None:
        """Say how it went. Only the first call counts, and only in the process that started it.

        Args:
            status: `completed` or `failed`.
            reason: Why, in a word or a sentence.
        """
        if not self._open or self._owner_pid != os.getpid():
            return
        self._open = False
        self._client.put_now(
            AgentUpdated(
                execution_id=self.execution_id,
                agent_id=self.agent_id,
                task_id=self.task_id,
                time=now_us(),
                status=status,
                reason=reason,
            )
        )

    def usage(
        self,
        *,
        model: str | None = None,
        input_tokens: int = 0,
        output_tokens: int = 0,
        cost_usd: float = 0.0,
    ) -> None:
        """Add what one call of a model used to the sums of the agent and of its execution.

        Args:
            model: The model that was called.
            input_tokens: What it read.
            output_tokens: What it wrote.
            cost_usd: What it cost, in US dollars.
        """
        self._put(
            AgentUsage(
                execution_id=self.execution_id,
                agent_id=self.agent_id,
                task_id=self.task_id,
                time=now_us(),
                model=model,
                input_tokens=input_tokens,
                output_tokens=output_tokens,
                cost_usd=cost_usd,
            )
        )

    def __enter__(self) -> Self:
        self.start()
        return self._enter()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._leave()
        ending = ending_of(error)
        self.end("completed" if ending.outcome == "succeeded" else "failed", reason=_reason(ending))


def _reason(ending: Ending) -> str | None:
    if ending.error is None:
        return ending.reason
    return f"{ending.error.type}: {ending.error.message}"[:_REASON_LIMIT_CHARS]
