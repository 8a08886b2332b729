"""The past, told afterwards: results and events from files, and what agents wrote down of their sessions.

- `sources`: paths to files, lines and documents
- `results`, `eventlines`: one record of a file to events
- `backfill`: files to items
- `formats/NAME`: one agent's transcripts to events; `transcript` says what a format is
- `journal`: entries of systemd's journal to events; `journalctl` reads them
- `ship`: items to the daemon, and what became of each

Every event has a key that comes from what it tells, so that telling it again adds nothing.
"""
