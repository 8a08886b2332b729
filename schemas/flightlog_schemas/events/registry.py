"""All event types, and what finds one by its `type`."""

import operator
from functools import reduce
from typing import Any, Final

from flightlog_schemas.events.agent import AgentAdded, AgentUpdated, AgentUsage
from flightlog_schemas.events.artifact import ArtifactAdded
from flightlog_schemas.events.audit import AuditRecorded
from flightlog_schemas.events.daemon import (
    DaemonPruned,
    DaemonRebuilt,
    DaemonStarted,
    DaemonStopped,
    DaemonSuppressed,
)
from flightlog_schemas.events.envelope import ErrorInfo, Event, Provenance, UserEvent, tag_of, type_of
from flightlog_schemas.events.execution import (
    BootClock,
    ExecutionAdopted,
    ExecutionAdvanced,
    ExecutionBlocked,
    ExecutionChanged,
    ExecutionCounted,
    ExecutionCreated,
    ExecutionEnded,
    ExecutionLost,
    ExecutionResumed,
    ExecutionStarted,
    ExecutionWaiting,
    Owner,
)
from flightlog_schemas.events.log import Log
from flightlog_schemas.events.plan import (
    PlanAdjusted,
    PlanBuilt,
    PlanEpicDeclared,
    PlanFailed,
    PlanRequested,
)
from flightlog_schemas.events.producer import ProducerDropped
from flightlog_schemas.events.reserved import RESERVED_PREFIXES, is_reserved
from flightlog_schemas.events.task import (
    Dependency,
    Retrieval,
    Runner,
    TaskCreated,
    TaskDeclared,
    TaskEnded,
    TaskIO,
    TaskResumed,
    TaskStarted,
    TaskWaiting,
)

KNOWN_TYPES: Final[tuple[type[Event], ...]] = (
    ExecutionCreated,
    ExecutionStarted,
    ExecutionWaiting,
    ExecutionResumed,
    ExecutionChanged,
    ExecutionCounted,
    ExecutionAdvanced,
    ExecutionBlocked,
    ExecutionAdopted,
    ExecutionEnded,
    ExecutionLost,
    TaskDeclared,
    TaskCreated,
    TaskStarted,
    TaskWaiting,
    TaskResumed,
    TaskEnded,
    Log,
    AgentAdded,
    AgentUpdated,
    AgentUsage,
    ArtifactAdded,
    PlanEpicDeclared,
    PlanRequested,
    PlanBuilt,
    PlanAdjusted,
    PlanFailed,
    AuditRecorded,
    ProducerDropped,
    DaemonStarted,
    DaemonStopped,
    DaemonRebuilt,
    DaemonPruned,
    DaemonSuppressed,
)
"""Every type under a reserved prefix."""

KnownEvent: Any = reduce(operator.or_, KNOWN_TYPES)
"""The tagged union that one decoder reads."""

QUIET_TYPES: Final[frozenset[type[Event]]] = frozenset({Log, AgentUsage, UserEvent})
"""Types that do not move an execution's `state_seq`: log lines must not make commands fail."""

BY_TAG: Final[dict[str, type[Event]]] = {tag_of(known): known for known in KNOWN_TYPES}

FLOAT_TYPES: Final[frozenset[type[Event]]] = frozenset(
    known
    for known in KNOWN_TYPES
    if any(float in vars(base).get("__annotations__", {}).values() for base in known.__mro__)
)
"""Types with a float of their own: their JSON has no single spelling, so the codec checks them longhand."""

__all__ = [
    "BY_TAG",
    "FLOAT_TYPES",
    "KNOWN_TYPES",
    "QUIET_TYPES",
    "RESERVED_PREFIXES",
    "AgentAdded",
    "AgentUpdated",
    "AgentUsage",
    "ArtifactAdded",
    "AuditRecorded",
    "BootClock",
    "DaemonPruned",
    "DaemonRebuilt",
    "DaemonStarted",
    "DaemonStopped",
    "DaemonSuppressed",
    "Dependency",
    "ErrorInfo",
    "Event",
    "ExecutionAdopted",
    "ExecutionAdvanced",
    "ExecutionBlocked",
    "ExecutionChanged",
    "ExecutionCounted",
    "ExecutionCreated",
    "ExecutionEnded",
    "ExecutionLost",
    "ExecutionResumed",
    "ExecutionStarted",
    "ExecutionWaiting",
    "KnownEvent",
    "Log",
    "Owner",
    "PlanAdjusted",
    "PlanBuilt",
    "PlanEpicDeclared",
    "PlanFailed",
    "PlanRequested",
    "ProducerDropped",
    "Provenance",
    "Retrieval",
    "Runner",
    "TaskCreated",
    "TaskDeclared",
    "TaskEnded",
    "TaskIO",
    "TaskResumed",
    "TaskStarted",
    "TaskWaiting",
    "UserEvent",
    "is_reserved",
    "tag_of",
    "type_of",
]
