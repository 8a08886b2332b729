"""Numbers for Prometheus, in its text format (version 0.0.4).

Written here: the format is a page long, and a library would bring a registry of its own for what is asked of
the daemon anew each time.
"""

import time
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any, Final, NamedTuple

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"

_METHODS: Final = frozenset({"GET", "HEAD", "POST", "PATCH", "WEBSOCKET"})
_ESCAPES: Final = str.maketrans({"\\": "\\\\", '"': '\\"', "\n": "\\n"})

Samples = list[tuple[dict[str, str], float]]


class Metric(NamedTuple):
    """One metric with its samples, each with its labels."""

    name: str
    kind: str
    about: str
    samples: Samples


class Requests:
    """How many requests came, and how they were answered."""

    def __init__(self) -> None:
        self.under_way = 0
        self._answered: Counter[tuple[str, int]] = Counter()
        self._seconds: Counter[str] = Counter()

    def begin(self, method: str) -> "Counted":
        """Count a request that begins; what a client makes up as a method is counted as one."""
        self.under_way += 1
        return Counted(self, method if method in _METHODS else "other")

    def ended(self, method: str, status: int, seconds: float | None) -> None:
        """Count one that has ended."""
        self.under_way -= 1
        self._answered[method, status] += 1
        if seconds is not None:
            self._seconds[method] += seconds  # type: ignore[assignment]  # a Counter adds up floats as well

    def metrics(self) -> list[Metric]:
        """Return them as metrics."""
        answered: Samples = [
            ({"method": method, "status": str(status)}, count)
            for (method, status), count in sorted(self._answered.items())
        ]
        seconds: Samples = [({"method": method}, total) for method, total in sorted(self._seconds.items())]
        return [
            Metric("web_requests_total", "counter", "Requests answered.", answered),
            Metric("web_request_seconds_total", "counter", "Time to the head of answers.", seconds),
            Metric(
                "web_requests_under_way",
                "gauge",
                "Requests under way, streams among them.",
                single(self.under_way),
            ),
        ]


class Counted:
    """One request while it is under way."""

    def __init__(self, requests: Requests, method: str) -> None:
        self._requests = requests
        self._method = method
        self._begun = time.monotonic()
        self._status = 0
        self._seconds: float | None = None

    def answered(self, status: int) -> None:
        """Note that the answer has begun."""
        self._status = status
        self._seconds = time.monotonic() - self._begun

    def end(self) -> None:
        """Note that it is over; one that got no answer has the status 0."""
        self._requests.ended(self._method, self._status, self._seconds)


def single(value: float) -> Samples:
    """Return the samples of a metric that has one, without labels."""
    return [({}, value)]


def daemon_metrics(status: Mapping[str, Any]) -> list[Metric]:
    """Return what the daemon says of itself as metrics; times are in seconds."""
    search, models = status["search"], status["projections"]
    counters = {
        "refused_lines": ("refused", "Lines that were refused."),
        "masked_lines": ("masked_lines", "Lines that came with secrets or personal data in them."),
        "line_gaps": ("line_gaps", "Gaps in the numbering of producers' lines."),
    }
    gauges = {
        "head_seq": ("head_seq", "Position of the newest event."),
        "database_bytes": ("database_bytes", "Size of the database."),
        "wal_bytes": ("wal_bytes", "Size of the write-ahead log."),
        "memory_bytes": ("memory_bytes", "Memory of the daemon."),
        "running_executions": ("running", "Executions that run."),
        "watched_owners": ("watched", "Running executions whose owner is watched."),
        "followers": ("followers", "Readers that follow the log."),
        "cursors": ("cursors", "Named cursors."),
        "cursor_lag": ("cursor_lag", "Positions that the hindmost cursor is behind."),
        "queued_lines": ("queued_lines", "Lines that wait for the writer."),
        "queued_bytes": ("queued_bytes", "Size of the lines that wait for the writer."),
    }
    told = [
        Metric("up", "gauge", "Whether the daemon answers.", single(1)),
        Metric(
            "info",
            "gauge",
            "The daemon's version.",
            [({"version": status["version"], "state": status["state"]}, 1)],
        ),
        Metric("degraded", "gauge", "Whether the daemon waits out a fault.", single(status["state"] != "ok")),
        Metric("uptime_seconds", "gauge", "Since the daemon started.", single(status["uptime_us"] / 1e6)),
        Metric(
            "clock_behind_seconds",
            "gauge",
            "How far the clock was set back.",
            single(status["clock_behind_us"] / 1e6),
        ),
        Metric("search_lag", "gauge", "Positions that the index of words is behind.", single(search["lag"])),
        Metric("search_index_bytes", "gauge", "Size of the index of words.", single(search["index_bytes"])),
        Metric(
            "connections",
            "gauge",
            "Connections of the daemon by socket.",
            [({"socket": name}, count) for name, count in sorted(status["connections"].items())],
        ),
        Metric(
            "projection_lag",
            "gauge",
            "Positions that a read model is behind.",
            [({"projection": model["name"]}, model["lag"]) for model in models],
        ),
        Metric(
            "projection_broken",
            "gauge",
            "Whether a read model has stopped at an error.",
            [({"projection": model["name"]}, model["broken_at"] is not None) for model in models],
        ),
        Metric(
            "table_bytes",
            "gauge",
            "Size of a table with its indexes, as of the last retention.",
            [({"table": name}, size) for name, size in sorted(status["table_bytes"].items())],
        ),
    ]
    told += [
        Metric(name + "_total", "counter", about, single(status[key]))
        for name, (key, about) in counters.items()
    ]
    told += [Metric(name, "gauge", about, single(status[key])) for name, (key, about) in gauges.items()]
    return told


def text(metrics: Iterable[Metric]) -> bytes:
    """Return metrics in the text format."""
    lines = []
    for metric in metrics:
        name = f"flightlog_{metric.name}"
        lines += [f"# HELP {name} {metric.about}", f"# TYPE {name} {metric.kind}"]
        for labels, value in metric.samples:
            told = ",".join(f'{key}="{word.translate(_ESCAPES)}"' for key, word in labels.items())
            lines.append(f"{name}{{{told}}} {_number(value)}" if told else f"{name} {_number(value)}")
    return ("\n".join(lines) + "\n").encode()


def _number(value: float) -> str:
    return repr(int(value)) if value == int(value) else repr(float(value))
