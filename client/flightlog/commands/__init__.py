"""Strict commands: they ask first, write only what makes sense, and return when it is on disk and readable.

    from flightlog import commands

    commands.advance("build-7", priority=1, reason="reviewed")

What a program emits (`flightlog.execution`) are facts, taken as they come and never waited for. A command is
refused where it makes no sense, by an exception with `reason`, `hint` and the `exit_code` that the command
line ends with. Of two commands that contradict one another one wins, and the other raises `Conflict`, for
each names the state of the execution that it saw (`expect_seq`). Every command takes the `Daemon` that it is
for; the command line is made of these.
"""

from flightlog.commands.agent import add_agent, update_agent
from flightlog.commands.artifact import add_artifact
from flightlog.commands.execution import cancel, finish, owner_named, set_, start
from flightlog.commands.phase import Advanced, Blocked, advance
from flightlog.commands.plan import (
    RequestedPlan,
    adjust_plan,
    await_plan,
    declare_tasks,
    request_plan,
    show_plan,
)
from flightlog.daemon import Daemon
from flightlog.errors import Conflict, PlanConflict, Refusal

__all__ = [
    "Advanced",
    "Blocked",
    "Conflict",
    "Daemon",
    "PlanConflict",
    "Refusal",
    "RequestedPlan",
    "add_agent",
    "add_artifact",
    "adjust_plan",
    "advance",
    "await_plan",
    "cancel",
    "declare_tasks",
    "finish",
    "owner_named",
    "request_plan",
    "set_",
    "show_plan",
    "start",
    "update_agent",
]
