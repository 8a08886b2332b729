"""SQL steps from one schema version to the next, named `NNNN_what.sql`; each leads to version NNNN."""
