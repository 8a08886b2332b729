"""What stands in a secret's place."""

from typing import Final

MASK: Final = "********"
"""Of one length, so that it tells nothing of what it hides."""
