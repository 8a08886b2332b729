"""Some events on their way into the audit trail: its state in memory, entries that are written together."""

from collections.abc import Sequence
from typing import Any, Final

import apsw
import msgspec

from flightlogd.lifecycle import Finding, State
from flightlogd.projections.attempts import Attempts
from flightlogd.projections.audit_task import TASK, TaskEntry
from flightlogd.recorded import Recorded
from flightlogd.store.rows import insert_rows, select_rows

_STATE: Final = msgspec.json.Decoder(State)


class Trail:
    """The audit trail while some consecutive events are applied.

    Args:
        db: The connection.
        singles: The events.
    """

    def __init__(self, db: apsw.Connection, singles: Sequence[Recorded]) -> None:
        self.db = db
        self.attempts = Attempts(db, TASK, singles)
        ids = dict.fromkeys(recorded.event.execution_id for recorded in singles)
        keys = [(execution_id,) for execution_id in ids if execution_id is not None]
        self._states: dict[str, State | None] = {execution_id: None for (execution_id,) in keys}
        sql = "select execution_id, state from audit_state where (execution_id)"
        for execution_id, state in select_rows(db, sql, keys):
            self._states[execution_id] = _STATE.decode(state)
        self._changed: dict[str, State] = {}
        self._entries: list[tuple[object, ...]] = []
        self._anomalies: set[tuple[str | None, str | None]] = set()

    def state(self, execution_id: str) -> State | None:
        """Return how an execution stands; None while nothing was said of that."""
        return self._states[execution_id]

    def stand(self, execution_id: str, state: State) -> None:
        """Note how an execution stands from now on."""
        if self._states[execution_id] != state:
            self._states[execution_id] = self._changed[execution_id] = state

    def enter(self, recorded: Recorded, place: int, event_type: str, finding: Finding | TaskEntry) -> None:
        """Enter what an event meant."""
        event = recorded.event
        detail: dict[str, Any] | None = finding.detail
        if event_type == "ANOMALY":
            self._anomalies.add((event.execution_id, finding.reason))
        self._entries.append(
            (
                recorded.seq,
                place,
                recorded.time,
                event.execution_id,
                event.task_id,
                event_type,
                finding.from_state,
                finding.to_state,
                finding.reason,
                recorded.uid,
                recorded.pid,
                None if detail is None else msgspec.json.encode(detail).decode(),
            )
        )

    def is_noted(self, execution_id: str | None, reason: str) -> bool:
        """Say whether an anomaly of an execution was entered before."""
        if (execution_id, reason) in self._anomalies:
            return True
        noted = "select 1 from audit where execution_id = ? and event_type = 'ANOMALY' and reason = ?"
        return self.db.execute(noted, (execution_id, reason)).get is not None

    def write(self) -> None:
        """Bring the tables level."""
        self.attempts.write()
        insert_rows(self.db, "audit", self._entries)
        insert_rows(
            self.db,
            "audit_state",
            [(key, msgspec.json.encode(state).decode()) for key, state in self._changed.items()],
            "on conflict (execution_id) do update set state = excluded.state",
        )
