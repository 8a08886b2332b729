"""Lists are answered by index: no scan of a table, no sorting, whatever is asked for."""

import itertools

import apsw
import pytest

from flightlog_schemas.wire.query import ACTIVE, Executions, Status
from flightlogd.queries.execution import list_sql
from support.daemon import Daemon

FILTERS: dict[str, dict[str, object]] = {
    "project": {"project": "/p"},
    "name": {"name": "n"},
    "parent": {"parent_id": "e"},
    "since": {"since": 1},
    "until": {"until": 9},
    "page": {"before": "5:5"},
}
STATUSES: tuple[tuple[Status, ...], ...] = ((), ("failed",), ACTIVE)


@pytest.mark.covers("S0.6")
def test_every_list_walks_an_index(daemon: Daemon) -> None:
    """Every combination of two filters and a status is one walk along an index in the order of the list."""
    daemon.terminate()
    db = apsw.Connection(str(daemon.database), flags=apsw.SQLITE_OPEN_READONLY)
    slow: list[str] = []
    for chosen in itertools.chain([()], *(itertools.combinations(FILTERS, size) for size in (1, 2))):
        for status in STATUSES:
            arguments = {name: value for key in chosen for name, value in FILTERS[key].items()}
            sql, values = list_sql(Executions(**arguments), status, 50)  # type: ignore[arg-type]
            plan = [row[3] for row in db.execute(f"explain query plan {sql}", values)]
            if any("TEMP B-TREE" in step or ("SCAN" in step and "INDEX" not in step) for step in plan):
                slow.append(f"{chosen} {status}: {plan}")
    db.close()

    assert slow == []
