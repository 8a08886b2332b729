"""Whose process is at the other end of a TCP connection on this machine: the kernel knows."""

import ipaddress
import os
import socket
import sys
from pathlib import Path
from typing import Any, Final

_TABLES: Final = {4: Path("/proc/net/tcp"), 6: Path("/proc/net/tcp6")}


def is_loopback(host: str) -> bool:
    """Say whether an address, or a name for one, is this machine's own loopback."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def same_user(peer: tuple[Any, ...], ours: tuple[Any, ...]) -> bool:
    """Say whether the peer of a connection over loopback is a process of this user, or of root.

    query.sock is guarded by its file mode, and a port has none: without this, whoever is logged in on the
    machine could read over loopback what the socket denies them.

    Args:
        peer: The peer's address.
        ours: Our address of the same connection.
    """
    return _uid(peer, ours) in (os.geteuid(), 0)


def _uid(peer: tuple[Any, ...], ours: tuple[Any, ...]) -> int | None:
    """Return the user of the socket whose address is `peer`; None where the kernel lists none."""
    version = 6 if ":" in peer[0] else 4
    wanted = [_written(peer, version), _written(ours, version)]
    try:
        with _TABLES[version].open() as table:
            for row in table:
                columns = row.split()
                if columns[1:3] == wanted:
                    return int(columns[7])
    except OSError:
        return None
    return None


def _written(address: tuple[Any, ...], version: int) -> str:
    """Return an address as those tables write it: words of 32 bits in the machine's order."""
    family = socket.AF_INET6 if version == 6 else socket.AF_INET
    packed = socket.inet_pton(family, address[0])
    words = (packed[start : start + 4] for start in range(0, len(packed), 4))
    text = "".join(f"{int.from_bytes(word, sys.byteorder):08X}" for word in words)
    return f"{text}:{address[1]:04X}"
