"""A command of `exec` and its recording: one run, or several as attempts at a task until one succeeds."""

import time
from collections.abc import Callable, Mapping
from typing import Final

import msgspec

from flightlog.capture.child import SpawnError, spawn
from flightlog.capture.lines import Entry
from flightlog.capture.pace import Pace
from flightlog.capture.record import Recorder
from flightlog.capture.verdict import ASKED_TO_END, Verdict, never_ran, verdict
from flightlog.cli.signals import SignalRelay
from flightlog.cli.subject import Subject
from flightlog.client import Client
from flightlog.clock import now_us
from flightlog.retries import given_up
from flightlog.scope import Scope
from flightlog.task_facts import schedule_key, span_of
from flightlog.trace import VARIABLE, Trace
from flightlog_schemas.answers import TaskAttempt
from flightlog_schemas.events.task import TaskStarted

BUFFER_BYTES: Final = 8 * 1024 * 1024
"""Most that is held for a daemon that is away or slow."""


class Command:
    """A command that can be run more than once.

    Args:
        client: Takes what is recorded.
        relay: Hands on the signals that come.
        arguments: The program and its arguments.
        environment: All of its environment, but for the trace.
        timeout_us: How long each run may take.
        settle: Waits a moment until what was told so far is recorded, where a daemon is there.
        say: Tells the user that it could not be started.
    """

    def __init__(
        self,
        client: Client,
        relay: SignalRelay,
        arguments: tuple[str, ...],
        environment: Mapping[str, str],
        timeout_us: int | None,
        settle: Callable[[], None],
        say: Callable[[str], None],
    ) -> None:
        self._client = client
        self._relay = relay
        self._arguments = arguments
        self._environment = environment
        self._timeout_us = timeout_us
        self._settle = settle
        self._say = say

    def run(self, subject: Subject, trace: Trace) -> Verdict:
        """Tell that it starts, run it once, and return how it ended, which is not told."""
        self._client.put_now(subject.started)
        self._settle()
        begun = time.monotonic_ns()
        try:
            child = spawn(
                self._arguments, {**self._environment, VARIABLE: trace.parent}, self._relay.blocked_before
            )
        except SpawnError as error:
            self._say(str(error))
            return never_ran(error, (time.monotonic_ns() - begun) // 1000)
        self._relay.forward_to(child)
        scope = Scope(self._client, subject.started.execution_id, subject.started.task_id)

        def take(said: Entry) -> None:
            level = "INFO" if said.level is None else said.level
            scope.log(said.message, level, source=subject.source, fields=said.fields)

        recorder = Recorder(
            child,
            take,
            pause=Pace(self._client, BUFFER_BYTES // 2),
            told_to_end=self._told_to_end,
            timeout_s=None if self._timeout_us is None else self._timeout_us / 1e6,
        )
        ending = recorder.run()
        self._relay.let_go()
        child.close()
        return verdict(ending, self._relay.received, self._timeout_us)

    def attempt(
        self, first: TaskStarted, source: str, trace: Trace, retries: int, before: TaskAttempt | None = None
    ) -> Verdict:
        """Run it as attempts at a task, several times while it fails; return how the last one ended.

        One that cannot be started, or was asked to end, is not run again.

        Args:
            first: The first attempt.
            source: What its lines name as their source.
            trace: Of the first attempt.
            retries: How often at the most it is run again.
            before: The attempt that the first one follows, told by another process.
        """
        started = first
        if before is not None and before.span_id is not None:
            end = given_up(before)
            if end is not None:
                self._client.put_now(end)
            span_id = span_of(str(first.task_id), first.scheduled_at, before.attempt + 1)
            trace = trace._replace(trace_id=before.trace_id or trace.trace_id, span_id=span_id)
            reason = None if before.error is None else f"after {before.error.message}"
            started = again(first, before.attempt, before.span_id, trace, reason)
        while True:
            subject = Subject(started, source)
            ended = self.run(subject, trace)
            self._client.put_now(subject.ended(ended))
            if not retries or not ended.is_worth_another or self._told_to_end():
                return ended
            retries -= 1
            span_id = span_of(str(first.task_id), first.scheduled_at, started.attempt + 1)
            trace = trace._replace(span_id=span_id)
            reason = None if ended.error is None else f"after {ended.error.message}"
            started = again(first, started.attempt, str(started.span_id), trace, reason)

    def _told_to_end(self) -> bool:
        return not ASKED_TO_END.isdisjoint(self._relay.received)


def again(first: TaskStarted, attempt: int, retry_of: str, trace: Trace, reason: str | None) -> TaskStarted:
    """Return the attempt that follows another one, like the first but for its number, its trace and why."""
    scheduled_at = first.scheduled_at
    return msgspec.structs.replace(
        first,
        id=None if scheduled_at is None else schedule_key(str(first.task_id), scheduled_at, attempt + 1),
        time=now_us(),
        trace_id=trace.trace_id,
        span_id=trace.span_id,
        attempt=attempt + 1,
        retry_of=retry_of,
        reason=reason,
    )
