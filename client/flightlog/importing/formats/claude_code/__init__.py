"""Claude Code: one JSON object a line, in `~/.claude/projects/PROJECT/SESSION.jsonl`.

| record | becomes |
|---|---|
| the first ones | `execution.started`; name and goal are the first prompt, else the summary |
| `user`, text | `log` of `user`; at DEBUG if `isMeta`, of `summary` if `isCompactSummary` |
| `user`, `tool_result` | `task.ended`, cancelled if the user refused it; `artifact.added` for a file |
| `assistant`, `text`, `thinking` | `log` of `assistant`, and of `thinking` at DEBUG |
| `assistant`, `tool_use` | `task.started` |
| `assistant`, `message.usage` | `agent.usage`, once for each `message.id`, over however many records |
| `system`, `summary` | `log` |
| `isSidechain`, `agentId` | `agent.added`: sent by a call of `Task` or `Agent`, and ended with it |
| anything else | `claude_code.TYPE` |

There is no official description of this format; this follows what versions 1.0 to 2.1 write.
"""

from typing import Final

from flightlog.importing.formats.claude_code.files import find
from flightlog.importing.formats.claude_code.records import read

ABOUT: Final = "Claude Code, ~/.claude/projects"

__all__ = ["ABOUT", "find", "read"]
