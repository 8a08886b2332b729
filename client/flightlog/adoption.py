"""Taking over an execution that another process began."""

from typing import TYPE_CHECKING

from flightlog.clock import now_us
from flightlog.executions import Execution
from flightlog.process import boot_clock
from flightlog_schemas.events.envelope import Event
from flightlog_schemas.events.execution import ExecutionAdopted, ExecutionEnded, Owner

if TYPE_CHECKING:
    from flightlog.client import Client


class AdoptedExecution(Execution):
    """An execution that this process owns although another one announced it.

    From `start` on its end is this process's to tell, and the end of this process is its end. Otherwise it is
    an `Execution` like any. Made by `Client.adopt` or `flightlog.adopt`.
    """

    def __init__(self, client: "Client", execution_id: str) -> None:
        if not execution_id.isprintable() or not 0 < len(execution_id.strip()) == len(execution_id):
            raise ValueError(f"no id of an execution: {execution_id!r}")
        super().__init__(client, None, {"execution_id": execution_id})
        self.parent_id = None  # whatever it is part of was said when it was announced

    def _opening(self, owner: Owner) -> Event:
        return ExecutionAdopted(execution_id=self.execution_id, time=now_us(), owner=owner)

    def _measure(self, ending: ExecutionEnded) -> None:
        # Another process knows when it began: the daemon subtracts what that one's clock said.
        ending.clock = boot_clock()
