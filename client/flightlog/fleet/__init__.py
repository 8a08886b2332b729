"""Logs of many machines in one daemon, over NATS JetStream.

    query.sock ─► tail ─► pending ─► messages ─► relay ─► the stream
    the stream ─► collect ─► ingest ─► ingest.sock of the centre

- `messages`: runs of lines of one partition, as ingest.sock takes them; pure
- `pending`: what was read and is not yet in the stream, bounded; how far all is
- `source`: which log, its lines as they come (`tail`), and the cursor
- `servers`: the connection to NATS; `stream`: the stream, and how it is shared out
- `relay`: tail to stream; `collect`: stream to daemon; `ingest`: one connection for what all machines said
- `running`: until a signal comes; `notice`: what is said once

A partition has one message under way at a time, on both sides. So its order is kept whatever breaks, and
whoever takes over goes on where the other one was: nobody has to hold a lease.
"""
