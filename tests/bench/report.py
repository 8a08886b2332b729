"""Plain text tables, and goals that are met or not. Nothing here fails: the reader decides."""

from dataclasses import dataclass, field


@dataclass
class Goal:
    """What was hoped for and what came out.

    Attributes:
        what: The goal in words, with its limit.
        actual: The figure as text.
        met: Whether it is within the limit.
    """

    what: str
    actual: str
    met: bool


@dataclass
class Report:
    """Tables printed as they are ready, goals gathered for the end."""

    goals: list[Goal] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)

    def table(self, title: str, header: list[str], rows: list[list[str]]) -> None:
        """Print a table: the first column to the left, numbers to the right."""
        print(f"\n{title}")
        for line in aligned([header, *rows]):
            print(f"  {line}")

    def goal(self, what: str, actual: str, *, met: bool) -> None:
        """Take a goal for the summary."""
        self.goals.append(Goal(what, actual, met))

    def skip(self, what: str, why: str) -> None:
        """Note, once, what was not measured and why."""
        note = f"{what}: {why}"
        if note not in self.skipped:
            self.skipped.append(note)
            print(f"skipped  {note}")

    def summary(self) -> None:
        """Print all goals, and what was left out."""
        rows = [[goal.what, goal.actual, "met" if goal.met else "NOT MET"] for goal in self.goals]
        self.table("goals", ["goal", "measured", ""], rows)
        for note in self.skipped:
            print(f"  skipped  {note}")


def aligned(rows: list[list[str]]) -> list[str]:
    """Return rows of text as lines with columns of equal width."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return [
        "  ".join(
            cell.ljust(width) if column == 0 else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]
