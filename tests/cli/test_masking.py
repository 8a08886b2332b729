"""Secrets in what programs and commands record: no spelling of any is on a disk, with a daemon or without."""

import base64
import json
import sys
from pathlib import Path
from typing import Any
from urllib.parse import quote_plus

import pytest

from cli.runner import Cli
from flightlog_schemas.masking import MASK
from support.daemon import Daemon
from support.programs import events, run_program
from support.secrets import KEY, SECRET, base64_spellings, leaks, spellings, traces

# Prints what it knows in every spelling, in two writes for one line, line by line, past where lines are cut.
PRINTER = """
import json, os, sys
for text in json.loads(os.environ["SPELLINGS"]):
    print("it is", text, "you see")
    print(json.dumps({"level": "WARN", "message": text, "db": {"x": [text]}}))
sys.stdout.flush()
secret = os.environ["APP_SECRET"].encode()
os.write(1, b"half " + secret[:9])
os.write(1, secret[9:] + b" half\\n")
os.write(2, os.environ["SIGNING_KEY"].encode() + b"\\n")
os.write(2, b"x" * 9_990 + secret + b"x" * 300_000 + b"\\n")
print("-----BEGIN PRIVATE KEY-----\\nbGluZTE0OTkz\\nbGluZTI0OTkz\\n-----END PRIVATE KEY-----\\nafter the key")
"""

PROGRAM = """
import json, logging, os, signal
import flightlog
from flightlog.logging import FlightlogHandler
flightlog.mask("registered-by-hand-4993")
secret, key = os.environ["APP_SECRET"], os.environ["SIGNING_KEY"]
spellings = json.loads(os.environ["SPELLINGS"]) + ["registered-by-hand-4993"]
try:
    with flightlog.execution("job " + secret, goal=key, labels={"a": secret}, args=["-x", secret]) as run:
        logger = logging.getLogger("job")
        logger.addHandler(FlightlogHandler())
        for text in spellings:
            run.info(text, field=text, nested=[{"a": text}], **{"k " + text: 1})
            logger.warning("see %s", text, extra={"more": text})
            flightlog.emit({"type": "my.own", "a": text, "b": {"c": (text,)}})
        with run.task("load registered-by-hand-4993", inputs={"a": secret, "password": "named-4993"}) as task:
            task.outputs = {"n": [key]}
        run.artifact("/tmp/" + secret.replace("/", ""), digest=False)
        for attempt in run.attempts("again", retries=1):
            with attempt:
                raise ValueError("x" * 985 + secret)
except ValueError:
    pass
with flightlog.execution("cut") as run:
    run.info("x" * 2_000_000 + secret)
    run.info("y" * 1_048_400 + secret + "y" * 100)
if os.environ.get("DIE"):
    flightlog.flush(0.2)
    os.kill(os.getpid(), signal.SIGKILL)
"""

FAILING = """
import flightlog, os
flightlog.mask(os.environ["VALUE"])
exec(f'''
def connect(to):
    raise OSError(to)
try:
    with flightlog.execution("a"):
        connect("db:{os.environ["VALUE"]}")
except OSError:
    pass
''')
"""

NAMED = b"-4993"
"""In all that is secret by its name or its looks alone."""

WANTED = traces(SECRET, KEY) | {NAMED, base64.b64encode(b"line14993"), b"bGluZTI0OTkz"}


@pytest.fixture
def secrets() -> dict[str, Any]:
    """Give the environment of a program that knows secrets, and all their spellings."""
    texts = [
        spelt
        for secret in (SECRET, KEY)
        for spelt in (*spellings(secret), *(text for text, _ in base64_spellings(secret)))
        if "\\n" not in spelt
    ]
    return {"APP_SECRET": SECRET, "SIGNING_KEY": KEY, "SPELLINGS": json.dumps(texts)}


def record(flightlog: Cli, secrets: dict[str, Any]) -> None:
    """Let everything that can record something record secrets."""
    done = flightlog(
        *("exec", "--name", f"print {SECRET}", "--label", f"a={SECRET}", "--"),
        *(sys.executable, "-c", PRINTER, SECRET, "--api-key", "option-4993", f"{'x' * 99_000}{KEY}"),
        **secrets,
    )
    assert done.code == 0, done.err
    assert f"half {SECRET} half" in done.out  # whoever looks on sees all
    done_program = run_program(PROGRAM, flightlog.runtime_dir, **secrets)
    assert done_program.returncode == 0, done_program.stderr


@pytest.mark.covers("S1.12")
def test_no_secret_is_on_disk(flightlog: Cli, daemon: Daemon, secrets: dict[str, Any]) -> None:
    """What exec, log, emit, start, a program and a logging handler record holds no spelling of a secret."""
    flightlog.ok("start", "--id", "e", "--goal", SECRET, "--", "run", SECRET, **secrets)
    record(flightlog, secrets)
    lines = []
    for text in json.loads(secrets["SPELLINGS"]):
        lines.append(
            json.dumps({"type": "log", "execution_id": "e", "message": text, "fields": {text: text}})
        )
        lines.append(f'not JSON {text} "password": "raw-4993"'.replace("\n", " "))
    flightlog("emit", stdin="\n".join(lines).encode(), **secrets)
    flightlog.ok(
        "log", "e", f"by hand {SECRET}", "--field", f"token={SECRET}", "--field", f"a={KEY}", **secrets
    )
    flightlog.ok("finish", "e", "--outcome", "failed", "--error", f"lost {SECRET}", **secrets)

    assert leaks(daemon.state_dir, WANTED) == []
    daemon.kill()
    assert leaks(daemon.state_dir, WANTED) == []
    daemon.start()
    recorded = json.dumps(events(daemon))
    daemon.terminate()
    assert leaks(daemon.state_dir, WANTED) == []
    assert recorded.count(MASK) > 500
    assert f"half {MASK} half" in recorded
    assert "after the key" in recorded


@pytest.mark.covers("S1.12")
def test_no_secret_is_left_without_a_daemon(home: Path, alone: Cli, secrets: dict[str, Any]) -> None:
    """What is left on the disk for a daemon that is away holds no secret, also after kill -9."""
    directories = {
        name: str(home / name)
        for name in ("HOME", "XDG_STATE_HOME", "XDG_CACHE_HOME", "XDG_DATA_HOME", "XDG_CONFIG_HOME", "TMPDIR")
    } | {"FLIGHTLOG_SPOOL_DIR": str(home / "spool")}
    Path(directories["TMPDIR"]).mkdir()
    record(alone, secrets | directories)
    killed = run_program(PROGRAM, alone.runtime_dir, **secrets, **directories, DIE="1")

    assert killed.returncode == -9
    spooled = b"".join(file.read_bytes() for file in (home / "spool").rglob("*") if file.is_file())
    assert spooled.count(MASK.encode()) > 100
    programs = [file for file in alone.runtime_dir.glob("*.py") if NAMED in file.read_bytes()]
    for file in programs:  # what the tests wrote themselves
        file.unlink()
    assert leaks(home, WANTED) == []


@pytest.mark.covers("S1.12")
def test_values_of_a_file(flightlog: Cli, daemon: Daemon, home: Path) -> None:
    """Lines of the files that $FLIGHTLOG_MASK_FILE names are masked, and one that is missing is told of."""
    (home / "values").write_text("first-value\n\nsecond value\nab\n")
    command = ("exec", "--", "sh", "-c", "echo first-value $A ab; echo second%20value")

    done = flightlog.ok(*command, FLIGHTLOG_MASK_FILE=f"{home / 'values'}:{home / 'none'}")

    assert done.err.count("cannot be read, nothing of it is masked") == 1
    assert [event["message"] for event in events(daemon, type=["log"])] == [f"{MASK} ab", MASK]


def test_the_environment_can_be_left_alone(flightlog: Cli, daemon: Daemon) -> None:
    """With FLIGHTLOG_MASK_ENVIRONMENT=0 no value is registered of itself, and short ones never are."""
    for switch in ("0", "1"):
        flightlog.ok(
            *("exec", "--", "sh", "-c", "echo is $DB_PASSWORD $TOKEN"),
            FLIGHTLOG_MASK_ENVIRONMENT=switch,
            DB_PASSWORD="hunter2",
            TOKEN="it",
        )

    assert [event["message"] for event in events(daemon, type=["log"])] == ["is hunter2 it", f"is {MASK} it"]


@pytest.mark.covers("S1.12", "S2.3")
def test_a_failure_with_a_secret(daemon: Daemon) -> None:
    """A stack is masked before it is hashed, so the hash is the same whatever the secret was."""
    for value in ("first-secret", "other-secret-of-another-length"):
        done = run_program(FAILING, daemon.runtime_dir, VALUE=value)
        assert done.returncode == 0, done.stderr
    errors = [event["error"] for event in events(daemon, type=["execution.ended"])]

    assert [error["message"] for error in errors] == [f"db:{MASK}"] * 2
    assert errors[0]["stack_hash"] == errors[1]["stack_hash"]
    assert "secret" not in json.dumps(errors)


def test_url_spelling_is_masked_in_urls(flightlog: Cli, daemon: Daemon) -> None:
    """In a URL only the secret is masked, and what is around it stays."""
    url = f"https://h/x?q={quote_plus(SECRET)}&page=2"
    flightlog.ok("exec", "--", "echo", url, APP_SECRET=SECRET)

    assert [event["message"] for event in events(daemon, type=["log"])] == [f"https://h/x?q={MASK}&page=2"]
