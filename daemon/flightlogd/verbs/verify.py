"""`flightlogd verify`: is the log what was stored, less what governance took?"""

import argparse
import re
import sys
from pathlib import Path
from typing import Final

import apsw

from flightlogd.config import Config
from flightlogd.errors import ConfigError, StartError
from flightlogd.governance.verify import verify_log
from flightlogd.store.database import DATABASE, open_reader
from flightlogd.store.schema import check_database
from flightlogd.verbs.ask import print_json
from flightlogd.verbs.exits import DONE, FOUND_SOMETHING

_NOTED: Final = re.compile(r"\b(\d{1,19}):([0-9a-f]{64})\b")


def run(config: Config, arguments: argparse.Namespace) -> int:
    """Carry out the verb and return its exit code; a running daemon is not in the way."""
    database = Path(config.state_dir) / DATABASE
    if not database.exists():
        raise StartError(f"{database}: no such file", "name the daemon's --state-dir")
    check_database(database)
    earlier = dict(map(_head, arguments.head))
    if arguments.heads_from is not None:
        earlier |= _noted(arguments.heads_from)
    try:
        db = open_reader(database)
        try:
            db.execute("begin")
            verdict = verify_log(db, earlier)
        finally:
            db.close()
    except apsw.Error as error:
        hint = "restore a backup; the file was left as it is"
        raise StartError(f"{database}: {error}", hint) from None
    if arguments.json:
        print_json(verdict)
        return FOUND_SOMETHING if verdict.damage else DONE
    for damage in verdict.damage:
        print(f"{damage.first_seq} to {damage.last_seq}: {damage.what}")
    if not verdict.damage:
        stored = verdict.lines - verdict.removed - verdict.masked
        print(f"{verdict.lines:,} positions: {stored:,} lines are as they were stored", end="")
        print(f", {verdict.removed:,} were removed, {verdict.masked:,} masked by a scrub")
    if verdict.unsealed:
        print(
            f"{verdict.unsealed} tombstones are not sealed yet: a pass was cut off, the next one seals them"
        )
    if earlier and not verdict.damage:
        _say_found(sorted(earlier.keys() - set(verdict.unchecked)))
    if verdict.unchecked:
        count = len(verdict.unchecked)
        some = "1 earlier head is" if count == 1 else f"{count:,} earlier heads are"
        print(f"{some} in ranges that were removed whole: not checked")
    print(f"head {verdict.seq}:{verdict.chain}")
    return FOUND_SOMETHING if verdict.damage else DONE


def _say_found(seqs: list[int]) -> None:
    """Say that earlier ends of the log are where they were."""
    if len(seqs) == 1:
        print(f"earlier head {seqs[0]}: still there")
    elif seqs:
        print(f"{len(seqs):,} earlier heads, {seqs[0]} to {seqs[-1]}: still there")


def _noted(name: str) -> dict[int, str]:
    """Return the heads in a daemon's log, or in the journal.

    Raises:
        ConfigError: it cannot be read, or holds none.
    """
    try:
        text = sys.stdin.read() if name == "-" else Path(name).read_text(errors="replace")
    except OSError as error:
        raise ConfigError(f"--heads-from: {name}: {error.strerror}") from None
    found = {int(seq): chain for seq, chain in _NOTED.findall(text)}
    if not found:
        raise ConfigError(
            f"--heads-from: no head is in {name}", "journalctl -u flightlogd -o cat | ... --heads-from -"
        )
    return found


def _head(text: str) -> tuple[int, str]:
    seq, colon, chain = text.partition(":")
    if not colon or not seq.isdigit() or len(chain) != 64:
        raise ConfigError(f"--head: {text!r} is not SEQ:CHAIN", "give what `flightlogd verify` printed")
    return int(seq), chain.lower()
