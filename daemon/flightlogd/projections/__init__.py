"""Read models: each is one module with its tables and what each event does to them.

A projection takes a connection and an event, reads no clock, does no I/O of its own, writes only its own
tables and reads no other's. Live, catch-up and rebuild run the same functions, so a read model is a function
of the log (D8).
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Final, Protocol

import apsw

from flightlogd.projections import agent, artifact, audit, execution, log, plan, task
from flightlogd.projections.quiet import Quiet
from flightlogd.projections.totals import Totals
from flightlogd.recorded import Recorded


class Projection(Protocol):
    """What a module here provides."""

    @property
    def NAME(self) -> str:  # noqa: N802  # a module's constant
        """Its name in `status` and in the projection table."""

    @property
    def VERSION(self) -> int:  # noqa: N802
        """Raised with any change of its tables or rules; a start with another version rebuilds it."""

    @property
    def TABLES(self) -> Mapping[str, tuple[str, ...]]:  # noqa: N802
        """Its tables, with the columns of their keys in order."""

    @property
    def SCHEMA(self) -> str:  # noqa: N802
        """SQL that makes its tables."""

    def apply(self, db: apsw.Connection, recorded: Recorded) -> None:
        """Take one event that is no log line and no user's own."""

    @property
    def apply_all(self) -> Callable[[apsw.Connection, Sequence[Recorded]], None] | None:
        """Takes consecutive events at once, to the same effect; None where there is nothing to be gained."""

    @property
    def apply_quiet(self) -> Callable[[apsw.Connection, Sequence[Quiet]], None] | None:
        """Takes what a run of batches holds of log lines and other events that move no state.

        Must not depend on how batches are grouped, nor on being called before or after `apply` for them.
        None where they are no concern: a commit of log lines alone then leaves the projection out.
        """

    @property
    def TOTALS(self) -> Totals | None:  # noqa: N802
        """Its sums over executions, None where it has none."""


PROJECTIONS: Final[tuple[Projection, ...]] = (execution, audit, log, task, agent, artifact, plan)
"""In the order in which they run; none depends on another."""
