"""The questions: functions that read one state of the database and return answers.

Each takes a read-only connection inside a short transaction. What goes on after an answer (following,
waiting) lives in `tail` and `follow`.
"""
