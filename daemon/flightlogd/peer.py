"""Who is at the other end, by the kernel."""

import select
import socket
import struct
from itertools import count
from typing import Final

import trio
from msgspec import Struct

_numbers: Final = count(1)


class Peer(Struct, frozen=True):
    """Credentials of a connected process at the moment it connected (unix(7), SO_PEERCRED).

    Attributes:
        uid: Its user.
        pid: Its id.
        gid: Its group.
        number: Of the connection, in the order in which they were made.
    """

    uid: int
    pid: int
    gid: int
    number: int = 0


def peer_of(sock: socket.socket) -> Peer:
    """Return who connected this Unix socket, which was just accepted."""
    size = struct.calcsize("3i")
    pid, uid, gid = struct.unpack("3i", sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, size))
    return Peer(uid=uid, pid=pid, gid=gid, number=next(_numbers))


def is_readable(sock: socket.socket | trio.socket.SocketType) -> bool:
    """Say whether something waits in a socket: bytes, its end, or a connection where it listens."""
    poll = select.poll()  # unlike select.select it takes descriptors above 1023
    poll.register(sock.fileno(), select.POLLIN)
    return bool(poll.poll(0))
