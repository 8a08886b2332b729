"""Keys, in whichever of their tables they are."""

import apsw
import pytest

from flightlogd.store.keys import MERGE_KEYS
from support.daemon import Daemon
from support.lines import log
from support.peers import IngestPeer


@pytest.mark.covers("D4", "S2.2")
def test_keys_are_known_before_and_after_they_are_merged(daemon: Daemon) -> None:
    """More keys than wait to be merged, and those that came since: each is known, over a restart too."""
    lines = [log("keyed", f"line {number}", id=f"key-{number}") for number in range(MERGE_KEYS + 1500)]

    def send() -> list[object]:
        with IngestPeer(daemon.ingest_socket) as peer:
            replies = []
            for start in range(0, len(lines), 500):
                peer.send_lines(*lines[start : start + 500])
                replies += peer.until_ack(start + 500)
        return [reply["duplicate"]["same"] for reply in replies if "duplicate" in reply]

    assert send() == []
    db = apsw.Connection(str(daemon.database), flags=apsw.SQLITE_OPEN_READONLY)
    merged, recent = (
        db.execute(f"select count(*) from {table}").get for table in ("event_key", "event_key_recent")
    )
    db.close()
    assert merged >= MERGE_KEYS
    assert merged + recent == len(lines)
    assert send() == [True] * len(lines)
    daemon.restart()
    assert send() == [True] * len(lines)
