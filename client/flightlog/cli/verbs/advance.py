"""`flightlog advance`: the next phase."""

import click

from flightlog import commands
from flightlog.cli.options import execution_argument
from flightlog.cli.verb import Session, json_option, verb
from flightlog.commands.phase import finding


@verb(
    "advance",
    "flightlog advance",
    "flightlog advance EXEC --priority 1",
    "flightlog advance EXEC --priority 0 --disable-gates --reason 'the plan is in the ticket'",
)
@execution_argument
@click.option(
    "--priority",
    type=click.IntRange(0, 999),
    metavar="N",
    help="Look at gates: one that does not hold blocks at 0 and 1, is recorded at 2 and 3.",
)
@click.option("--reason", metavar="TEXT", help="Why. Takes a paused execution on, too.")
@click.option("--disable-gates", is_flag=True, help="Look at no gates, whatever the priority.")
@json_option
def command(
    session: Session,
    execution: str,
    priority: int | None,
    reason: str | None,
    disable_gates: bool,
    as_json: bool,
) -> None:
    """Take an execution to the next phase of its chain.

    Prints FROM → TO. The step into the last phase ends the execution as succeeded. Gates: documents of the
    phases up to `planned` are there (artifact_exists), the agents of `executing` and `review` are done
    (agents_complete); in a chain of its own, both for each phase.

    Exit code 1, with the reason: blocked, paused (--no-auto-advance) and no --reason given, ended, without a
    chain, unknown, or another command was faster. What was blocked shows in the audit trail.
    """
    step = commands.advance(
        execution, priority=priority, reason=reason, disable_gates=disable_gates, daemon=session.daemon
    )
    for gate in step.gates:
        if not gate.passed:
            session.say(f"a gate does not hold, which is recorded: {finding(gate)}")
    output = session.output()
    if as_json:
        output.json(step)
    else:
        output.line(output.safe(f"{step.from_phase} → {step.to_phase}"))
