"""Plans: tasks in, a plan out; the same for the same input, in any order. Pure, in time linear in the input.

- `files`: the paths and modules that a text names
- `conflicts`: tasks that may get in each other's way
- `waiting`: who waits for whom; cycles, and what hangs on them
- `batches`: levels, split where two tasks name one file
- `worktrees`: a batch's tasks over worktrees
- `plan`: all of it together; `check`: what a plan must never be, and what somebody should look at
- `adjust`: changes by hand
- `score`: a plan against what happened
"""

from flightlogd.planning.adjust import AdjustmentError, apply_adjustment
from flightlogd.planning.plan import build_plan
from flightlogd.planning.score import score

__all__ = ["AdjustmentError", "apply_adjustment", "build_plan", "score"]
