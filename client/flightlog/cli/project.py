"""Which project a directory belongs to."""

from pathlib import Path


def project_here() -> str:
    """Return the project of the current directory: the root of the Git work tree it is in, else itself.

    Symbolic links are resolved, so that every way to a directory names the same project.
    """
    here = Path.cwd().resolve()
    for directory in (here, *here.parents):
        if (directory / ".git").exists():  # a directory, or a file in a linked work tree
            return str(directory)
    return str(here)


def project_named(directory: str) -> str:
    """Return the project that somebody named by its directory: exactly that one, links resolved."""
    return str(Path(directory).resolve())
