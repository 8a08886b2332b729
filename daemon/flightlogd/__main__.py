"""`flightlogd`: the daemon in the foreground, and its operator's verbs."""

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

_MISSING = "flightlogd: the daemon's libraries are not installed\nhint: pip install 'flightlog[daemon]'"

EPILOG = """\
examples:
  flightlogd --state-dir /tmp/fl/state --runtime-dir /tmp/fl/run
  flightlogd check-config --config /etc/flightlog.toml
  flightlogd rebuild --check
  flightlogd backup /srv/backup/flightlog.db
  flightlogd retention --dry-run
  flightlogd retention --older-than 7d --level DEBUG
  pass show api-key | flightlogd scrub --value-from -
  flightlogd rebuild --shadow audit
  echo "select type, count(*) from event group by 1;" | flightlogd sql

exit codes: 0 done, 1 a check found something, 2 failure, 3 usage
"""


def main(argv: Sequence[str] | None = None) -> None:
    """Run one verb and exit with its code."""
    arguments = parser().parse_args(sys.argv[1:] if argv is None else list(argv))
    try:
        from flightlogd import verbs
    except ModuleNotFoundError as error:
        if error.name not in {"trio", "apsw", "structlog"}:
            raise
        print(_MISSING, file=sys.stderr)  # noqa: T201  # no logger without its library
        raise SystemExit(2) from None
    if arguments.verb is None:
        raise SystemExit(verbs.run(arguments))
    try:
        code = verbs.run(arguments)
        sys.stdout.flush()
    except BrokenPipeError:
        # Whoever read our output has seen enough. What is still buffered goes nowhere, quietly.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 0
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        said = f"flightlogd {arguments.verb}: {where}{error.strerror or error}"
        print(f"{said}\nhint: look at where it reads from and writes to", file=sys.stderr)  # noqa: T201  # as above
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 2
    raise SystemExit(code)


class _Parser(argparse.ArgumentParser):
    """argparse with our exit code and form for usage errors."""

    def error(self, message: str) -> Any:
        """Report a usage error and exit 3."""
        self.exit(3, f"{self.prog}: {message}\nhint: {self.prog} --help\n")


def parser() -> argparse.ArgumentParser:
    """Return what knows the command line."""
    common = _Parser(add_help=False)
    common.add_argument(
        "--config", type=Path, metavar="FILE", default=argparse.SUPPRESS, help="settings (TOML)"
    )
    common.add_argument(
        "--state-dir", metavar="DIR", default=argparse.SUPPRESS, help="where flightlog.db lives"
    )
    common.add_argument(
        "--runtime-dir", metavar="DIR", default=argparse.SUPPRESS, help="where the sockets are"
    )
    whole = _Parser(
        prog="flightlogd",
        description="Keep what programs say in one durable, ordered log. Without a verb: run the daemon.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        parents=[common],
    )
    verbs = whole.add_subparsers(dest="verb", metavar="VERB", parser_class=_Parser)

    def verb(name: str, help_text: str) -> argparse.ArgumentParser:
        return verbs.add_parser(name, help=help_text, description=help_text, parents=[common])

    verb("check-config", "check the settings and exit: 0 when they are good, 3 when not")
    verb("print-config", "print the settings in force as TOML, defaults included")
    rebuild = verb("rebuild", "compute read models again from the log and put right what differs")
    rebuild.add_argument("projections", nargs="*", metavar="NAME", help="which read models (default: all)")
    rebuild.add_argument("--check", action="store_true", help="only compare; exit 1 when something differs")
    rebuild.add_argument(
        "--shadow", action="store_true", help="insist on doing it beside a running daemon; exit 2 without one"
    )
    rebuild.add_argument("--json", action="store_true", help="one object per differing table")
    retention = verb(
        "retention", "remove what is over its time, now; a running daemon does so daily by itself"
    )
    retention.add_argument("--dry-run", action="store_true", help="only show what would go")
    retention.add_argument(
        "--older-than",
        metavar="DURATION",
        help="not by the settings: log lines of ended executions received so long ago (30d, 12h, 0s: all)",
    )
    retention.add_argument("--level", metavar="A,B", help="with --older-than: of these levels only")
    retention.add_argument(
        "--status",
        metavar="A,B",
        help="with --older-than: of executions that ended so only: failed, lost, ...",
    )
    retention.add_argument("--project", metavar="DIR", help="with --older-than: of this project only")
    retention.add_argument("--json", action="store_true", help="one object")
    scrub = verb("scrub", "mask a secret that was found late, in all that the daemon keeps")
    scrub.add_argument(
        "--value-from", metavar="FILE", required=True, help="the secret is what this file holds; - is stdin"
    )
    scrub.add_argument("--dry-run", action="store_true", help="only count where it is")
    scrub.add_argument("--json", action="store_true", help="one object")
    verify = verb("verify", "prove that the log is what was stored, less what governance took; 1: it is not")
    verify.add_argument(
        "--head",
        metavar="SEQ:CHAIN",
        action="append",
        default=[],
        help="an earlier end of the log, as this verb printed it: still there? May be given several times",
    )
    verify.add_argument(
        "--heads-from", metavar="FILE", help="the heads that the daemon noted in its log; - is stdin"
    )
    verify.add_argument("--json", action="store_true", help="one object")
    backup = verb("backup", "copy the log into a new file, beside a running daemon or with none")
    backup.add_argument(
        "target", metavar="FILE", help="the copy; to restore it, put it in flightlog.db's place"
    )
    restore = verb("restore", "put a backup in the log's place; what was there is kept under another name")
    restore.add_argument("source", metavar="FILE", help="what backup wrote; the daemon must not run")
    salvage = verb(
        "salvage", "write what can be read of a damaged log, for `flightlog import events`; 1: not all"
    )
    salvage.add_argument("target", metavar="FILE", help="JSON lines, as `flightlog export` writes them")
    sql = verb("sql", "open a read-only SQL shell on the log; the view `event` has one row per event")
    sql.add_argument(
        "statement", nargs="?", help="run this and exit; without it read from the terminal or a pipe"
    )
    verb("version", "print versions and exit")
    return whole


if __name__ == "__main__":
    main()
