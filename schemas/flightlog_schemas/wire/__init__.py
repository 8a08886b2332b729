"""The lines on the sockets: one JSON object each, UTF-8, ended by a newline.

- `ingest`: what producers and the daemon say to each other on ingest.sock
- `query`: what may be asked on query.sock, and how answers are framed
- `control`: what the daemon's own user may ask of it on control.sock
"""
