"""Secrets, all the spellings they turn up in, and a search through every byte of a directory."""

import base64
import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from urllib.parse import quote, quote_plus

SECRET = 'Zq7"v\\x/+ 9kÜ%&p3=hJ4'
"""With a character of every kind that some spelling has its own way with."""

KEY = 'first-line-of-a-key 81\nsecond/line+of\\it 92\n\t"third" line of it 73'
"""Of several lines."""


def spellings(secret: str) -> Iterator[str]:
    """Yield a secret as it may turn up in texts, JSON and URLs."""
    yield secret
    for ascii_only in (True, False):
        once = json.dumps(secret, ensure_ascii=ascii_only)[1:-1]
        yield from (once, json.dumps(once, ensure_ascii=ascii_only)[1:-1], once.replace("/", "\\/"))
    yield from (quote(secret), quote(secret, safe=""), quote_plus(secret), quote(secret, safe="/:@!'()*"))
    yield "".join(f"%{byte:02x}" if byte > 127 else chr(byte) for byte in secret.encode())


def base64_spellings(secret: str) -> Iterator[tuple[str, str]]:
    """Yield texts that were encoded with a secret in them, and the digits that are the secret's alone."""
    data = secret.encode()
    for encode in (base64.b64encode, base64.urlsafe_b64encode):
        for before in range(4):
            whole = encode(b"u:xy"[:before] + data + b"\n after").decode()
            first = -(-before * 8 // 6)
            yield whole, whole[first : (before + len(data)) * 8 // 6]


def traces(*secrets: str) -> set[bytes]:
    """Return what must not be found anywhere: each spelling, and each line of those that have several."""
    found: set[str] = set()
    for secret in secrets:
        for part in {secret, *(line.strip() for line in secret.splitlines())}:
            found |= {*spellings(part), *(digits for _, digits in base64_spellings(part))}
    return {text.encode() for text in found}


def leaks(directory: Path, wanted: Iterable[bytes]) -> list[tuple[str, bytes]]:
    """Return which file below a directory holds which of some bytes, also in its name."""
    searched = list(wanted)
    found = []
    for file in sorted(directory.rglob("*")):
        content = file.read_bytes() if file.is_file() else b""
        found += [
            (str(file.relative_to(directory)), text)
            for text in searched
            if text in content or text in str(file).encode()
        ]
    return found
