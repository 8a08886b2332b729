"""`flightlog export executions` and the like: every format read back by a program that is not ours."""

import csv
import io
import json
import subprocess
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, get_args

import pyarrow.parquet
import pytest

from cli.runner import COMMAND, TIMEOUT_S, Cli
from flightlog.cli.models import MODELS
from flightlog_schemas.answers import Execution, LogLine, TaskAttempt
from support.daemon import Daemon
from support.lines import event, logs
from support.peers import IngestPeer

STARTED_US = 1_790_000_000_123_456
HOSTILE = [
    "=cmd()",
    "+1",
    "-1",
    "@x",
    "\ttab",
    "'quoted",
    'a "b", c',
    "two\nlines",
    "é \U0001f600",
    "plain",
    "",
]
"""Messages that a spreadsheet, or a reader of CSV, may take for something else."""


@pytest.fixture
def filled(daemon: Daemon, flightlog: Cli) -> Cli:
    """Give the command line of a daemon that knows some of everything."""
    with IngestPeer(daemon.ingest_socket) as peer:
        peer.settle(
            event("execution.started", "a", name="=a", project="/srv/a", time=STARTED_US, labels={"k": "v"}),
            event("task.started", "a", task_id="t", time=STARTED_US + 1, inputs={"n": [1, None]}),
            event("agent.added", "a", agent_id="g", agent_type="claude"),
            event("agent.usage", "a", agent_id="g", input_tokens=7, cost_usd=0.25),
            event("artifact.added", "a", artifact_id="f", path="/x.csv", artifact_type="file", size_bytes=3),
            *(event("log", "a", message=message, fields={"n": -1}) for message in HOSTILE),
            event("execution.ended", "a", outcome="failed", time=STARTED_US + 2_000_000,
                  error={"message": "no", "type": "E"}),
            event("execution.started", "b", name="b", project="/srv/b"),
            *logs("b", 2_500),
            event("plan.requested", project="/srv/a"),
        )  # fmt: skip
    return flightlog


def listed(flightlog: Cli) -> dict[str, list[dict[str, Any]]]:
    """Return what the listing verbs know."""
    ids = ("a", "b")
    found = {one: flightlog.ok("inspect", one, "--json").json for one in ids}
    return {
        "executions": flightlog.ok("list", "--json").json,
        "tasks": flightlog.ok("task", "list", "--json").json,
        "agents": found["a"]["agents"],
        "artifacts": found["a"]["artifacts"],
        "audit": flightlog.ok("audit", "--json").json,
        "logs": [
            json.loads(line) for one in reversed(ids) for line in flightlog.ok("logs", one, "--json").lines
        ],
    }


def as_told(model: str, row: dict[str, Any]) -> dict[str, Any]:
    """Return a row of Parquet as `--json` shows it: times as text, JSON decoded."""
    told = dict(row)
    for name, kind in MODELS[model].columns:
        value = told[name]
        if value is None:
            continue
        if kind == "time":
            told[name] = value.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        elif kind == "json":
            told[name] = json.loads(value)
    return told


@pytest.mark.covers("P12")
def test_every_model_in_every_format(filled: Cli, home: Path) -> None:
    """Rows of each model are what the listing verbs show, as JSON lines and from Parquet and CSV."""
    known = listed(filled)
    for model, rows in known.items():
        files = {form: home / f"{model}.{form}" for form in ("jsonl", "csv", "parquet")}
        for file in files.values():
            filled.ok("export", model, "-o", str(file))
        lines = [json.loads(line) for line in files["jsonl"].read_text().splitlines()]
        assert lines == rows, model
        table = pyarrow.parquet.read_table(files["parquet"])
        names = [name for name, _ in MODELS[model].columns]
        assert table.column_names == names
        parts = {"error", "owner"}  # told without what is not known
        plain = [name for name in names if name not in parts]
        told = [as_told(model, row) for row in table.to_pylist()]
        assert [[row[name] for name in plain] for row in told] == [
            [row[name] for name in plain] for row in rows
        ]
        with files["csv"].open(newline="") as stream:
            records = list(csv.DictReader(stream))
        assert [list(record) for record in records] == [names] * len(rows)
        for record, row in zip(records, rows, strict=True):
            for name, kind in MODELS[model].columns:
                if kind == "text":
                    assert record[name].removeprefix("'") == (row[name] or ""), (model, name)
                elif kind == "time":
                    assert record[name] == (row[name] or "")
                elif kind in ("integer", "number"):
                    assert record[name] == ("" if row[name] is None else str(row[name]))


@pytest.mark.covers("P12")
def test_types_and_hostile_texts(filled: Cli, home: Path) -> None:
    """Times are microseconds in UTC; no cell of a CSV begins as a formula, and a first ' is always ours."""
    filled.ok("export", "executions", "--name", "=a", "-o", str(home / "e.parquet"))
    table = pyarrow.parquet.read_table(home / "e.parquet")
    types = {
        name: str(table.schema.field(name).type)
        for name in ("started_at", "duration_us", "cost_usd", "labels")
    }
    assert types == {
        "started_at": "timestamp[us, tz=UTC]", "duration_us": "int64", "cost_usd": "double",
        "labels": "string",
    }  # fmt: skip
    (row,) = table.to_pylist()
    assert row["started_at"] == datetime.fromtimestamp(STARTED_US // 10**6, UTC).replace(microsecond=123_456)
    assert (row["cost_usd"], json.loads(row["error"])["message"]) == (0.25, "no")

    out = filled.ok("export", "logs", "--execution", "a", "--format", "csv").out
    cells = {record["message"] for record in csv.DictReader(io.StringIO(out, newline=""))}
    assert {"'=cmd()", "'+1", "'-1", "'@x", "'\ttab", "''quoted", 'a "b", c', "two\nlines", "plain"} <= cells


@pytest.mark.covers("P12")
def test_choices_and_empty_answers(filled: Cli, alone: Cli, home: Path) -> None:
    """Rows are of the executions that fit; where none does, nothing is written; no file is half there."""
    assert len(filled.ok("export", "logs", "--project", "/srv/b").lines) == 2_501
    assert len(filled.ok("export", "tasks", "--status", "failed").lines) == 1
    assert filled.ok("export", "agents", "--execution", "b", "--format", "csv").lines == [
        ",".join(name for name, _ in MODELS["agents"].columns)
    ]
    for model in ("executions", "tasks"):
        nothing = filled("export", model, "--name", "nobody", "-o", str(home / "none"))
        assert (nothing.code, (home / "none").exists()) == (1, False)
    assert filled("export", "logs", "--execution", "nobody").code == 1
    told = filled.ok("export", "plans", "--project", "/srv/a", "-o", str(home / "plans.csv"), "--json").json
    assert told == {"file": str(home / "plans.csv"), "model": "plans", "format": "csv", "rows": told["rows"]}
    assert filled("export", "plans", "--name", "a").code == 3
    assert filled("export", "--format", "csv").code == 3
    assert filled("export", "nonsense").code == 3
    assert alone("export", "tasks", "-o", str(home / "away.csv")).code == 2
    assert sorted(file.name for file in home.glob(".*")) == []
    piped = subprocess.run(
        [*COMMAND, "export", "executions", "--format", "parquet"],
        env=filled.environment(), capture_output=True, timeout=TIMEOUT_S, check=True,
    )  # fmt: skip
    assert pyarrow.parquet.read_table(io.BytesIO(piped.stdout)).num_rows == 2


def test_columns_are_the_fields_of_answers() -> None:
    """A column is a field of the answer, by its type; what is neither text nor number is JSON."""
    executions = dict(MODELS["executions"].columns)
    assert list(executions) == list(Execution.__struct_fields__)
    assert set(LogLine.__struct_fields__) - set(dict(MODELS["logs"].columns)) == {"host"}
    assert [executions[name] for name in ("status", "args", "owner", "deadline", "cost_usd", "uid")] == [
        "text", "json", "json", "time", "number", "integer"
    ]  # fmt: skip
    tasks = dict(MODELS["tasks"].columns)
    assert [tasks[name] for name in ("inferred", "scrubbed", "inputs", "provenance")] == [
        "boolean", "boolean", "json", "text"
    ]  # fmt: skip
    assert get_args(TaskAttempt.__annotations__["provenance"])
