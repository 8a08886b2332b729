"""The files and modules that a text names. Pure, in time linear in the text.

A text is cut at blanks, quotes, back-ticks and the like, and each piece is looked at by itself. It is a file
if it has a separator and its last part an extension, or if it is a bare name with an extension that sources
have, or one that is known without (`Makefile`). Left out are URLs, host names, calls, versions, patterns,
products that are called like files (`Node.js`), and words with a slash (`and/or`). Case is kept.
"""

import re
from typing import Final

from msgspec import Struct

from flightlogd.planning.words import (
    KNOWN_NAMES,
    MODULE_WORDS,
    NOT_MODULES,
    PRODUCTS,
    PROGRAMS,
    ROOTS,
    SOURCE_EXTENSIONS,
)

FILES_LIMIT: Final = 200
"""Most files that are predicted for one task: who names more speaks of no file in particular."""

_PATH_LIMIT_CHARS: Final = 300
"""Longer ones are no paths; and a plan holds each path of each task."""

_PIECE: Final = re.compile(r"[^\s\"'`<>|,;:=#\u00ab\u00bb\u2013\u2014\u2018-\u201e\u2026]+")
_PATH: Final = re.compile(r"[\w.@+~$%/()\[\]-]+")
_EXTENSION: Final = re.compile(r"[a-z][a-z0-9_]{1,9}")

_HOST: Final = re.compile(
    r"(?:[\w-]+\.)+(?:com|org|net|io|dev|edu|gov|co|ai|app|de|uk|eu|info|local)", re.ASCII
)


class Named(Struct, frozen=True):
    """What a text names.

    Attributes:
        files: Paths, sorted, each once.
        modules: Modules and directories, sorted, each once.
    """

    files: list[str]
    modules: list[str]


def names_in(text: str) -> Named:
    """Return the files and modules that a text names; there is no text that it fails on."""
    files: set[str] = set()
    modules: set[str] = set()
    before = ""
    announced = False
    for piece in _pieces(text):
        word = piece.strip(".!?()[]{}*").lower()
        if announced and word.isidentifier() and word not in NOT_MODULES:
            modules.add(word)
        announced = False
        if word in MODULE_WORDS:
            if before.replace("-", "_").isidentifier() and before not in NOT_MODULES:
                modules.add(before)
            else:
                announced = True
        before = word
        path = _path_of(piece)
        if path is None:
            continue
        if _is_file(path):
            files.add(path)
        elif "/" in path and path.partition("/")[0] in ROOTS:
            modules.add(path)
    return Named(sorted(files)[:FILES_LIMIT], sorted(modules)[:FILES_LIMIT])


def directory_of(path: str) -> str:
    """Return the directory of a path; empty for a bare name, for it may lie anywhere."""
    return path.rpartition("/")[0]


def _pieces(text: str) -> list[str]:
    """Cut a text where no path goes on, URLs left out."""
    pieces = []
    for word in text.replace("](", " ").split():
        before, scheme, _ = word.partition("://")
        # What follows a scheme is a URL to the end of the word, whatever is in it.
        pieces += _PIECE.findall(before.rstrip("abcdefghijklmnopqrstuvwxyz+") if scheme else word)
    return pieces


def _path_of(piece: str) -> str | None:
    """Return a piece as a normalised path, None if it is none."""
    piece = piece.rstrip(".!?")
    if len(piece) > _PATH_LIMIT_CHARS or piece.endswith("()"):
        return None
    for opening, closing in ("()", "[]", "{}"):
        if piece.startswith(opening) and piece.endswith(closing):
            piece = piece[1:-1]
        elif piece.endswith(closing) and opening in piece:
            piece = piece[:-1].rpartition(opening)[2]
        elif piece.count(opening) > piece.count(closing):
            piece = piece.rpartition(opening)[2]
        elif piece.count(opening) < piece.count(closing):
            piece = piece.partition(closing)[0]
    piece = piece.strip("*").rstrip(".!?")
    if "/" not in piece:
        piece = piece.replace("\\", "/")
    if not _PATH.fullmatch(piece):
        return None
    parts: list[str] = []
    for part in piece.split("/"):
        if part == ".." and parts and parts[-1] != "..":
            parts.pop()
        elif part not in ("", "."):
            parts.append(part)
    if not parts or any(part.count(".") == len(part) > 2 for part in parts):
        return None
    return "/" * piece.startswith("/") + "/".join(parts)


def _is_file(path: str) -> bool:
    """Say whether a path is one of a file, by its looks."""
    directory, separator, name = path.rpartition("/")
    first = path.partition("/")[0]
    if separator and (_HOST.fullmatch(first.rpartition("@")[2].lower()) or first.startswith("www.")):
        return False
    if name.lower() in PRODUCTS and (not separator or not first.islower() or first in PRODUCTS):
        return False
    if name in KNOWN_NAMES:
        return True
    stem, dot, extension = name.rpartition(".")
    if not dot:
        return first in PROGRAMS and bool(separator)
    if not stem:
        return bool(separator) and _EXTENSION.fullmatch(extension) is not None
    if not any(map(str.isalnum, stem)):
        return False
    # One letter is a source file's in lower case alone: "D.C" is none.
    if (extension if len(extension) == 1 else extension.lower()) in SOURCE_EXTENSIONS:
        return True
    # Any other makes a file of what has a separator, but for versions.
    return bool(directory) and not name[0].isdigit() and _EXTENSION.fullmatch(extension) is not None
