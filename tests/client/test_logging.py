"""The standard library's logging and structlog, recorded by a real daemon."""

import asyncio
import logging
import logging.handlers
import queue
import threading
from collections.abc import Iterator, MutableMapping
from pathlib import Path
from typing import Any

import pytest
import structlog

from flightlog import Client
from flightlog.logging import FlightlogHandler, severity
from flightlog.structlog import FlightlogProcessor
from support.daemon import Daemon
from support.programs import events, run_program


@pytest.fixture
def logger() -> Iterator[logging.Logger]:
    """Give a logger that nobody else listens to."""
    made = logging.Logger("app.db")
    yield made
    for handler in list(made.handlers):
        made.removeHandler(handler)


def lines(daemon: Daemon, client: Client) -> list[dict[str, Any]]:
    """Return the log lines that the daemon has."""
    assert client.flush()
    return events(daemon, type=["log"])


@pytest.mark.covers("P8")
def test_records_become_lines(daemon: Daemon, client: Client, logger: logging.Logger) -> None:
    """A record's level, logger, message, extra and exception are the line's, in the caller's execution."""
    logger.addHandler(FlightlogHandler(client))
    with client.execution("e") as run, run.task("t"):
        logger.debug("plain")
        logger.log(25, "between")
        logger.warning("%d of %s", 3, "four", extra={"shard": 7})
        try:
            known: dict[str, int] = {}
            known["gone"]
        except KeyError:
            logger.exception("failed")
        logger.critical("the end")

    found = lines(daemon, client)
    assert {(line["execution_id"], line["task_id"]) for line in found} == {(run.execution_id, "t")}
    assert [(line["level"], line["source"], line["message"]) for line in found] == [
        ("DEBUG", "app.db", "plain"),
        (11, "app.db", "between"),
        ("WARN", "app.db", "3 of four"),
        ("ERROR", "app.db", "failed"),
        ("FATAL", "app.db", "the end"),
    ]
    assert found[2]["fields"] == {"shard": 7}
    exception = found[3]["fields"]["exception"]
    assert (exception["type"], exception["message"]) == ("KeyError", "'gone'")
    assert 'known["gone"]' in exception["stack"]


def test_a_wrong_format_loses_nothing(
    daemon: Daemon, client: Client, logger: logging.Logger, capsys: pytest.CaptureFixture[str]
) -> None:
    """Arguments that do not fit, and objects that cannot be said, are recorded as they can be."""
    logger.addHandler(FlightlogHandler(client))

    class Rude:
        def __str__(self) -> str:
            raise RuntimeError("no")

    with client.execution():
        logger.info("%d items", "many")  # noqa: PLE1206, RUF100  # the mistake is the point
        logger.info(Rude())
        logger.info("x", extra={"rude": Rude()})

    wrong, rude, extra = lines(daemon, client)
    assert wrong["message"] == "%d items"
    assert "number is required" in wrong["fields"]["logging_error"]
    assert wrong["fields"]["args"] == "('many',)"
    assert "Rude" in rude["message"]
    assert "Rude" in extra["fields"]["rude"]
    assert capsys.readouterr().err == ""


def test_threshold_location_and_execution(daemon: Daemon, client: Client, logger: logging.Logger) -> None:
    """A threshold, the place in the code and a fixed execution are honoured; a formatter adds nothing."""
    handler = FlightlogHandler(client, logging.WARNING, execution_id="fixed", location=True)
    handler.setFormatter(logging.Formatter("%(asctime)s %(message)s"))
    logger.addHandler(handler)
    logger.info("too low")
    logger.error("here")

    [line] = lines(daemon, client)
    assert (line["execution_id"], line["message"]) == ("fixed", "here")
    assert line["fields"]["code.function.name"] == "test_threshold_location_and_execution"
    assert line["fields"]["code.file.path"] == __file__
    assert line["fields"]["code.line.number"] > 0


@pytest.mark.covers("P8")
def test_threads_and_asynchronous_tasks_log_where_they_belong(
    daemon: Daemon, client: Client, logger: logging.Logger
) -> None:
    """Records from asynchronous tasks and threads, also through a queue, reach the execution around them."""
    queued: queue.SimpleQueue[logging.LogRecord] = queue.SimpleQueue()
    logger.addHandler(FlightlogHandler(client))

    async def work(name: str) -> None:
        with client.execution(name, execution_id=name):
            for number in range(3):
                await asyncio.to_thread(str)  # the others take their turns meanwhile
                logger.info("%s %d", name, number)

    async def main() -> None:
        await asyncio.gather(work("one"), work("two"))

    asyncio.run(main())
    with client.execution("threads", execution_id="threads"):
        thread = threading.Thread(target=logger.info, args=("from a thread",))
        thread.start()
        thread.join()
    other = logging.Logger("queued")
    other.addHandler(logging.handlers.QueueHandler(queued))
    listener = logging.handlers.QueueListener(queued, FlightlogHandler(client, execution_id="queue"))
    listener.start()
    other.info("by a queue")
    listener.stop()

    found = lines(daemon, client)
    by_execution: dict[str, list[str]] = {}
    for line in found:
        by_execution.setdefault(line["execution_id"], []).append(line["message"])
    assert by_execution == {
        "one": ["one 0", "one 1", "one 2"],
        "two": ["two 0", "two 1", "two 2"],
        "threads": ["from a thread"],
        "queue": ["by a queue"],
    }


@pytest.mark.parametrize(
    ("levelno", "level"), [(0, 1), (5, 3), (10, "DEBUG"), (20, "INFO"), (25, 11), (50, "FATAL"), (99, 24)]
)
def test_severities(levelno: int, level: str | int) -> None:
    """Numbers of logging are names, or lie between as OpenTelemetry counts."""
    assert severity(levelno) == level


@pytest.mark.covers("P8")
def test_structlog_events_become_lines(daemon: Daemon, client: Client) -> None:
    """What structlog logs is recorded with its level, bound values and exception, and passed on unchanged."""
    rendered: list[dict[str, Any]] = []

    def render(_logger: Any, _method: str, event_dict: MutableMapping[str, Any]) -> str:
        rendered.append(dict(event_dict))
        return ""

    log = structlog.wrap_logger(
        structlog.PrintLogger(),
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            FlightlogProcessor(client),
            render,
        ],
    ).bind(logger="app")
    with client.execution("e") as run, structlog.contextvars.bound_contextvars(request="r1"):
        log.info("hello", rows=3)
        log.warning("careful")
        try:
            Path("/none").read_text()
        except OSError as error:
            log.exception("failed")
            log.info("again", exc_info=error)

    found = lines(daemon, client)
    assert {line["execution_id"] for line in found} == {run.execution_id}
    assert [(line["level"].upper(), line["source"], line["message"]) for line in found] == [
        ("INFO", "app", "hello"),
        ("WARNING", "app", "careful"),
        ("ERROR", "app", "failed"),
        ("INFO", "app", "again"),
    ]
    assert found[0]["fields"] == {"rows": 3, "request": "r1"}
    for line in found[2:]:
        assert line["fields"]["exception"]["type"] == "FileNotFoundError"
        assert "/none" in line["fields"]["exception"]["message"]
    assert rendered[0] == {"event": "hello", "rows": 3, "request": "r1", "level": "info", "logger": "app"}


def test_a_program_needs_nothing_but_the_base(daemon: Daemon) -> None:
    """Handler and processor work in a program of their own, without structlog."""
    done = run_program(
        """
        import sys, logging, flightlog
        from flightlog.logging import FlightlogHandler
        from flightlog.structlog import FlightlogProcessor
        logging.basicConfig(level="INFO", handlers=[FlightlogHandler()])
        with flightlog.execution("e"):
            logging.getLogger("app").info("said")
            FlightlogProcessor()(None, "info", {"event": "bound", "n": 1})
        print(sorted({"structlog", "trio", "apsw", "click", "rich"} & sys.modules.keys()))
        """,
        daemon.runtime_dir,
    )
    assert (done.stdout.strip(), done.stderr) == ("[]", "")
    assert [line["message"] for line in events(daemon, type=["log"])] == ["said", "bound"]
