"""What leaves the log, and how: retention by age, size, level, status and project; scrubbing of secrets.

- `policy`: which log lines are kept for how long. Pure
- `rewrite`: one row of the log without some of its lines. Pure
- `retention`: finds what is over its time, removes it in slices on the writer's thread
- `removal`: whole ended executions, from the log and from every read model
- `scrub`: a value, out of everything that the daemon keeps
- `compression`: what is old is stored compressed, when there is time
- `governor`: when this happens: at the start, daily, when asked; and what is said of it
- `verify`: that what is there is what was stored, less what tombstones tell of
"""
