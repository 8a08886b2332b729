"""Plans: what is asked for is built, and the success of an initialiser asks for one.

    initialiser succeeded -> plan.requested -> read what is declared -> build, on a thread -> plan.built
                                                                                           -> plan.failed

Nobody waits for a build: it is one at a time, off the loop and the writer's thread. What was asked for and
not answered is known from the read models, so a crash in between neither forgets nor repeats.
"""

from collections.abc import Sequence
from functools import partial
from typing import Final

import apsw
import structlog
import trio
from msgspec import Struct

from flightlog_schemas.events import (
    DaemonRebuilt,
    Event,
    ExecutionAdvanced,
    ExecutionChanged,
    ExecutionCreated,
    ExecutionEnded,
    ExecutionStarted,
    PlanRequested,
)
from flightlogd.clock import system_clock
from flightlogd.errors import QuestionError
from flightlogd.hub import Hub
from flightlogd.plan_answer import TASKS_LIMIT, TEXT_LIMIT_BYTES, PlanRequest, addressed, answer, failed
from flightlogd.projections.plan import REQUEST_KEY, ROLE, is_initializer
from flightlogd.queries.find import require
from flightlogd.queries.plan_input import PlanInput, plan_input, size_declared
from flightlogd.store.database import is_storage_error
from flightlogd.voice import Voice

logger = structlog.get_logger(__name__)

OF_CONCERN: Final = frozenset(
    {
        DaemonRebuilt,
        ExecutionAdvanced,
        ExecutionChanged,
        ExecutionCreated,
        ExecutionEnded,
        ExecutionStarted,
        PlanRequested,
    }
)
"""What may ask for a plan."""

_AGAIN_S: Final = 1.0
"""Pause before something is tried again that storage or a broken read model kept from being done."""

_AT_ONCE: Final = 100
"""Requests read at once, and initialisers that one commit asks for."""

_SUCCEEDED: Final = (
    "select execution_id, first_seq, project from plan_initializer join execution using (execution_id)"
    " where not asked and status = 'succeeded' and provenance = 'live' and project is not null"
    f" and json_extract(labels, '$.{ROLE[0]}') = '{ROLE[1]}'"
)


class _Found(Struct):
    """What there is to do: initialisers by id, those of them that succeeded, requests in their order."""

    initializers: list[str]
    succeeded: list[str]
    requests: list[PlanRequest]


class Plans:
    """Builds plans, one after the other.

    Args:
        hub: What all connections share.
        voice: Appends them.
    """

    def __init__(self, hub: Hub, voice: Voice) -> None:
        self._hub = hub
        self._voice = voice
        self._initializers: set[str] = set()
        self._loaded = False
        """Before initialisers of earlier times are known any ending may be of one."""
        self._news = trio.Event()

    def note(self, event: Event) -> None:
        """Take in an event that was committed, one of those `OF_CONCERN`; called on trio's thread."""
        if isinstance(event, PlanRequested | DaemonRebuilt):
            self._news.set()
        elif is_initializer(event):
            assert event.execution_id is not None
            self._initializers.add(event.execution_id)
            self._news.set()  # it may have ended before it was called one
        elif event.execution_id in self._initializers or not self._loaded:
            self._news.set()

    async def run(self) -> None:
        """Answer requests until cancelled: first those that the log knows from before."""
        while True:
            self._news = trio.Event()
            try:
                await self._look()
            except (QuestionError, apsw.Error) as error:
                if isinstance(error, apsw.Error) and not is_storage_error(error):
                    raise
                logger.warning("cannot build plans now, trying again", reason=str(error))
                await trio.sleep(_AGAIN_S)
                self._news.set()
            await self._news.wait()

    async def _look(self) -> None:
        """Do what there is to do now."""
        found = await self._hub.readers.run(_find)
        self._initializers.update(found.initializers)
        self._loaded = True
        if found.succeeded:
            await self._voice.react(_ask)
            self._initializers.difference_update(found.succeeded)
        alike: dict[tuple[str, int | None], list[PlanRequest]] = {}
        for request in found.requests:
            alike.setdefault((request.project, request.max_worktrees), []).append(request)
        for requests in alike.values():
            # One plan for all: it is newer than each of them.
            event = await self._answer(requests[0])
            await self._voice.react(partial(_still_wanted, requests, event))
        if len(found.requests) == _AT_ONCE or len(found.succeeded) > _AT_ONCE:
            self._news.set()  # there is more than was read

    async def _answer(self, request: PlanRequest) -> Event:
        try:
            known = await self._hub.readers.run(partial(_read_input, project=request.project))
        except QuestionError as error:
            if error.code != "deadline":
                raise
            return failed(request, error.reason, system_clock())
        if isinstance(known, str):
            return failed(request, known, system_clock())
        limit_bytes = self._hub.config.line_limit_bytes
        # What a stop leaves behind on the thread is built again after the next start.
        return await trio.to_thread.run_sync(
            answer, request, known, system_clock(), limit_bytes, abandon_on_cancel=True
        )


def _find(db: apsw.Connection) -> _Found:
    require(db, "plan", "execution")
    rows = db.execute(
        "select seq, project, execution_id, request_id, max_worktrees from plan_pending order by seq limit ?",
        (_AT_ONCE,),
    )
    requests = [PlanRequest(*row) for row in rows]
    initializers = [row[0] for row in db.execute("select execution_id from plan_initializer where not asked")]
    return _Found(initializers, [row[0] for row in db.execute(_SUCCEEDED)], requests)


def _read_input(db: apsw.Connection, project: str) -> PlanInput | str:
    """Return what a plan is built from; in words, where that is too much."""
    require(db, "plan")
    count, size_bytes = size_declared(db, project)
    if count > TASKS_LIMIT:
        return f"more than {TASKS_LIMIT} tasks are declared"
    if size_bytes > TEXT_LIMIT_BYTES:
        return f"tasks of more than {TEXT_LIMIT_BYTES} bytes are declared"
    return plan_input(db, project)


def _ask(db: apsw.Connection) -> Sequence[Event]:
    """Return the requests that follow from initialisers that succeeded."""
    require(db, "plan", "execution")
    return [
        PlanRequested(
            id=f"{REQUEST_KEY}:{first_seq}",
            execution_id=execution_id,
            project=project,
            reason="initialisation succeeded",
        )
        for execution_id, first_seq, project in db.execute(f"{_SUCCEEDED} limit {_AT_ONCE}")
    ]


def _still_wanted(requests: Sequence[PlanRequest], event: Event, db: apsw.Connection) -> Sequence[Event]:
    """Return the answers to requests that have none and have not left the log; the first holds the plan."""
    require(db, "plan")
    sql = "select 1 from plan_pending where seq = ?"
    wanted = [request for request in requests if db.execute(sql, (request.seq,)).get is not None]
    return [addressed(event, request, whole=request is wanted[0]) for request in wanted]
