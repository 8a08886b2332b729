"""Connections that read: what ends a read leaves the next one alone."""

from pathlib import Path

import apsw
import pytest

from flightlogd.errors import QuestionError
from flightlogd.store.database import open_writer
from flightlogd.store.readers import InterruptedReadError, Readers

ENDLESS = "with recursive n(x) as (select 1 union all select x + 1 from n) select x from n"


@pytest.fixture
def database(tmp_path: Path) -> Path:
    """Give an empty database."""
    path = tmp_path / "some.db"
    open_writer(path).close()
    return path


@pytest.mark.covers("D10")
async def test_a_read_that_is_interrupted_twice(database: Path) -> None:
    """Where not even its transaction can be ended, its connection is given up; the next read has another."""
    readers = Readers(database, 1, 60_000)
    held = []

    def question(db: apsw.Connection) -> None:
        held.append(db.execute(ENDLESS))  # a statement under way keeps the interruption alive
        next(held[0])
        db.interrupt()
        db.execute("select 1").fetchall()

    with pytest.raises(InterruptedReadError):
        await readers.run(question)
    assert await readers.run(lambda db: db.execute("select 7").get) == 7
    readers.close()


@pytest.mark.covers("D10")
async def test_a_read_that_takes_too_long(database: Path) -> None:
    """It ends at its deadline, and says so."""
    readers = Readers(database, 1, 50)
    with pytest.raises(QuestionError, match="longer than 50 ms"):
        await readers.run(lambda db: db.execute(f"select max(x) from ({ENDLESS})").get)
    assert await readers.run(lambda db: db.execute("select 7").get) == 7
    readers.close()
