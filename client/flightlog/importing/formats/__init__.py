"""Transcripts of agents: a module or package each, named as it; `transcript.Format` says what it has."""
