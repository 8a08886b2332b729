"""Personal data in what programs and commands record, where they have it scrubbed."""

import json
from pathlib import Path

import pytest

from cli.runner import Cli
from schemas.test_masking_personal import ADDRESS, FOUND
from support.daemon import Daemon
from support.programs import events, messages, run_program
from support.secrets import leaks

PERSONAL = [text for texts in FOUND.values() for text in texts]

PROGRAM = """
import json, logging, os
import flightlog
from flightlog.logging import FlightlogHandler
flightlog.scrub_pii()
texts = json.loads(os.environ["TEXTS"])
logger = logging.getLogger("job")
logger.addHandler(FlightlogHandler())
for text in texts:
    try:
        with flightlog.execution("job of " + text, goal=text, labels={"a": text}, args=["-x", text]) as run:
            run.info("it is " + text, field=text, nested=[{"a": text}], **{"k " + text: 1})
            logger.warning("see %s", text, extra={"more": text})
            flightlog.emit({"type": "my.own", "a": text})
            with run.task("load " + text, inputs={"to": text}) as task:
                task.outputs = {"n": [text]}
            for attempt in run.attempts("again", retries=1):
                with attempt:
                    raise ValueError("x" * 990 + " " + text)
    except ValueError:
        pass
with flightlog.execution("cut") as run:
    run.info("y" * 174_700 + " " + texts[0] + " " + "y" * 1_000_000)
"""


@pytest.mark.covers("S2.5")
def test_nothing_personal_is_recorded(daemon: Daemon) -> None:
    """What a program says of executions, tasks, failures and in its log has no personal data, and says so."""
    done = run_program(PROGRAM, daemon.runtime_dir, TEXTS=json.dumps(PERSONAL))

    assert (done.returncode, done.stderr) == (0, "")
    recorded = events(daemon)
    with_text = [event for event in recorded if "[scrubbed:" in json.dumps(event)]
    assert len(with_text) > 8 * len(PERSONAL)
    assert [event["scrubbed"] for event in with_text] == [True] * len(with_text)
    assert not any("scrubbed" in event for event in recorded if event not in with_text)
    assert leaks(daemon.state_dir, [text.encode() for text in PERSONAL]) == []


@pytest.mark.covers("S2.5")
def test_exec_scrubs_what_a_command_prints(flightlog: Cli, daemon: Daemon) -> None:
    """With --scrub the rules are in force for a command's lines, whole or cut, and for what runs inside."""
    script = f"echo $FLIGHTLOG_SCRUB by {ADDRESS} at 10.1.2.3; printf '%9987s {ADDRESS}%400s\\n' a b"
    done = flightlog.ok("exec", "--scrub", "email,uuid", "--", "sh", "-c", script)

    assert f"by {ADDRESS} at 10.1.2.3" in done.out  # whoever looks on sees all
    first, second = events(daemon, type=["log"])
    assert first["message"] == "email,uuid by [scrubbed:email] at 10.1.2.3"
    assert "ann" not in second["message"]
    assert (first["scrubbed"], second["scrubbed"]) == (True, True)
    started = events(daemon, type=["execution.started"])[0]
    assert ADDRESS not in json.dumps(started)
    (line, _) = flightlog.ok("logs", started["execution_id"], "--source", "exec:sh", "--json").lines
    assert json.loads(line)["scrubbed"] is True


@pytest.mark.covers("S2.5")
def test_the_environment_names_rules(flightlog: Cli, daemon: Daemon, home: Path) -> None:
    """$FLIGHTLOG_SCRUB is in force for every verb that records; one that names no rule hides all."""
    flightlog.ok("start", "--id", "e", "--goal", f"for {ADDRESS}", FLIGHTLOG_SCRUB="email")
    flightlog.ok("log", "e", f"{ADDRESS} 10.1.2.3", FLIGHTLOG_SCRUB="email, uuid")
    done = flightlog.ok("log", "e", f"{ADDRESS} 10.1.2.3", FLIGHTLOG_SCRUB="mail")

    assert done.err.count("FLIGHTLOG_SCRUB: no rule 'mail' for personal data: there are all, email") == 1
    assert events(daemon)[0]["goal"] == "for [scrubbed:email]"
    assert messages(daemon) == ["[scrubbed:email] 10.1.2.3", "[scrubbed:email] [scrubbed:ipv4]"]


def test_the_rules_are_checked_before_anything_runs(flightlog: Cli, home: Path) -> None:
    """A rule that is none is a usage error, and nothing runs."""
    done = flightlog("exec", "--scrub", "mail", "--", "touch", str(home / "ran"))

    assert done.code == 3
    assert "no rule 'mail' for personal data: there are all, email, ipv4, ipv6, uuid, hex" in done.err
    assert not (home / "ran").exists()
