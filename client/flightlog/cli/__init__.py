"""The command line: one verb a module, everything they share beside them.

- `run`: the group of all verbs, loaded when called; errors to messages and exit codes
- `verb`: what a verb is; the options that every verb has; where the daemon is
- `options`: types of options: times, durations, levels, patterns, KEY=VALUE
- `verbs`: one module for each verb
- `output`, `text`, `render`, `tables`: JSON, tab-separated values, lines and tables that harm no terminal
- `strict`: ask first, then append: what verbs that change something share
- `project`: which project a directory belongs to
- `capture`, `child`, `record`: a command's output by line, its process, and the loop between the two
"""
