"""flightlogd keeps what is said. One event walks through these modules, in this order.

- `listen`: bind or inherit the three sockets, accept, ask the kernel who is there
- `framing`: bytes to whole lines
- `session`: one ingest connection: hello, lines in, acks out
- `decode`: lines to events or refusals
- `append`: the writer: one transaction for what all sessions have
- `batch`: lines of one commit to rows, with their index
- `seal`: digest and chain of a row
- `store`: the database, its tables, the only SQL on the event log
- `project`: read models, in the same transaction
- `head`: the log grew: wake who waits
- `tail`: read where seq > cursor, send, wait
- `query`: one query connection; the questions live in `queries`
- `control`: one control connection: rebuild, reload
- `app`: wiring, start and stop
"""

__version__ = "0.1.0"
