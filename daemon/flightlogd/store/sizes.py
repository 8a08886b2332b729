"""How much of the database each table takes, its indexes included: real bytes of the file."""

from pathlib import Path
from typing import Final

import apsw

_LOG: Final = "event_batch"


def table_sizes(db: apsw.Connection) -> dict[str, int]:
    """Return bytes by table, largest first.

    All tables but the log are counted page by page (sqlite.org/dbstat.html); the log, which is most of the
    file, is what is left of the pages in use. So this takes as long as reading all but the log.
    """
    tables: dict[str, int] = {}
    names = db.execute(
        "select name, tbl_name from sqlite_schema where rootpage > 0 and tbl_name <> ?", (_LOG,)
    ).fetchall()
    for name, table in names:
        size = db.execute("select sum(pgsize) from dbstat where name = ? and aggregate = true", (name,)).get
        tables[str(table)] = tables.get(str(table), 0) + int(size or 0)
    pages = int(db.pragma("page_count")) - int(db.pragma("freelist_count"))
    tables[_LOG] = max(0, pages * int(db.pragma("page_size")) - sum(tables.values()))
    return dict(sorted(tables.items(), key=lambda item: -item[1]))


def file_size(path: Path) -> int:
    """Return the size of a file, 0 where there is none."""
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0
