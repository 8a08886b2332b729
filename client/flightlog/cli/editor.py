"""A plan in somebody's editor: opened again with what is wrong above it, until it is right or given up."""

import os
import sys
import tempfile
from typing import Final

import click

from flightlog import commands
from flightlog.cli.plan_edit import Change, change_by_text, text_of, with_comments, without_comments
from flightlog.cli.verb import Session
from flightlog.errors import FlightlogError, PlanConflict, QueryFailed, UsageError
from flightlog_schemas.projects import ProjectPlan

_SUFFIX: Final = ".json"
_HINT: Final = "set EDITOR, or use --move and --worktree"


def edit(session: Session, found: ProjectPlan) -> ProjectPlan | None:
    """Have somebody change a plan, and return it as it is then; None where nothing was changed.

    Args:
        session: The verb that this is for.
        found: The plan as it is.

    Raises:
        FlightlogError: there is no editor, or it failed.
        PlanConflict: somebody else was faster; a copy of what was written stays.
    """
    text = with_comments(text_of(found.plan))
    wrong = False
    while True:
        edited = _open(text)
        if edited is None or without_comments(edited) == without_comments(text):
            if wrong:
                session.say(f"given up on, a copy is in {_keep(text)}")
            return None
        try:
            change = change_by_text(found.plan, edited)
            if change == Change({}, {}):
                return None
            return commands.adjust_plan(
                plan_id=found.plan_id,
                batch_overrides=change.batches,
                worktree_assignments=change.worktrees,
                seen_seq=found.seen_seq,
                daemon=session.daemon,
            )
        except PlanConflict:
            session.say(f"a copy of the text is in {_keep(edited)}")
            raise
        except UsageError as error:
            problem = error.reason
        except QueryFailed as error:
            if error.code != "invalid":
                raise
            problem = error.reason
        wrong = True
        text = with_comments(edited, [problem])


def _open(text: str) -> str | None:
    if not sys.stdin.isatty() and not (os.environ.get("VISUAL") or os.environ.get("EDITOR")):
        # What is taken instead wants a terminal, and would wait for one.
        raise UsageError("neither a terminal nor an editor", _HINT)
    try:
        return click.edit(text, extension=_SUFFIX)
    except click.ClickException as error:
        raise FlightlogError(error.format_message(), _HINT) from None


def _keep(text: str) -> str:
    descriptor, path = tempfile.mkstemp(_SUFFIX, "flightlog-plan-")
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
    return path
