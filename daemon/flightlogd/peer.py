"""Who is at the other end, by the kernel."""

import socket
import struct

import trio
from msgspec import Struct


class Peer(Struct, frozen=True):
    """Credentials of a connected process at the moment it connected (unix(7), SO_PEERCRED)."""

    uid: int
    pid: int
    gid: int


def peer_of(sock: trio.socket.SocketType) -> Peer:
    """Return who connected this Unix socket."""
    size = struct.calcsize("3i")
    pid, uid, gid = struct.unpack("3i", sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, size))
    return Peer(uid=uid, pid=pid, gid=gid)
