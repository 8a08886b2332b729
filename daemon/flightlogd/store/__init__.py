"""The database: how it is opened, its schema and migrations, and the only SQL on the event log.

- `database`: connections and their pragmas, with reasons
- `schema`: versions, migrations, the lock on the state directory
- `eventlog`: batches in and out
- `producers`: who sent what, gaps, refused lines, keys
- `readers`: read-only connections for questions
- `reserve`: disk space kept aside for when there is none
- `wal`: what is behind the place where SQLite stops reading a write-ahead log
- `damage`: what of a damaged file cannot be read
"""
