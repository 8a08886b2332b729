"""Plans over the sockets: what a program declares and asks for, and what the daemon makes of it."""

from typing import Any
from uuid import uuid4

from support.daemon import Daemon
from support.govern import ask
from support.lines import event
from support.peers import IngestPeer, Json, QueryPeer

PROJECT = "/srv/shop"


def task(task_id: str, *depends_on: str, **facts: Any) -> bytes:
    """Return the declaration of a task of the project."""
    dependencies = [{"task_id": one} for one in depends_on]
    told: dict[str, Any] = {"task_id": task_id, "project": PROJECT, "depends_on": dependencies} | facts
    return event("task.declared", **told)


def tell(daemon: Daemon, *lines: bytes) -> None:
    """Send lines, all of which must be stored."""
    with IngestPeer(daemon.ingest_socket) as peer:
        replies = peer.settle(*lines)
    assert not any("refused" in reply for reply in replies), replies


def build(daemon: Daemon, *lines: bytes, **facts: Any) -> Json:
    """Send lines and a request for a plan; return its answer with what the daemon adds to it."""
    key = uuid4().hex
    told: dict[str, Any] = {"id": key, "project": PROJECT} | facts
    tell(daemon, *lines, event("plan.requested", **told))
    return answer_to(daemon, key)


def answer_to(daemon: Daemon, key: str) -> Json:
    """Return the answer to a request, as soon as it is there."""
    with QueryPeer(daemon.query_socket) as reader:
        reader.start("tail", after=0, type=["plan.built", "plan.failed"])
        return next(found for found in reader.events() if found["event"].get("causation_id") == key)


def plan_of(daemon: Daemon, **arguments: Any) -> Json:
    """Return the plan of the project as it stands, or another's."""
    return ask(daemon, "plan", **(arguments or {"project": PROJECT})).one("plan")


def batches(plan: Json) -> list[list[str]]:
    """Return the tasks of each batch."""
    return [batch["task_ids"] for batch in plan["plan"]["batches"]]
