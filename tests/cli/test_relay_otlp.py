"""The log to a receiver of OTLP: our own, and one that decodes with OpenTelemetry's own messages."""

import http.server
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from google.protobuf.json_format import ParseDict
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from cli.runner import Cli
from support.daemon import Daemon, DaemonFactory
from support.govern import govern, record
from support.lines import event, log, logs
from support.origins import id_here, ran, repeat
from support.programs import events
from support.searching import tell
from support.web import Web

TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
MESSAGES = {"/v1/logs": ExportLogsServiceRequest, "/v1/traces": ExportTraceServiceRequest}


class Receiver:
    """A server of OTLP that checks what it gets; answers as it is told to, each once, then 200."""

    def __init__(self) -> None:
        self.got: list[tuple[str, dict[str, Any], dict[str, str]]] = []
        self.answers: list[tuple[int, dict[str, str], bytes]] = []
        self.news = threading.Condition()
        receiver = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["content-length"])))
                with receiver.news:
                    if receiver.answers:
                        status, headers, answer = receiver.answers.pop(0)
                    else:
                        # Unknown fields, or values of another type, are errors there.
                        ParseDict(body, MESSAGES[self.path]())
                        status, headers, answer = 200, {}, b"{}"
                        receiver.got.append((self.path, body, dict(self.headers)))
                    receiver.news.notify_all()
                self.send_response(status)
                for name, value in {**headers, "content-length": str(len(answer))}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, *_: object) -> None:
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"

    def wait(self, count: int) -> None:
        """Wait until so many requests were taken."""
        with self.news:
            assert self.news.wait_for(lambda: len(self.got) >= count, 60)

    def records(self) -> list[dict[str, Any]]:
        """Return all log records."""
        return [
            record
            for path, body, _ in self.got
            if path == "/v1/logs"
            for record in body["resourceLogs"][0]["scopeLogs"][0]["logRecords"]
        ]

    def texts(self) -> list[str]:
        """Return what lines say."""
        return [one["body"]["stringValue"] for one in self.records() if "eventName" not in one]


@contextmanager
def serving() -> Iterator[Receiver]:
    """Serve, and end."""
    receiver = Receiver()
    thread = threading.Thread(target=receiver.server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield receiver
    finally:
        receiver.server.shutdown()
        thread.join()
        receiver.server.server_close()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    """Give a receiver."""
    with serving() as made:
        yield made


def attributes(item: dict[str, Any]) -> dict[str, Any]:
    """Return attributes with their plain values, of those that have one."""
    return {one["key"]: next(iter(one.get("value", {"": None}).values())) for one in item["attributes"]}


@pytest.mark.covers("P9")
def test_what_a_receiver_gets(daemon: Daemon, flightlog: Cli, receiver: Receiver) -> None:
    """Lines are records with level, text and fields; the end of a task is a span with its error, too."""
    tell(
        daemon,
        log("e", "slow", level="WARN", source="db", fields={"ms": 17}, time=1_790_000_000_000_000),
        event(
            "task.ended", "e", task_id="t", trace_id=TRACE, span_id=SPAN, outcome="failed",
            time=1_790_000_001_000_000, duration_us=250_000,
            error={"type": "ValueError", "message": "no", "stack": "File x"},
        ),
    )  # fmt: skip
    headers = {"OTEL_EXPORTER_OTLP_HEADERS": "x-key=a%20b"}
    done = flightlog.ok("relay", "--to", receiver.url, "--once", "--json", **headers)

    assert done.json["events"] >= 2
    assert done.json["refused"] == 0
    line = next(one for one in receiver.records() if "eventName" not in one)
    assert (line["severityNumber"], line["severityText"]) == (13, "WARN")
    assert line["timeUnixNano"] == "1790000000000000000"
    assert line["body"] == {"stringValue": "slow"}
    assert attributes(line).items() >= {
        "ms": "17", "flightlog.execution_id": "e", "flightlog.source": "db",
    }.items()  # fmt: skip
    path, body, sent = receiver.got[-1]
    assert (path, sent["x-key"]) == ("/v1/traces", "a b")
    [span] = body["resourceSpans"][0]["scopeSpans"][0]["spans"]
    assert (span["traceId"], span["spanId"], span["name"]) == (TRACE, SPAN, "t")
    assert span["startTimeUnixNano"] == "1790000000750000000"
    assert span["endTimeUnixNano"] == "1790000001000000000"
    assert span["status"] == {"code": 2, "message": "no"}
    assert attributes(span["events"][0])["exception.type"] == "ValueError"


@pytest.mark.covers("P9", "P3")
def test_it_goes_on_where_it_was(daemon: Daemon, flightlog: Cli, receiver: Receiver) -> None:
    """What was told is not told again, unless that is asked for; batches keep the order of the log."""
    tell(daemon, *logs("e", 700))
    flightlog.ok("relay", "--to", receiver.url, "--once")
    tell(daemon, *logs("e", 3, start=701))
    again = flightlog.ok("relay", "--to", receiver.url, "--once", "--json").json
    assert again["events"] == 3
    assert receiver.texts() == [f"line {number}" for number in range(1, 704)]

    flightlog.ok("relay", "--to", receiver.url, "--once", "--after", str(again["seq"] - 1))
    assert receiver.texts()[703:] == ["line 703"]
    assert flightlog.ok("relay", "--to", receiver.url, "--once", "--json").json["events"] == 0


@pytest.mark.covers("P9", "D5")
def test_answers_that_are_no_yes(daemon: Daemon, flightlog: Cli, receiver: Receiver) -> None:
    """What is refused is counted, said and passed over; too large goes in halves; a wrong URL ends it."""
    tell(daemon, *logs("e", 4))
    partial = json.dumps({"partialSuccess": {"rejectedLogRecords": "2", "errorMessage": "too old"}}).encode()
    receiver.answers = [(413, {}, b""), (200, {}, partial), (400, {}, b"no idea")]
    done = flightlog("relay", "--to", receiver.url, "--once", "--json", "--after", "1")
    assert done.code == 2
    assert done.json["refused"] == 4
    assert "too old" in done.err
    assert "no idea" in done.err
    assert receiver.got == []

    receiver.answers = [(404, {}, b"nothing here")]
    tell(daemon, *logs("e", 1, start=5))
    wrong = flightlog("relay", "--to", receiver.url, "--once")
    assert wrong.code == 2
    assert "nothing here" in wrong.err
    assert flightlog("relay", "--to", "http://127.0.0.1:1", "--once").code == 2
    assert flightlog("relay", "--to", "http://", "--once").code == 3
    assert flightlog("relay", "--to", receiver.url, "--replicas", "3").code == 3
    flightlog.ok("relay", "--to", receiver.url, "--once")
    assert receiver.texts() == ["line 5"]


@pytest.mark.covers("P9", "D10")
def test_it_waits_and_follows(daemon: Daemon, flightlog: Cli, receiver: Receiver) -> None:
    """A receiver that is busy and a daemon that was killed are waited for; SIGTERM ends it in order."""
    receiver.answers = [(503, {"retry-after": "0"}, b""), (429, {}, b"")]
    with flightlog.running("relay", "--to", receiver.url, "--json") as running:
        tell(daemon, *logs("e", 2))
        receiver.wait(1)
        daemon.kill()
        daemon.start()
        tell(daemon, *logs("e", 2, start=3))
        with receiver.news:
            assert receiver.news.wait_for(lambda: len(receiver.texts()) == 4, 60)
        running.process.terminate()
        out, err = running.process.communicate(timeout=60)
    assert running.process.returncode == 0
    assert json.loads(out)["refused"] == 0
    assert b"trying again" in err
    assert receiver.texts() == [f"line {number}" for number in range(1, 5)]
    assert flightlog.ok("relay", "--to", receiver.url, "--once", "--json").json["events"] == 0


@pytest.mark.covers("P9")
def test_whose_it_is(daemon_factory: DaemonFactory, receiver: Receiver) -> None:
    """What another machine recorded is told as that one's, under the id that its execution has here."""
    centre = daemon_factory(host_name="centre")
    repeat(centre, *ran("far", "build-7", log("build-7", "over there")))
    tell(centre, log("build-7", "over here"))
    Cli(centre.runtime_dir).ok("relay", "--to", receiver.url, "--once")

    [resource, *_] = receiver.got[0][1]["resourceLogs"]
    assert attributes(resource["resource"])["host.name"] == "centre"
    told = {one["body"]["stringValue"]: attributes(one) for one in receiver.records()}
    there, here = told["over there"], told["over here"]
    assert (there["host.name"], there["flightlog.execution_id"]) == ("far", id_here("far", "build-7"))
    assert ("host.name" in here, here["flightlog.execution_id"]) == (False, "build-7")


@pytest.mark.covers("P9", "D5")
def test_what_retention_took_is_counted_once(daemon: Daemon, flightlog: Cli, receiver: Receiver) -> None:
    """Positions that retention emptied are counted by the relay that passes over them, not again."""
    record(daemon, "old", *logs("old", 100))
    govern(daemon, "retention", "--older-than", "0s")
    relay = ("relay", "--to", receiver.url, "--once", "--json")

    assert [flightlog.ok(*relay).json["pruned"] for _ in range(2)] == [100, 0]


@pytest.mark.parametrize(
    ("url", "headers", "says"),
    [
        ("http://me:secret@127.0.0.1", "", "a name and a password are no part of the URL"),
        ("http://127.0.0.1/a b", "", "no URL of a receiver"),
        ("http://127.0.0.1/ä", "", "no URL of a receiver"),
        ("http://127.0.0.1/#a", "", "no URL of a receiver"),
        ("http://127.0.0.1", "x-key=a%0Ab", "header 'x-key' cannot be sent"),
    ],
)
def test_what_cannot_be_posted_to(alone: Cli, url: str, headers: str, says: str) -> None:
    """A URL or a header that HTTP cannot send is a usage error, and no secret of it is shown."""
    done = alone("relay", "--to", url, "--once", OTEL_EXPORTER_OTLP_HEADERS=headers)

    assert done.code == 3
    assert says in done.err
    assert "secret" not in done.err


@pytest.mark.covers("P9")
def test_to_another_flightlog(daemon_factory: DaemonFactory) -> None:
    """Another flightlog takes it at its doors, and what came so is not told on: there are no circles."""
    here, there = daemon_factory(name="a"), daemon_factory(name="b")
    tell(here, log("e", "hello", level="ERROR"))
    with Web(there.runtime_dir) as web:
        Cli(here.runtime_dir).ok("relay", "--to", web.url, "--once")
        [line] = [one for one in events(there, type=["log"]) if one["message"] == "hello"]
        assert (line["execution_id"], line["level"]) == ("e", 17)
        with serving() as receiver:
            Cli(there.runtime_dir).ok("relay", "--to", receiver.url, "--once")
            assert receiver.texts() == []
