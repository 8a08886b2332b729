"""Rows to files: JSON lines, CSV, Parquet, each as the rows come and in bounded memory."""

import csv
import io
from collections.abc import Callable, Sequence
from typing import Any, BinaryIO, Final, Protocol

import msgspec

from flightlog.cli.models import Column, Json, Kind
from flightlog.cli.output import shown
from flightlog.errors import FlightlogError
from flightlog_schemas.times import rfc3339

_SPREADSHEET: Final = ("'", "=", "+", "-", "@", "\t", "\r")
"""What a spreadsheet takes for a formula, and the mark that stands before such a text."""

_GROUP_ROWS: Final = 10_000
_GROUP_BYTES: Final = 16 * 1024 * 1024
"""Of a Parquet file so much is gathered before it is written."""

_encode = msgspec.json.encode


class RowFile(Protocol):
    """A file that takes rows."""

    def write(self, values: Json, size_bytes: int) -> None:
        """Take a row that was read as so many bytes."""

    def close(self) -> None:
        """Write what is left; without it the file is not whole."""


class JsonLines:
    """A row is an object on a line, as `--json` shows it."""

    def __init__(self, out: BinaryIO, _columns: Sequence[Column]) -> None:
        self._out = out

    def write(self, values: Json, size_bytes: int) -> None:  # noqa: ARG002  # a RowFile
        """Take a row."""
        self._out.write(_encode(shown(values)) + b"\n")

    def close(self) -> None:
        """Have nothing left."""


class Csv:
    """A header, then a record for each row (RFC 4180, in UTF-8, lines end with a newline).

    What is not known is empty. A text that a spreadsheet would take for a formula, or that begins with `'`,
    has a `'` before it: who removes the first `'` of a text has the text.
    """

    def __init__(self, out: BinaryIO, columns: Sequence[Column]) -> None:
        self._text = io.TextIOWrapper(out, "utf-8", newline="", write_through=True)
        self._writer = csv.writer(self._text, lineterminator="\n")
        self._columns = columns
        self._writer.writerow([column.name for column in columns])

    def write(self, values: Json, size_bytes: int) -> None:  # noqa: ARG002  # a RowFile
        """Take a row."""
        self._writer.writerow([_CELLS[column.kind](values.get(column.name)) for column in self._columns])

    def close(self) -> None:
        """Let go of the stream, which is not ours."""
        self._text.flush()
        self._text.detach()


def _text_cell(value: Any) -> str | None:
    if value is None:
        return None
    text = str(value)
    return f"'{text}" if text.startswith(_SPREADSHEET) else text


_CELLS: Final[dict[Kind, Callable[[Any], object]]] = {
    "text": _text_cell,
    "integer": lambda value: value,
    "number": lambda value: value,
    "boolean": lambda value: None if value is None else str(value).lower(),
    "time": lambda value: None if value is None else rfc3339(value),
    "json": lambda value: None if value is None else _encode(value).decode(),
}


class Parquet:
    """Columns with types; objects and lists are JSON texts, times are microseconds in UTC.

    Raises:
        FlightlogError: pyarrow is not installed.
    """

    def __init__(self, out: BinaryIO, columns: Sequence[Column]) -> None:
        try:
            import pyarrow
            import pyarrow.parquet
        except ModuleNotFoundError as error:
            raise FlightlogError(f"{error.name} is not installed: pip install 'flightlog[parquet]'") from None
        types: dict[Kind, Any] = {
            "text": pyarrow.string(),
            "integer": pyarrow.int64(),
            "number": pyarrow.float64(),
            "boolean": pyarrow.bool_(),
            "time": pyarrow.timestamp("us", tz="UTC"),
            "json": pyarrow.string(),
        }
        self._columns = columns
        self._schema = pyarrow.schema([(column.name, types[column.kind]) for column in columns])
        self._batch = pyarrow.RecordBatch.from_pylist
        self._writer = pyarrow.parquet.ParquetWriter(_Told(out), self._schema, compression="zstd")
        self._rows: list[Json] = []
        self._size_bytes = 0

    def write(self, values: Json, size_bytes: int) -> None:
        """Take a row."""
        for column in self._columns:
            if column.kind == "json" and (value := values.get(column.name)) is not None:
                values[column.name] = _encode(value).decode()
        self._rows.append(values)
        self._size_bytes += size_bytes
        if len(self._rows) >= _GROUP_ROWS or self._size_bytes >= _GROUP_BYTES:
            self._write_group()

    def close(self) -> None:
        """Write the last rows, and what says where everything is."""
        self._write_group()
        self._writer.close()

    def _write_group(self) -> None:
        if self._rows:
            self._writer.write_batch(self._batch(self._rows, schema=self._schema))
            self._rows, self._size_bytes = [], 0


class _Told(io.RawIOBase):
    """A stream that knows how much was written to it, which a pipe does not."""

    def __init__(self, out: BinaryIO) -> None:
        self._out = out
        self._size_bytes = 0

    def writable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._size_bytes

    def write(self, data: Any) -> int:
        size = self._out.write(data)
        self._size_bytes += size
        return size


FORMATS: Final[dict[str, Callable[[BinaryIO, Sequence[Column]], RowFile]]] = {
    "jsonl": JsonLines,
    "csv": Csv,
    "parquet": Parquet,
}

SUFFIXES: Final = {".csv": "csv", ".parquet": "parquet"}
"""By what a file's name ends with; all else is JSON lines."""
