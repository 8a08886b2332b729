"""Questions about what was recorded, line by line: tail, events, logs, search, and how far a reader is."""

from flightlog_schemas.limits import Count, ExecutionRef, Id, Micros
from flightlog_schemas.wire.request import PAGE_LIMIT, Hosts, LevelNumber, Limit, Request


class Tail(Request, kw_only=True):
    """Recorded events after a position, oldest first; with `follow` it does not end.

    Attributes:
        after: Events with a higher seq; None means from now on.
        last: Only the last that many matching events of what is there.
        since: Begin at the first batch received at or after this time instead.
        until: End before the first batch received at or after this time, and do not follow.
        cursor: Begin after this named cursor of the peer's user. `after` wins over it, and it over `last` and
            `since`, which say where where there is none. Reading does not move it: the request `cursor` does.
        follow: False ends at the position that was the head when the request came.
        limit: End after that many matching events.
        type: Any of these types; a name ending in `.` or `.*` takes the family.
        execution_id: Events of this execution.
        task_id: Events with this task.
        agent_id: Events with this agent.
        level: Log lines of any of these levels only (numbers of OpenTelemetry ranges: 1, 5, 9, ...).
        source: Log lines of exactly this source only.
        grep: Lines whose JSON text holds this substring, or all of these.
        exclude: Lines whose JSON text holds none of these substrings.
        host: Recorded first by any of these machines.
        passing: Tell now and then, as `{"passed":{"seq":N}}`, up to where was looked and nothing matched, for
            readers who confirm by a cursor what they have.
    """

    after: Count | None = None
    last: Limit | None = None
    since: Micros | None = None
    until: Micros | None = None
    cursor: Id | None = None
    follow: bool = True
    limit: Count | None = None
    type: tuple[str, ...] = ()
    execution_id: ExecutionRef | None = None
    task_id: Id | None = None
    agent_id: Id | None = None
    level: tuple[LevelNumber, ...] = ()
    source: str | None = None
    grep: str | tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    passing: bool = False
    host: Hosts = ()


class OneEvent(Request, kw_only=True):
    """One recorded event, by its position or by its key.

    Attributes:
        seq: Its position.
        id: Its key; `seq` is left out then.
        uid: Whose key; the asker's own unless given.
    """

    seq: Count | None = None
    id: Id | None = None
    uid: Count | None = None


class Events(Request, kw_only=True):
    """Recorded events of one execution, oldest first, a page at a time; log lines only if asked for."""

    execution_id: ExecutionRef
    after: Count = 0
    limit: Limit = PAGE_LIMIT
    type: tuple[str, ...] = ()
    logs: bool = False


class Logs(Request, kw_only=True):
    """Log lines of one execution or of all runs of a task, lifecycle events rendered among them.

    Attributes:
        execution_id: Its id, or a prefix that fits no other; without one `task_id` is needed, and the lines
            are those of that task in any execution that announced it.
        after: Lines with a higher seq.
        cursor: Lines after this named cursor of the peer's user, as in a tail; `after` wins.
        last: Only the last that many matching lines (before any that follow).
        limit: End after that many lines; with no limit all of them.
        follow: Go on until the execution has ended and its last line was sent; of a task it does not end.
        reverse: Newest first; not with `follow`.
        before: With `reverse`, lines with a lower seq.
        level: Any of these level ranges (1, 5, 9, 13, 17, 21).
        source: Exactly this source.
        task_id: Lines of this task.
        agent_id: Lines of this agent.
        since: Lines at or after this time.
        until: Lines before this time.
        host: Of an execution of one of these machines; of a task, in executions of any.
        grep: Messages that hold this substring, or all of these.
        exclude: Messages that hold none of these substrings.
        passing: Tell how far was looked, as in a tail; not with `reverse`.
    """

    execution_id: ExecutionRef | None = None
    after: Count | None = None
    cursor: Id | None = None
    last: Count | None = None
    limit: Count | None = None
    follow: bool = False
    reverse: bool = False
    before: Count | None = None
    level: tuple[LevelNumber, ...] = ()
    source: str | None = None
    task_id: Id | None = None
    agent_id: Id | None = None
    since: Micros | None = None
    until: Micros | None = None
    grep: str | tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    passing: bool = False
    host: Hosts = ()


class Cursor(Request, kw_only=True):
    """Move a named cursor of the peer's user, or remove it: `{"cursor":{...}}`, as it is then or last was.

    Attributes:
        name: Which.
        seq: Everything up to here was delivered. It is durable when it is answered, and never beyond the
            head. A cursor that is further already stays where it is.
        back: Move it although it is further.
        remove: Remove it instead.
        uid: Whose, where that is another user; for root alone.
    """

    name: Id
    seq: Count | None = None
    back: bool = False
    remove: bool = False
    uid: Count | None = None


class Cursors(Request, kw_only=True):
    """Named cursors of the peer's user by name, for root those of all users: `{"cursor":{...}}`.

    `name` is an equal match; `after` is the `next` of the page before.
    """

    name: Id | None = None
    after: Count = 0
    limit: Limit = PAGE_LIMIT


class Search(Request, kw_only=True):
    """Log lines in which words occur, newest first, a page at a time: `{"log":{...}}`, as `logs` has them.

    The words are looked up in an index that is a little behind the log: a search waits a moment for it, one
    with `min_seq` until that position is in it, and `end.lag` says how many positions are not. `words` has
    the rules for the text. Lines are found whole words at a time, whatever their case, accents and
    punctuation: `user_id` is `user` followed by `id`.

    Attributes:
        text: Words that all occur, "words in a row", beginnings*, and -what must not occur.
        execution_id: Lines of this execution: its id, or a prefix that fits no other.
        level: Any of these level ranges (1, 5, 9, 13, 17, 21).
        source: Exactly this source.
        task_id: Lines of this task.
        project: Lines of executions of this project.
        since: Lines at or after this time.
        until: Lines before this time.
        host: Lines of executions of any of these machines.
        before: Lines with a lower seq: the `next` of the page before. A page may hold fewer lines than its
            limit although there are more.
        limit: Most on a page.
    """

    text: str
    execution_id: ExecutionRef | None = None
    level: tuple[LevelNumber, ...] = ()
    source: str | None = None
    task_id: Id | None = None
    project: str | None = None
    since: Micros | None = None
    until: Micros | None = None
    before: Count | None = None
    limit: Limit = 50
    host: Hosts = ()


class Check(Request, kw_only=True):
    """Whether all that was said of an execution is here, and what is missing: `{"check":{...}}`."""

    execution_id: ExecutionRef
