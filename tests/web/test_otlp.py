"""OTLP over HTTP: the real exporters of OpenTelemetry's SDK, and requests that no exporter would send."""

import gzip
import json
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
import pytest
from google.rpc.status_pb2 import Status
from opentelemetry._logs import LogRecord, SeverityNumber
from opentelemetry.exporter.otlp.json.http.trace_exporter import OTLPSpanExporter as JsonSpanExporter
from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import SimpleLogRecordProcessor
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter
from opentelemetry.trace import format_trace_id

from cli.runner import TIMEOUT_S
from flightlog.web.doors.door import Posted
from flightlog.web.doors.otlp import DOORS, PROTOBUF
from flightlog.web.limits import INTAKE_LIMIT_BYTES, UNPACKED_LIMIT_BYTES
from flightlog.web.problem import Problem
from support.daemon import Daemon
from support.fake_daemon import FakeDaemon
from support.programs import events
from support.web import Web

ATTRIBUTES: dict[str, Any] = {"n": 7, "deep": ["a", "b"], "f": 0.5}
TRACE, SPAN, PARENT = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7", "00f067aa0ba902b8"


def exported(exporter: SpanExporter) -> str:
    """Export a trace of two spans, the inner one failed, and return its id."""
    provider = TracerProvider(resource=Resource({"service.name": "shop"}), shutdown_on_exit=False)
    provider.add_span_processor(BatchSpanProcessor(exporter))
    tracer = provider.get_tracer("shop.orders")
    with (
        tracer.start_as_current_span("outer") as outer,
        suppress(ValueError),
        tracer.start_as_current_span("inner", attributes=ATTRIBUTES),
    ):
        raise ValueError("not so")
    assert provider.force_flush()
    provider.shutdown()
    return format_trace_id(outer.get_span_context().trace_id)


def span(**fields: Any) -> dict[str, Any]:
    """Return a span of OTLP's JSON."""
    head = {"traceId": TRACE, "spanId": SPAN, "name": "s", "startTimeUnixNano": "1790000000000000000"}
    return {**head, "endTimeUnixNano": "1790000001000000000", **fields}


def request(*spans: dict[str, Any]) -> dict[str, Any]:
    """Return a request of OTLP's JSON."""
    return {"resourceSpans": [{"scopeSpans": [{"spans": list(spans)}]}]}


def post(web: Web, body: Any, path: str = "/v1/traces", **headers: str) -> httpx.Response:
    """Post JSON, or bytes as they are."""
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    return web.client.post(path, content=content, headers={"content-type": "application/json", **names})


def told(answer: httpx.Response) -> str:
    """Return the message of a Status, which is in the encoding of the request, else JSON."""
    if answer.request.headers["content-type"] == PROTOBUF:
        assert answer.headers["content-type"] == PROTOBUF
        return str(Status.FromString(answer.content).message)
    assert answer.headers["content-type"] == "application/json"
    [(name, message)] = answer.json().items()
    assert name == "message"
    return str(message)


@pytest.mark.covers("P9")
@pytest.mark.parametrize("form", ["protobuf", "gzip", "json"])
def test_spans_of_the_real_exporters(shared_web: Web, form: str) -> None:
    """Spans that the SDK exports as protobuf, compressed or as JSON are on disk when it has its answer."""
    url = f"{shared_web.url}/v1/traces"
    exporters: dict[str, Callable[[], SpanExporter]] = {
        "protobuf": lambda: OTLPSpanExporter(url),
        "gzip": lambda: OTLPSpanExporter(url, compression=Compression.Gzip),
        "json": lambda: JsonSpanExporter(url),
    }
    trace_id = exported(exporters[form]())

    execution = shared_web.json(f"/api/executions/{trace_id}")
    assert (execution["name"], execution["tool"], execution["status"]) == ("outer", "shop", "succeeded")
    tasks = {one["name"]: one for one in shared_web.json(f"/api/executions/{trace_id}/tasks")["tasks"]}
    inner = tasks["inner"]
    assert inner["parent_task_id"] == tasks["outer"]["task_id"]
    assert (inner["status"], inner["error"]["type"]) == ("failed", "ValueError")
    assert inner["inputs"] == ATTRIBUTES
    audit = shared_web.json(f"/api/executions/{trace_id}/audit")["audit"]
    assert [one for one in audit if one["event_type"] == "ANOMALY"] == []


@pytest.mark.covers("P9")
def test_records_of_the_real_exporter(daemon: Daemon, web: Web) -> None:
    """Log records that the SDK exports are lines, alike ones as well, and told again they are stored once."""
    provider = LoggerProvider(resource=Resource({"service.name": "shop"}), shutdown_on_exit=False)
    exporter = OTLPLogExporter(f"{web.url}/v1/logs")
    provider.add_log_record_processor(SimpleLogRecordProcessor(exporter))
    logger = provider.get_logger("shop.db")
    logger.emit(LogRecord(timestamp=17 * 10**17, severity_number=SeverityNumber.ERROR3, body="no"))
    logger.emit(LogRecord(body={"a": [1]}, attributes={"b": b"\x00\xff"}))
    provider.shutdown()
    record = {"timeUnixNano": "1790000000000000000", "body": {"stringValue": "again"}}
    batch = {"resourceLogs": [{"scopeLogs": [{"logRecords": [record, record]}]}]}
    assert [post(web, batch, "/v1/logs").json() for _ in range(2)] == [{}, {}]

    first, second, *again = events(daemon, type=["log"])
    assert (first["level"], first["message"], first["source"]) == (19, "no", "shop.db")
    assert (second["message"], second["fields"]) == ('{"a":[1]}', {"b": "AP8=", "body": {"a": [1]}})
    assert [line["message"] for line in again] == ["again", "again"]


@pytest.mark.covers("P9", "D4")
def test_a_request_sent_again_is_stored_once(daemon: Daemon, web: Web) -> None:
    """An exporter that had no answer sends the same again, and the log has it once."""
    for _ in range(2):
        answer = post(web, request(span(), span(spanId=PARENT, parentSpanId=SPAN)))
        assert (answer.status_code, answer.json()) == (200, {})

    kinds = [one["type"] for one in events(daemon) if not one["type"].startswith("daemon.")]
    assert sorted(kinds) == [
        "execution.created",
        "execution.ended",
        "execution.started",
        "task.ended",
        "task.ended",
    ]


@pytest.mark.covers("P9", "D5")
def test_what_cannot_be_stored_is_said(shared_web: Web) -> None:
    """Of a batch the good spans are stored; the answer says in both forms how many were not and why."""
    bad = [span(traceId="xyz"), span(spanId="0" * 16), span(spanId=PARENT, endTimeUnixNano="-5000")]
    answer = post(shared_web, request(span(), *bad))
    assert answer.status_code == 200
    partial = answer.json()["partialSuccess"]
    assert partial["rejectedSpans"] == "3"
    assert "trace_id" in partial["errorMessage"]
    assert "[3]" in partial["errorMessage"]

    message = ExportTraceServiceRequest()
    message.resource_spans.add().scope_spans.add().spans.add(trace_id=b"short", span_id=b"12345678")
    raw = post(shared_web, message.SerializeToString(), content_type="application/x-protobuf")
    assert raw.headers["content-type"] == "application/x-protobuf"
    assert ExportTraceServiceResponse.FromString(raw.content).partial_success.rejected_spans == 1


@pytest.mark.covers("P9")
def test_a_resource_chooses_the_execution(daemon: Daemon, web: Web) -> None:
    """An attribute of the resource, as the environment sets it for any language, names the execution."""
    body = request(span())
    named = {"key": "flightlog.execution_id", "value": {"stringValue": "build-7"}}
    body["resourceSpans"][0]["resource"] = {"attributes": [named]}
    assert post(web, body).status_code == 200

    [task] = events(daemon, type=["task.ended", "execution."])
    assert (task["execution_id"], task["trace_id"]) == ("build-7", TRACE)


@pytest.mark.covers("P9", "D10")
@pytest.mark.parametrize(
    ("body", "headers", "status"),
    [
        (b"{", {}, 400),
        (b'{"resourceSpans":7}', {}, 400),
        (b"[" * 100_000, {}, 400),
        (b"\xff\xff", {"content_type": "application/x-protobuf"}, 400),
        (b"{}", {"content_type": "text/plain"}, 415),
        (b"{}", {"content_encoding": "br"}, 415),
        (b"{}", {"content_encoding": "gzip"}, 400),
        (gzip.compress(b"{}", mtime=0)[:-4], {"content_encoding": "gzip"}, 400),
        (gzip.compress(b" " * (UNPACKED_LIMIT_BYTES + 1), mtime=0), {"content_encoding": "gzip"}, 413),
        (b" " * (INTAKE_LIMIT_BYTES + 1), {}, 413),
    ],
)
def test_bad_requests(shared_web: Web, body: bytes, headers: dict[str, str], status: int) -> None:
    """What is no request, of another type, or too large, packed or not, is refused and harms nothing."""
    answer = post(shared_web, body, **headers)

    assert answer.status_code == status, answer.text
    assert told(answer)
    assert post(shared_web, gzip.compress(b"{}") * 2, content_encoding="gzip").status_code == 400
    assert post(shared_web, {}).json() == {}


@pytest.mark.covers("P9")
@pytest.mark.parametrize("size", [10, 200, 100_000])
def test_an_error_in_protobuf_of_any_length(size: int) -> None:
    """What went wrong is a Status that protobuf's own library reads, however long its message is."""
    traces, _ = DOORS

    reply = traces.problem(PROTOBUF, Problem(400, "invalid", "é" * size, "a hint"))

    assert (reply.kind, reply.status) == (PROTOBUF, 400)
    assert Status.FromString(reply.body).message == f"invalid: {'é' * size} (a hint)"


@pytest.mark.covers("P9", "P17")
def test_who_may_post(daemon: Daemon, home: Any) -> None:
    """Without a token the same user's programs may, no page of a browser; with one it takes the token."""
    token = home / "token"
    token.write_text("secret" * 4)
    token.chmod(0o600)
    with Web(daemon.runtime_dir) as web:
        assert post(web, {}).status_code == 200
        assert post(web, {}, origin=web.url).status_code == 200
        assert post(web, {}, origin="http://evil.example").status_code == 403
        assert post(web, {}, sec_fetch_site="none").status_code == 403
        assert web.get("/v1/traces").status_code == 405
        assert post(web, {}, "/v1/metrics").status_code == 404
    with Web(daemon.runtime_dir, "--token-file", str(token)) as web:
        for kind in ("application/json", PROTOBUF):
            refused = post(web, b"", content_type=kind)
            assert refused.status_code == 401
            assert told(refused).startswith("unauthorized: ")
        assert post(web, {}, authorization=f"Bearer {token.read_text()}").status_code == 200


@pytest.mark.covers("P9", "D1")
def test_a_daemon_that_is_away(daemon: Daemon, web: Web) -> None:
    """While the daemon is away the answer is 503 with a time to come again; what is acked outlives a kill."""
    assert post(web, request(span())).status_code == 200
    daemon.kill()
    answer = post(web, request(span(spanId=PARENT)))
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
    assert told(answer).startswith("daemon_away: ")
    daemon.start()

    assert post(web, request(span(spanId=PARENT))).status_code == 200
    assert {one["span_id"] for one in events(daemon, type=["task.ended"])} == {SPAN, PARENT}


@pytest.mark.covers("P9", "P15")
def test_a_daemon_whose_disk_is_full(home: Path) -> None:
    """Where the daemon waits out a full disk the answer is 503 at once, for who posts has a deadline."""
    daemon = FakeDaemon(home)
    with daemon.listener, Web(home) as web, ThreadPoolExecutor(1) as pool:
        posting = pool.submit(post, web, request(span()))
        with daemon.accept() as producer:
            producer.said()
            producer.say(busy={"code": "storage_full"})
            answer = posting.result(TIMEOUT_S)

    assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
    assert told(answer).startswith("storage_full: ")


@pytest.mark.covers("P9")
def test_without_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where nothing reads protobuf, it is refused with what to do, and JSON is taken all the same."""
    monkeypatch.delitem(sys.modules, "flightlog.otlp.otlp_protobuf", raising=False)
    monkeypatch.setitem(sys.modules, "google.protobuf.message", None)
    traces, _ = DOORS

    with pytest.raises(Problem) as refused:
        traces.read(Posted(PROTOBUF, {}, b"", 0))

    assert refused.value.status == 415
    assert "flightlog[otel]" in str(refused.value.error.hint)
    assert traces.read(Posted("application/json", {}, b"{}", 0)).count == 0
