"""How fast flightlog is, beside a bare disk, Redis Streams and NATS JetStream in the same run.

`make bench` runs all; `make bench PART=bulk ARGS=--quick` a part of it, small. Rounds of all contestants
are interleaved, so that a slow minute of the machine meets all of them; shown are medians with the spread.
"""
