"""Commands and what they print, line by line: the process, its output, how fast to read it.

Needs no more than the base install: `exec` of the command line and `Scope.capture` share it.
"""
