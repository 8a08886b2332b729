"""What a read model keeps beside its rows: sums over executions."""

from collections.abc import Callable
from typing import NamedTuple

import apsw


class Totals(NamedTuple):
    """Sums that follow from a projection's other tables.

    Attributes:
        tables: Their tables, among the projection's; these have no `execution_id`.
        settle: Brings them level with what has changed, at the end of a run of events, or when an execution
            was forgotten.
    """

    tables: tuple[str, ...]
    settle: Callable[[apsw.Connection], None]
