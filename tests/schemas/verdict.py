"""An answer to the question whether an execution is complete."""

from typing import Final

from flightlog_schemas import completeness

CHECK: Final = completeness.Completeness(
    execution_id="e",
    status="failed",
    complete=False,
    so_far=False,
    records=3,
    logs=2,
    pruned=0,
    log_count=2,
    producers=[
        completeness.CheckedProducer(
            producer="p1",
            state="died",
            uid=1000,
            pid=7,
            records=3,
            first_line=1,
            last_line=3,
            settled_line=3,
            exclusive=True,
            last_seen=5,
        )
    ],
    producer_count=1,
    findings=[
        completeness.CheckFinding(
            kind="unfinished",
            loss=True,
            certain=True,
            last_line=3,
            reason="died",
            producer="p1",
            uid=1000,
            pid=7,
            time=5,
        )
    ],
    finding_count=1,
    seq=9,
)
