"""Reading: the live tail, questions to a log of a million events, and a whole log as text."""

import json
import select
import subprocess
import sys
import time

from bench.asking import Asker
from bench.contest import Contest
from bench.contestant import WAIT_S
from bench.figures import median, millis, percentile
from bench.workload import BATCH_LINES, EXECUTIONS, batches, lines
from support.daemon import clean_environment

TAIL_RATE_PER_S = 500


def tail(contest: Contest) -> None:
    """500 events a second; how long after it was sent a follower has each."""
    count = TAIL_RATE_PER_S * (1 if contest.quick else 10)
    made = lines(count)
    delays: list[float] = []
    with contest.ours.producer() as producer, contest.ours.reader() as reader:
        reader.sendall(b'{"tail":{"type":["log"]}}\n')
        _await_follower(contest)
        began = time.perf_counter()
        sent_at: list[float] = []
        seen, rest = 0, b""
        while seen < count:
            now = time.perf_counter()
            due = began + len(sent_at) / TAIL_RATE_PER_S
            if len(sent_at) < count and now >= due:
                sent_at.append(now)
                producer.sendall(made[len(sent_at) - 1])
                continue
            pause = max(0.0, due - now) if len(sent_at) < count else WAIT_S
            for sock in select.select([reader, producer], [], [], pause)[0]:
                data = sock.recv(1024 * 1024)
                if sock is producer:
                    continue  # acks
                now = time.perf_counter()
                *whole, rest = (rest + data).split(b"\n")
                delays += [now - sent_at[seen + index] for index in range(len(whole))]
                seen += len(whole)
    p50, p99 = percentile(delays, 0.50), percentile(delays, 0.99)
    contest.report.table(
        f"tail: {count:,} events at {TAIL_RATE_PER_S}/s, from sending to the follower",
        ["", "p50", "p99", "longest"],
        [[contest.ours.name, millis(p50), millis(p99), millis(max(delays))]],
    )
    contest.report.goal("tail: p50 under 1 ms", millis(p50), met=p50 < 0.001)
    contest.report.goal("tail: p99 under 5 ms", millis(p99), met=p99 < 0.005)


def _await_follower(contest: Contest) -> None:
    """Return once the daemon has a follower: a tail without `after` begins when its request is read."""
    deadline = time.monotonic() + WAIT_S
    with contest.ours.reader() as sock, sock.makefile("rb") as answers:
        while time.monotonic() < deadline:
            sock.sendall(b'{"status":{}}\n')
            status = json.loads(answers.readline())["status"]
            answers.readline()
            if status["followers"]:
                return
    raise RuntimeError("the follower did not begin")


def read(contest: Contest) -> None:
    """After a million events: the last 100 lines of one execution among 50, and its inspect."""
    wanted = 50_000 if contest.quick else 1_000_000
    with Asker(contest.ours) as asker:
        head = json.loads(asker.ask(b'{"status":{}}\n')[2])["end"]["seq"]
        if head < wanted:
            contest.ours.bulk(batches(wanted - head))
            head = json.loads(asker.ask(b'{"status":{}}\n')[2])["end"]["seq"]
        questions = {
            "last 100 lines": b'{"logs":{"execution_id":"%s","last":100}}\n',
            "inspect": b'{"inspect":{"execution_id":"%s"}}\n',
        }
        expected = {"last 100 lines": 100, "inspect": 1}
        took: dict[str, list[float]] = {name: [] for name in questions}
        for turn in range(60 if contest.quick else 600):
            execution_id = EXECUTIONS[turn * 7 % len(EXECUTIONS)].encode()
            for name, question in questions.items():
                seconds, count, last = asker.ask(question % execution_id)
                assert count == expected[name], last
                took[name].append(seconds)
    contest.report.table(
        f"read: {head:,} events in the log, {len(EXECUTIONS)} executions interleaved",
        ["", "p50", "p99", "longest"],
        [
            [name, millis(median(values)), millis(percentile(values, 0.99)), millis(max(values))]
            for name, values in took.items()
        ],
    )
    p50, p99 = median(took["last 100 lines"]), percentile(took["last 100 lines"], 0.99)
    contest.report.goal("read: last 100 lines, p50 under 3 ms", millis(p50), met=p50 < 0.003)
    contest.report.goal("read: last 100 lines, p99 under 10 ms", millis(p99), met=p99 < 0.010)
    inspect = percentile(took["inspect"], 0.99)
    contest.report.goal("read: inspect, p99 under 5 ms", millis(inspect), met=inspect < 0.005)


def logs(contest: Contest) -> None:
    """`flightlog logs` of an execution of 100,000 lines, as text through a pipe, from a cold start."""
    count = 2_000 if contest.quick else 100_000
    name = f"logs-{count}"
    line = b'{"type":"log","execution_id":"%s","source":"app","message":"line %d of a log of usual length"}\n'
    made = [line % (name.encode(), number) for number in range(count)]
    contest.ours.bulk([made[start : start + BATCH_LINES] for start in range(0, count, BATCH_LINES)])
    command = [sys.executable, "-P", "-m", "flightlog", "logs", name]
    environment = clean_environment(FLIGHTLOG_RUNTIME_DIR=str(contest.ours.daemon.runtime_dir))
    took: list[float] = []
    for _ in range(contest.rounds):
        began = time.perf_counter()
        done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, check=True, cwd="/")
        took.append(time.perf_counter() - began)
        assert done.stdout.count(b"\n") == count
    contest.report.table(
        f"logs: {count:,} lines printed as text through a pipe",
        ["", "median", "longest"],
        [["flightlog logs", millis(median(took)), millis(max(took))]],
    )
    contest.report.goal("logs: 100,000 lines in under 2 s", millis(median(took)), met=median(took) < 2)
