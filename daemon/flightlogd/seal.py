"""The seal: a digest of each batch's lines, and a chain over all batches. Pure.

`chain` covers the previous chain, the header columns and the digest of the original lines, so it still
verifies after governance has taken lines away.
"""

import hashlib

GENESIS = bytes(32)
"""The chain before the first batch."""


def digest_lines(blob: bytes) -> bytes:
    """Return the SHA-256 (32 bytes) of a batch's lines as they are stored at first."""
    return hashlib.sha256(blob).digest()


def extend_chain(
    chain: bytes, *, first_seq: int, last_seq: int, received: int, spans: str, digest: bytes
) -> bytes:
    """Return the chain (32 bytes) after one more batch: SHA-256 of the columns with their lengths fixed."""
    header = b"%d %d %d %d " % (first_seq, last_seq, received, len(spans))
    return hashlib.sha256(chain + header + spans.encode() + digest).digest()
